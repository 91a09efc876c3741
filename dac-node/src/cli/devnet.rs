//! `dac devnet`: a whole committee on this machine certifies real batches and gives them back with members gone.
//!
//! With `--l1 anvil` it has an L1, too: see `devnet/l1.rs`.

mod l1;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use attest::{Certificate, CommitteeFile, RollupId, SeatIndex, SubmitterKey, Thresholds};
use bytes::Bytes;
use dac_client::{BatchName, Client, ClientConfig, Silent, SubmitOptions};
use fpga::DeviceName;
use serde::Serialize;

use super::client::{Bar, failure};
use crate::api::Backend;
use crate::cli::{Failure, Output};
use crate::clock::Clock;
use crate::devnet::{Devnet, DevnetConfig, Transport};
use crate::node::NodeHandle;
use crate::service::{BatchRef, BatchStatus, Outcome};

/// A real rollup block, so that the command needs no file.
const DEFAULT_BATCH: &[u8] = include_bytes!("../../../tests/data/scroll-block-03.json");
const DEFAULT_BATCH_NAME: &str = "tests/data/scroll-block-03.json";
/// How long hot copies and shards of the demonstration are kept.
const HOT_FOR: Duration = Duration::from_secs(24 * 3600);
const RETAIN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Arguments of `dac devnet`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Members n
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub members: u16,
    /// Minimum shards k [default: f + 1, f = (n - 1) / 3]
    #[arg(long, value_name = "K")]
    pub minimum_shards: Option<u16>,
    /// Quorum q [default: n - f]
    #[arg(long, value_name = "Q")]
    pub quorum: Option<u16>,
    /// Batch to submit; may be given several times [default: a real rollup block]
    #[arg(long = "batch", value_name = "FILE")]
    pub batches: Vec<PathBuf>,
    /// Members to stop before the batch is read back [default: n - q]
    #[arg(long, value_name = "M")]
    pub stop: Option<u16>,
    /// Hash on a device: xdma:0, serial:PATH, tcp:HOST:PORT or unix:PATH; for instance a running `rtl-sim`
    #[arg(long, value_name = "DEVICE")]
    pub hash_device: Option<DeviceName>,
    /// Also start an L1 here: deploy, register, activate, certify, verify on chain, rotate one member, certify again
    #[arg(long, value_enum, conflicts_with_all = ["serve", "stop", "data_dir"])]
    pub l1: Option<l1::Chain>,
    /// What members speak to each other
    #[arg(long, value_enum, default_value_t)]
    pub transport: Transport,
    /// Stay up and print URLs
    #[arg(long)]
    pub serve: bool,
    /// Where keys and stores go, used again if there [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// The last line of stdout with `--json`. The fields of the first batch stand at the top.
#[derive(Debug, Serialize)]
struct Report {
    members: u16,
    minimum_shards: u16,
    quorum: u16,
    committee: CommitteeReport,
    #[serde(flatten)]
    first: BatchReport,
    stopped: Vec<u16>,
    peak_rss_bytes: u64,
    hash_engine: String,
    urls: Vec<String>,
    data_dir: String,
    /// All batches, the first one included.
    batches: Vec<BatchReport>,
}

#[derive(Debug, Serialize)]
struct CommitteeReport {
    epoch: u64,
    chain_id: u64,
    registry: String,
    committee_hash: String,
    public_keys: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct BatchReport {
    batch: String,
    batch_bytes: u64,
    batch_id: String,
    data_hash: String,
    data_root: String,
    shards_root: String,
    signers: Vec<SeatIndex>,
    certificate: String,
    certificate_verified: bool,
    time_to_certificate_ms: f64,
    stage_ms: BTreeMap<String, f64>,
    sender_bytes_ratio: f64,
    member_bytes_in_ratio_max: f64,
    retrieved: bool,
    retrieval_ms: f64,
}

/// Runs the demonstration.
///
/// # Errors
/// Anything that does not end as it should: no certificate, a certificate that does not verify, other bytes back.
pub fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let thresholds = thresholds(&args)?;
    let stop = stop_count(&args, thresholds)?;
    let batches = read_batches(&args.batches)?;
    if let Some(l1::Chain::Anvil) = args.l1 {
        return l1::run(thresholds, args.transport, &batches, output);
    }
    let temporary = tempfile::tempdir().map_err(|error| Failure::write(&std::env::temp_dir(), &error))?;
    let directory = args.data_dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    super::runtime()?.block_on(async {
        let spinner = output.spinner("starting members");
        let mut config =
            DevnetConfig { transport: args.transport, ..DevnetConfig::new(thresholds, &directory) };
        config.hash.use_device(args.hash_device.as_ref());
        let devnet = Devnet::start(config).await;
        spinner.finish_and_clear();
        let mut devnet = devnet.map_err(|error| cannot_start(&error))?;
        show_members(&devnet, output);
        let demonstrated = demonstrate(&mut devnet, &batches, stop, output).await;
        let served = match demonstrated {
            Ok(()) if args.serve => serve(&mut devnet, output).await,
            other => other,
        };
        let stopped = devnet.stop().await;
        served?;
        stopped
            .map_err(|error| Failure::other(format!("stopping: {error:#}"), "see the log with DAC_LOG=info"))
    })
}

fn thresholds(args: &Args) -> Result<Thresholds, Failure> {
    let unusable = |error: attest::Error| Failure::usage(error.to_string(), "see: dac params --members N");
    let default = Thresholds::default_for(args.members).map_err(unusable)?;
    let k = args.minimum_shards.unwrap_or(default.minimum_shards());
    let q = args.quorum.unwrap_or(default.quorum().max(k));
    Thresholds::new(args.members, k, q).map_err(unusable)
}

fn stop_count(args: &Args, thresholds: Thresholds) -> Result<u16, Failure> {
    let most = thresholds.members() - thresholds.minimum_shards();
    let stop = args.stop.unwrap_or(thresholds.offline_members_tolerated().min(most));
    if stop > most {
        let detail = format!("--stop {stop}: with more than n - k = {most} members gone the batch is gone");
        return Err(Failure::usage(detail, "stop fewer members, or choose a smaller --minimum-shards"));
    }
    Ok(stop)
}

fn read_batches(paths: &[PathBuf]) -> Result<Vec<(String, Bytes)>, Failure> {
    if paths.is_empty() {
        return Ok(vec![(DEFAULT_BATCH_NAME.to_owned(), Bytes::from_static(DEFAULT_BATCH))]);
    }
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| Failure::read(path, &error));
    paths.iter().map(|path| Ok((path.display().to_string(), read(path)?.into()))).collect()
}

fn cannot_start(error: &anyhow::Error) -> Failure {
    Failure::other(format!("the devnet did not start: {error:#}"), "see the log with DAC_LOG=info")
}

fn show_members(devnet: &Devnet, output: &Output) {
    let thresholds = devnet.committee().thresholds();
    let (n, k, q) = (thresholds.members(), thresholds.minimum_shards(), thresholds.quorum());
    output.line(&output.heading(&format!("{n} members, any {k} hold every batch, {q} sign a certificate")));
    let rows: Vec<Vec<String>> = devnet
        .running()
        .map(|(seat, member)| {
            let entry = &devnet.committee_file().members[usize::from(seat)];
            vec![seat.to_string(), member.api_url(), entry.addresses.join(" ")]
        })
        .collect();
    output.line(&output.table(&["seat", "API", "libp2p"], &rows));
    output.line(&format!("committee {}", devnet.committee().hash()));
    for warning in thresholds.warnings() {
        output.warn(&warning.to_string());
    }
}

async fn demonstrate(
    devnet: &mut Devnet,
    batches: &[(String, Bytes)],
    stop: u16,
    output: &Output,
) -> Result<(), Failure> {
    let mut reports = Vec::new();
    for (name, batch) in batches {
        reports.push(certify(&Committee::of(devnet)?, name, batch, output).await?);
    }
    let stopped = stop_members(devnet, stop, output).await?;
    for (report, (_, batch)) in reports.iter_mut().zip(batches) {
        fetch_back(devnet, report, batch, output).await?;
    }
    let report = report(devnet, reports, stopped);
    let all_well = report.batches.iter().all(|batch| batch.retrieved && batch.certificate_verified);
    let peak = bytesize::ByteSize(report.peak_rss_bytes);
    output.result(&report, &format!("\nall bytes came back; peak memory of the whole committee {peak}"))?;
    if !all_well {
        return Err(Failure::verification(
            "devnet",
            "a batch did not come back as it was",
            "report this as a bug",
        ));
    }
    Ok(())
}

/// A running committee as its rollup sees it.
struct Committee {
    client: Client,
    submitter: SubmitterKey,
    rollup_id: RollupId,
    clock: Arc<dyn Clock>,
    /// Where its file is.
    path: PathBuf,
    nodes: Vec<(u16, NodeHandle)>,
}

impl Committee {
    fn of(devnet: &Devnet) -> Result<Committee, Failure> {
        let submitter = SubmitterKey::from_bytes(&devnet.submitter().to_bytes());
        Ok(Committee {
            client: client(devnet)?,
            submitter: submitter
                .map_err(|error| Failure::other(error.to_string(), "report this as a bug"))?,
            rollup_id: devnet.rollup_id(),
            clock: devnet.clock().clone(),
            path: devnet.committee_path(),
            nodes: devnet.running().map(|(seat, member)| (seat, member.node())).collect(),
        })
    }
}

/// Submits one batch over HTTP and has its certificate verified by somebody who has the committee file only.
async fn certify(
    committee: &Committee,
    name: &str,
    batch: &Bytes,
    output: &Output,
) -> Result<BatchReport, Failure> {
    output.line(&format!("\n{}", output.heading(&format!("submitting {name}, {} bytes", batch.len()))));
    let bar = Bar::new(output);
    let started = committee.clock.now().monotonic;
    let options = SubmitOptions::new(HOT_FOR, RETAIN_FOR);
    let Committee { client, submitter, rollup_id, .. } = committee;
    let submitted = client.submit_reporting(submitter, *rollup_id, batch.clone(), options, &bar).await;
    bar.finish();
    let took = committee.clock.now().monotonic.saturating_sub(started);
    let submitted = submitted.map_err(failure)?;
    let report = submitted.report();
    let statuses = statuses(committee, &submitted.certificate.batch_id()).await;
    let coordinator = statuses.values().next().map_or(0, |status| status.coordinator);
    let status = statuses.get(&coordinator);
    if let Some(status) = status {
        show_status(status, output);
    }
    let ratio = |bytes: u64| bytes as f64 / batch.len() as f64;
    let received =
        statuses.iter().filter(|(seat, _)| **seat != coordinator).map(|(_, s)| ratio(s.received_bytes));
    let report = BatchReport {
        batch: name.to_owned(),
        batch_bytes: batch.len() as u64,
        batch_id: report.batch_id.to_string(),
        data_hash: report.statement.data_hash.to_string(),
        data_root: report.statement.data_root.to_string(),
        shards_root: report.statement.shards_root.to_string(),
        signers: report.signers,
        certificate_verified: verify_with_file(&committee.path, &report.certificate)?,
        certificate: report.certificate,
        time_to_certificate_ms: took.as_secs_f64() * 1e3,
        stage_ms: status.map(|status| status.stage_ms.clone()).unwrap_or_default(),
        sender_bytes_ratio: status.map_or(0.0, |status| ratio(status.sent_bytes)),
        member_bytes_in_ratio_max: received.fold(0.0, f64::max),
        retrieved: false,
        retrieval_ms: 0.0,
    };
    show_certificate(&report, output);
    Ok(report)
}

fn client(devnet: &Devnet) -> Result<Client, Failure> {
    Client::new(ClientConfig::new(devnet.api_urls(), devnet.committee().clone())).map_err(failure)
}

/// What every member says about the batch once it is settled there.
async fn statuses(committee: &Committee, batch_id: &attest::BatchId) -> BTreeMap<u16, BatchStatus> {
    let mut statuses = BTreeMap::new();
    for (seat, node) in &committee.nodes {
        // A member that never heard of the batch has no status; the certificate comes to all others.
        let waited = tokio::time::timeout(Duration::from_secs(10), node.wait(*batch_id)).await;
        let status = match waited {
            Ok(_) => node.status(BatchRef::Id(*batch_id)).await,
            Err(_) => None,
        };
        statuses.extend(status.map(|status| (*seat, status)));
    }
    statuses
}

fn show_status(status: &BatchStatus, output: &Output) {
    let mut stages: Vec<(&String, &f64)> = status.stage_ms.iter().collect();
    stages.sort_by(|a, b| a.1.total_cmp(b.1));
    let stages: Vec<String> = stages.iter().map(|(stage, ms)| format!("{stage} {ms:.1}")).collect();
    output.line(&format!("coordinator, ms since the bytes came: {}", stages.join(", ")));
    let rows: Vec<Vec<String>> = status
        .members
        .iter()
        .map(|member| {
            let outcome = match member.outcome {
                Outcome::Signed => "signed".to_owned(),
                Outcome::Refused => "refused".to_owned(),
                Outcome::Waiting => "waiting".to_owned(),
            };
            let reason = member.reason.map(|reason| reason.code().to_owned()).unwrap_or_default();
            let after = member.after_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
            vec![member.seat.to_string(), outcome, after, reason, member.detail.clone().unwrap_or_default()]
        })
        .collect();
    output.line(&output.table(&["seat", "answer", "after", "reason", "detail"], &rows));
}

fn show_certificate(report: &BatchReport, output: &Output) {
    let signers: Vec<String> = report.signers.iter().map(|seat| seat.0.to_string()).collect();
    output.line(&format!(
        "batch id    {}\ndataHash    {}\ndataRoot    {}\nshardsRoot  {}\nsigners     {}",
        report.batch_id,
        report.data_hash,
        report.data_root,
        report.shards_root,
        signers.join(" ")
    ));
    output.line(&format!("certificate {}", report.certificate));
    output.line(&format!(
        "certified after {:.1} ms; the coordinator sent {:.2} batches, a member received at most {:.2}",
        report.time_to_certificate_ms, report.sender_bytes_ratio, report.member_bytes_in_ratio_max
    ));
    if report.certificate_verified {
        output.line("verified by somebody who has the committee file only");
    }
}

/// Reads the committee from its file and verifies the certificate against it, with nothing else in hand.
fn verify_with_file(path: &Path, certificate: &str) -> Result<bool, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::read(path, &error))?;
    let wrong = |detail: String| Failure::verification("certificate", detail, "report this as a bug");
    let committee =
        CommitteeFile::from_json(&text).and_then(|file| file.check()).map_err(|e| wrong(e.to_string()))?;
    let bytes =
        hex::decode(certificate.trim_start_matches("0x")).map_err(|error| wrong(error.to_string()))?;
    let decoded = Certificate::decode_strict(&bytes).map_err(|error| wrong(error.to_string()))?;
    Ok(decoded.verify(&committee).is_ok())
}

/// Stops the coordinator and the members after it.
async fn stop_members(devnet: &mut Devnet, count: u16, output: &Output) -> Result<Vec<u16>, Failure> {
    let seats: Vec<u16> = (0..count).collect();
    for seat in &seats {
        devnet.stop_member(*seat).await.map_err(|error| cannot_start(&error))?;
    }
    if !seats.is_empty() {
        let shown: Vec<String> = seats.iter().map(ToString::to_string).collect();
        output.line(&format!("\nstopped members {}, the coordinator among them", shown.join(" ")));
    }
    Ok(seats)
}

async fn fetch_back(
    devnet: &Devnet,
    report: &mut BatchReport,
    batch: &Bytes,
    output: &Output,
) -> Result<(), Failure> {
    let client = client(devnet)?;
    let id: attest::BatchId = report
        .batch_id
        .parse()
        .map_err(|error: attest::Error| Failure::other(error.to_string(), "report this as a bug"))?;
    let started = devnet.clock().now().monotonic;
    let (bytes, fetched) = client.fetch_bytes(BatchName::Id(id), &Silent).await.map_err(failure)?;
    report.retrieval_ms = devnet.clock().now().monotonic.saturating_sub(started).as_secs_f64() * 1e3;
    report.retrieved = bytes == *batch;
    let verdict = if report.retrieved { "byte for byte the same" } else { "DIFFERENT" };
    output.line(&format!(
        "fetched {} bytes from {} in {:.1} ms: {verdict}",
        bytes.len(),
        fetched.endpoints.join(", "),
        report.retrieval_ms
    ));
    Ok(())
}

fn report(devnet: &Devnet, batches: Vec<BatchReport>, stopped: Vec<u16>) -> Report {
    let thresholds = devnet.committee().thresholds();
    let file = devnet.committee_file();
    Report {
        members: thresholds.members(),
        minimum_shards: thresholds.minimum_shards(),
        quorum: thresholds.quorum(),
        committee: CommitteeReport {
            epoch: file.epoch.0,
            chain_id: file.chain_id,
            registry: file.registry.to_string(),
            committee_hash: devnet.committee().hash().to_string(),
            public_keys: file.members.iter().map(|member| member.public_key.to_string()).collect(),
        },
        first: batches[0].clone(),
        stopped,
        peak_rss_bytes: peak_rss_bytes(),
        hash_engine: devnet.hash().hasher().engine().to_owned(),
        urls: devnet.api_urls(),
        data_dir: devnet.directory().display().to_string(),
        batches,
    }
}

/// The most memory this process ever had resident, from the kernel; 0 where the kernel does not say.
pub(super) fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Brings stopped members back and stays up until a signal.
async fn serve(devnet: &mut Devnet, output: &Output) -> Result<(), Failure> {
    for seat in 0..devnet.committee().thresholds().members() {
        if devnet.member(seat).is_none() {
            devnet.restart_member(seat).await.map_err(|error| cannot_start(&error))?;
        }
    }
    output.note("\nserving until Ctrl-C:");
    for url in devnet.api_urls() {
        output.note(&format!("  {url}  (docs: {url}/docs, metrics: {url}/metrics)"));
    }
    let directory = devnet.directory().display();
    output.note(&format!(
        "submit with:\n  DAC_PASSWORD=devnet dac submit FILE --committee {directory}/committee.json --endpoint {} \
         --rollup {} --key {directory}/submitter.json",
        devnet.api_urls()[0],
        devnet.rollup_id()
    ));
    super::node::stop_signal().await;
    output.note("stopping");
    Ok(())
}
