//! Committees of several sizes, coded beside fully replicated; a burst; a large batch's memory.

use std::time::Duration;

use attest::Thresholds;
use bytes::Bytes;
use dac_client::{Client, ClientConfig, SubmitOptions};
use futures::StreamExt;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::super::client::failure;
use super::print_rows;
use crate::api::Backend;
use crate::cli::{Failure, Output};
use crate::devnet::{Devnet, DevnetConfig};
use crate::service::BatchRef;
use dac_node_engine::Dispersal;

/// Arguments of `dac bench committee`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Committee sizes, with default thresholds
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [7, 16, 32])]
    members: Vec<u16>,
    /// Length of a batch
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    batch: bytesize::ByteSize,
    /// Batches one after the other, for each size and dispersal
    #[arg(long, value_name = "COUNT", default_value_t = 7)]
    rounds: u32,
    /// Leave out the burst (100 batches of 256 KiB by 8 clients) and the memory of a 32 MiB batch
    #[arg(long)]
    short: bool,
}

/// One committee, one way of dispersing.
#[derive(Clone, Debug, Serialize)]
struct CertificateRow {
    work: &'static str,
    dispersal: &'static str,
    members: u16,
    minimum_shards: u16,
    quorum: u16,
    batch_bytes: u64,
    rounds: u32,
    /// Median over the rounds, from the client's first byte to the certificate in its hands.
    time_to_certificate_ms: f64,
    /// Processor time of hashing and coding, all members together, for each batch.
    compute_cpu_ms: f64,
    cores: usize,
    /// `1.3 * compute_cpu_ms / cores + 30`.
    bound_ms: f64,
    sender_bytes_ratio: f64,
    member_bytes_in_ratio_max: f64,
    /// Full replication's figure over this one's, where both were measured: above 1 the code wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_replication_time_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_replication_sender_ratio: Option<f64>,
}

/// Many small batches at once.
#[derive(Debug, Serialize)]
struct BurstRow {
    work: &'static str,
    clients: usize,
    batches: usize,
    batch_bytes: u64,
    certified: usize,
    distinct: usize,
    seconds: f64,
    certified_bytes_per_second: f64,
}

/// A large batch in a process of its own.
#[derive(Debug, Serialize)]
struct MemoryRow {
    work: &'static str,
    members: u16,
    batch_bytes: u64,
    peak_rss_bytes: u64,
    time_to_certificate_ms: f64,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Row {
    Certificate(CertificateRow),
    Burst(BurstRow),
    Memory(MemoryRow),
}

pub(super) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    super::super::runtime()?.block_on(async {
        let mut rows = Vec::new();
        for members in &args.members {
            let spinner = output.spinner(&format!("{members} members"));
            let full = certificates(*members, &args, Dispersal::FullReplication).await?;
            let mut coded = certificates(*members, &args, Dispersal::Coded).await?;
            coded.full_replication_time_ratio =
                Some(full.time_to_certificate_ms / coded.time_to_certificate_ms);
            coded.full_replication_sender_ratio = Some(full.sender_bytes_ratio / coded.sender_bytes_ratio);
            rows.extend([Row::Certificate(coded), Row::Certificate(full)]);
            spinner.finish_and_clear();
        }
        if !args.short {
            let spinner = output.spinner("burst, then 32 MiB");
            rows.push(Row::Burst(burst(100, 8, 256 << 10).await?));
            rows.push(Row::Memory(memory(32 << 20)?));
            spinner.finish_and_clear();
        }
        print_rows(&rows, &table(&rows, output), output)
    })
}

pub(super) fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::other(format!("bench: {error}"), "see the log with DAC_LOG=info")
}

async fn devnet(members: u16, directory: &std::path::Path, dispersal: Dispersal) -> Result<Devnet, Failure> {
    let thresholds = Thresholds::default_for(members).map_err(broken)?;
    let config = DevnetConfig { dispersal, ..DevnetConfig::new(thresholds, directory) };
    Devnet::start(config).await.map_err(|error| broken(format!("{error:#}")))
}

fn client(devnet: &Devnet) -> Result<Client, Failure> {
    Client::new(ClientConfig::new(devnet.api_urls(), devnet.committee().clone())).map_err(failure)
}

fn options() -> SubmitOptions {
    SubmitOptions::new(Duration::from_secs(3600), Duration::from_secs(7200))
}

/// Bytes that no compression and no cache helps with, the same in every run.
fn batch(bytes: usize, seed: u64) -> Bytes {
    let mut batch = vec![0; bytes];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut batch);
    batch.into()
}

async fn certificates(members: u16, args: &Args, dispersal: Dispersal) -> Result<CertificateRow, Failure> {
    let directory = tempfile::tempdir().map_err(broken)?;
    let devnet = devnet(members, directory.path(), dispersal).await?;
    let client = client(&devnet)?;
    let bytes = usize::try_from(args.batch.as_u64()).map_err(broken)?;
    // Not measured: connections, caches and threads get warm.
    certify(&devnet, &client, batch(bytes, 0)).await?;
    let before = devnet.compute().hashing_and_coding_cpu_time();
    let mut measured = Vec::new();
    for round in 1..=args.rounds.max(1) {
        measured.push(certify(&devnet, &client, batch(bytes, u64::from(round))).await?);
    }
    let cpu = devnet.compute().hashing_and_coding_cpu_time().saturating_sub(before);
    let compute_cpu_ms = cpu.as_secs_f64() * 1e3 / f64::from(args.rounds.max(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let thresholds = devnet.committee().thresholds();
    devnet.stop().await.map_err(broken)?;
    measured.sort_by(|a, b| a.milliseconds.total_cmp(&b.milliseconds));
    let largest = |of: fn(&Measured) -> f64| measured.iter().map(of).fold(0.0, f64::max);
    Ok(CertificateRow {
        work: "certificate",
        dispersal: match dispersal {
            Dispersal::Coded => "coded",
            Dispersal::FullReplication => "full_replication",
        },
        members,
        minimum_shards: thresholds.minimum_shards(),
        quorum: thresholds.quorum(),
        batch_bytes: args.batch.as_u64(),
        rounds: args.rounds,
        time_to_certificate_ms: measured[measured.len() / 2].milliseconds,
        compute_cpu_ms,
        cores,
        bound_ms: 1.3 * compute_cpu_ms / cores as f64 + 30.0,
        sender_bytes_ratio: largest(|m| m.sender_ratio),
        member_bytes_in_ratio_max: largest(|m| m.member_in_ratio),
        full_replication_time_ratio: None,
        full_replication_sender_ratio: None,
    })
}

struct Measured {
    milliseconds: f64,
    sender_ratio: f64,
    member_in_ratio: f64,
}

/// Certifies one batch and waits until every member is done with it, so that the next one starts on a quiet machine.
async fn certify(devnet: &Devnet, client: &Client, batch: Bytes) -> Result<Measured, Failure> {
    let bytes = batch.len() as f64;
    let started = devnet.clock().now().monotonic;
    let submitted =
        client.submit(devnet.submitter(), devnet.rollup_id(), batch, options()).await.map_err(failure)?;
    let took = devnet.clock().now().monotonic.saturating_sub(started);
    let id = submitted.certificate.batch_id();
    let (mut sender_ratio, mut member_in_ratio) = (0.0, 0.0f64);
    for (seat, member) in devnet.running() {
        let node = member.node();
        settled(&node).await?;
        let Some(status) = node.status(BatchRef::Id(id)).await else { continue };
        if status.coordinator == seat {
            sender_ratio = status.sent_bytes as f64 / bytes;
        } else {
            member_in_ratio = member_in_ratio.max(status.received_bytes as f64 / bytes);
        }
    }
    Ok(Measured { milliseconds: took.as_secs_f64() * 1e3, sender_ratio, member_in_ratio })
}

/// Waits until a member has nothing in flight.
async fn settled(node: &crate::node::NodeHandle) -> Result<(), Failure> {
    let mut in_flight = node.in_flight();
    let idle =
        tokio::time::timeout(Duration::from_secs(60), in_flight.wait_for(|(count, _)| *count == 0)).await;
    match idle {
        Ok(Ok(_)) => Ok(()),
        _ => Err(broken("a member did not settle in 60 s")),
    }
}

async fn burst(batches: usize, clients: usize, bytes: usize) -> Result<BurstRow, Failure> {
    let directory = tempfile::tempdir().map_err(broken)?;
    let devnet = devnet(7, directory.path(), Dispersal::Coded).await?;
    let client = client(&devnet)?;
    let started = devnet.clock().now().monotonic;
    let submissions = (0..batches).map(|number| {
        let (client, devnet) = (&client, &devnet);
        let batch = batch(bytes, 1_000 + number as u64);
        async move { client.submit(devnet.submitter(), devnet.rollup_id(), batch, options()).await }
    });
    let results: Vec<_> = futures::stream::iter(submissions).buffer_unordered(clients).collect().await;
    let seconds = devnet.clock().now().monotonic.saturating_sub(started).as_secs_f64();
    let ids: std::collections::BTreeSet<_> =
        results.iter().flatten().map(|submitted| submitted.certificate.batch_id()).collect();
    let certified = results.iter().filter(|result| result.is_ok()).count();
    devnet.stop().await.map_err(broken)?;
    Ok(BurstRow {
        work: "burst",
        clients,
        batches,
        batch_bytes: bytes as u64,
        certified,
        distinct: ids.len(),
        seconds,
        certified_bytes_per_second: (certified * bytes) as f64 / seconds,
    })
}

/// Runs `dac devnet` on a large batch in a process of its own and reads its peak.
fn memory(bytes: usize) -> Result<MemoryRow, Failure> {
    let directory = tempfile::tempdir().map_err(broken)?;
    let path = directory.path().join("batch");
    std::fs::write(&path, batch(bytes, 7)).map_err(|error| Failure::write(&path, &error))?;
    let program = std::env::current_exe().map_err(broken)?;
    let ran = std::process::Command::new(program)
        .args(["devnet", "--json", "--quiet", "--batch"])
        .arg(&path)
        .output();
    let ran = ran.map_err(broken)?;
    let stdout = String::from_utf8_lossy(&ran.stdout);
    let report: serde_json::Value =
        stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    if !ran.status.success() {
        return Err(broken(format!("dac devnet with {bytes} bytes: {report}")));
    }
    Ok(MemoryRow {
        work: "memory",
        members: 7,
        batch_bytes: bytes as u64,
        peak_rss_bytes: report["peak_rss_bytes"].as_u64().unwrap_or(0),
        time_to_certificate_ms: report["time_to_certificate_ms"].as_f64().unwrap_or(0.0),
    })
}

fn table(rows: &[Row], output: &Output) -> String {
    let header =
        ["work", "members", "ms", "bound ms", "CPU ms", "sent", "received", "against full replication"];
    let cells = rows.iter().map(|row| match row {
        Row::Certificate(row) => {
            let against = row.full_replication_time_ratio.zip(row.full_replication_sender_ratio);
            vec![
                format!("{} {}", row.work, row.dispersal),
                row.members.to_string(),
                format!("{:.1}", row.time_to_certificate_ms),
                format!("{:.1}", row.bound_ms),
                format!("{:.1}", row.compute_cpu_ms),
                format!("{:.2}", row.sender_bytes_ratio),
                format!("{:.2}", row.member_bytes_in_ratio_max),
                against
                    .map(|(time, sent)| format!("{time:.2} x time, {sent:.2} x upload"))
                    .unwrap_or_default(),
            ]
        }
        Row::Burst(row) => vec![
            format!("burst, {} of {} certified, {} different", row.certified, row.batches, row.distinct),
            "7".to_owned(),
            format!("{:.0}", row.seconds * 1e3),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            format!("{:.2} MB/s", row.certified_bytes_per_second / 1e6),
        ],
        Row::Memory(row) => vec![
            format!(
                "{} certified and fetched, peak {}",
                bytesize::ByteSize(row.batch_bytes),
                bytesize::ByteSize(row.peak_rss_bytes)
            ),
            row.members.to_string(),
            format!("{:.1}", row.time_to_certificate_ms),
        ],
    });
    output.table(&header, &cells.collect::<Vec<_>>())
}
