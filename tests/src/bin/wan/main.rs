//! `wan`: a committee over emulated distance, coded beside full replication. `cargo xtask bench wan` builds it optimised.
//!
//! Members are processes in namespaces of their own; the client sits beside its coordinator. Every member has an uplink
//! and a downlink of the rate. The bound is two round trips, the transfer of 1.75 batches at the rate of a link, and
//! hashing: what hashing and coding of one batch cost all members together, divided by the processors they share here. It is
//! measured before every batch, on all processors at once: a median over the same minutes as the times it bounds.

mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use attest::Thresholds;
use bytes::Bytes;
use clap::Parser;
use dac_node::clock::{Clock, SystemClock};
use dac_node::config::NodeConfig;
use e2e::{Answer, Link, Members, Setup, Times, metric, noise, until};
use serde::Serialize;

use work::Work;

/// Batches that a link carries within the bound.
const TRANSFER_BATCHES: f64 = 1.75;

/// Measures.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench wan")]
struct Cli {
    /// Committee size, with default thresholds
    #[arg(long, default_value_t = 7)]
    members: u16,
    /// Round trip between any two members
    #[arg(long, default_value = "50ms", value_parser = duration)]
    round_trip: Duration,
    /// Of every uplink and downlink, Mbit/s
    #[arg(long, default_value_t = 400.0)]
    rate: f64,
    /// Share of packets that are lost
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Length of a batch
    #[arg(long, default_value = "1MiB")]
    batch: bytesize::ByteSize,
    /// Batches one after the other, for each way to disperse
    #[arg(long, default_value_t = 100)]
    batches: u64,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
    /// Where the report goes, as JSON
    #[arg(long, default_value = "target/bench/wan.json")]
    out: PathBuf,
}

fn duration(text: &str) -> Result<Duration, String> {
    let number =
        text.trim_end_matches("ms").parse::<f64>().map_err(|error| format!("{error}, as in 50ms"))?;
    Duration::try_from_secs_f64(number / 1e3).map_err(|error| error.to_string())
}

/// One way to disperse. Times are from the client's first byte to the certificate in its hands, nearest rank.
#[derive(Debug, Serialize)]
struct Row {
    dispersal: &'static str,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// When the coordinator had done each stage, since the batch came to it; medians.
    stages_p50_ms: BTreeMap<String, f64>,
    /// When the others had, since the open came to each of them; medians over members and batches.
    member_stages_p50_ms: BTreeMap<String, f64>,
    /// When as many members as the quorum had answered it; median.
    quorum_p50_ms: f64,
    /// Hashing and coding of one batch by one member, while all processors do the same; median of as many turns as batches.
    hashing_p50_ms: f64,
    /// Processor time of the whole machine while one batch was certified: members, emulator, kernel, client; mean.
    processors_busy_ms: f64,
    /// Signatures in a certificate; mean.
    signers_mean: f64,
    /// Bytes between members, for each byte of a batch: sent by the coordinator, and received at most by a member.
    coordinator_sent_ratio: f64,
    member_received_ratio_max: f64,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    work: &'static str,
    members: u16,
    minimum_shards: u16,
    quorum: u16,
    batch_bytes: u64,
    batches: u64,
    round_trip_ms: f64,
    rate_mbit: f64,
    loss: f64,
    processors: usize,
    /// Hashing and coding of one batch by all members on the processors they share, as measured beside the coded row.
    shared_hashing_ms: f64,
    bound_p50_ms: f64,
    bound_p99_ms: f64,
    rows: Vec<Row>,
    within_bounds: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(measure(&cli))?;
    let text = serde_json::to_string_pretty(&report)? + "\n";
    if let Some(folder) = cli.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&cli.out, &text).with_context(|| format!("cannot write {}", cli.out.display()))?;
    if cli.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report, &cli.out);
    }
    Ok(if report.within_bounds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(cli: &Cli) -> anyhow::Result<Report> {
    let thresholds = Thresholds::default_for(cli.members)?;
    let bytes = usize::try_from(cli.batch.as_u64())?;
    let work = Work::new(&thresholds, bytes, processors())?;
    let round_trip_ms = cli.round_trip.as_secs_f64() * 1e3;
    let transfer_ms = TRANSFER_BATCHES * bytes as f64 * 8.0 / (cli.rate * 1e6) * 1e3;
    let coded = disperse(cli, &thresholds, &work, "coded", &[]).await?;
    let full = disperse(cli, &thresholds, &work, "full_replication", &["--full-replication"]).await?;
    let sharing = f64::from(cli.members) / processors().min(usize::from(cli.members)) as f64;
    let shared_hashing_ms = coded.hashing_p50_ms * sharing;
    let bound_p50_ms = 2.0 * round_trip_ms + transfer_ms + shared_hashing_ms;
    let within_bounds = coded.p50_ms <= bound_p50_ms && coded.p99_ms <= 2.0 * bound_p50_ms;
    Ok(Report {
        work: "wan",
        members: cli.members,
        minimum_shards: thresholds.minimum_shards(),
        quorum: thresholds.quorum(),
        batch_bytes: cli.batch.as_u64(),
        batches: cli.batches,
        round_trip_ms,
        rate_mbit: cli.rate,
        loss: cli.loss,
        processors: processors(),
        shared_hashing_ms,
        bound_p50_ms,
        bound_p99_ms: 2.0 * bound_p50_ms,
        rows: vec![coded, full],
        within_bounds,
    })
}

async fn disperse(
    cli: &Cli,
    thresholds: &Thresholds,
    work: &Work,
    dispersal: &'static str,
    arguments: &'static [&'static str],
) -> anyhow::Result<Row> {
    let bytes = usize::try_from(cli.batch.as_u64())?;
    let directory = tempfile::tempdir()?;
    let program = std::env::current_exe()?.with_file_name("member");
    let adjust = |_: u16, config: &mut NodeConfig| config.log.level = "error".to_owned();
    let (program, directory) = (program.as_path(), directory.path());
    let setup = Setup { program, arguments, thresholds: *thresholds, directory, emulated: true, adjust };
    let mut members = Members::prepare(&setup)?;
    let links = members.network().links();
    let links = links.context("distance needs network namespaces: run as root, or with CAP_NET_ADMIN")?;
    // Before the first connection: TCP and Yamux measure the round trip when they connect, and size their windows by it for
    // the next 10 seconds.
    links.set_all(Link { delay: cli.round_trip / 2, loss: cli.loss, cut: false });
    links.set_rate(cli.rate * 1e6);
    members.start_all().await?;
    let (rollup, clock) = (members.rollup(), SystemClock::new());
    let (mut times, mut quorum, mut busy) = (Vec::new(), Vec::new(), Duration::ZERO);
    let (mut hashing, mut signers) = (Vec::new(), 0);
    let (mut stages, mut member_stages) = (Stages::new(), Stages::new());
    let mut before = traffic(&members).await?;
    // The first ones are not measured: connections, caches and threads get warm.
    let warm = 3;
    for number in 0..cli.batches + warm {
        if number == warm {
            before = traffic(&members).await?;
        }
        let batch = noise(number, bytes);
        if number >= warm {
            hashing.push(work.on_all_processors()?);
        }
        let wanted = Times::from(clock.now().unix_seconds);
        let busy_before = processors_busy()?;
        let (answer, took) = tokio::task::block_in_place(|| submit(&members, &batch, wanted))?;
        anyhow::ensure!(answer.status == 200, "not certified: {}", answer.text());
        if number >= warm {
            busy += processors_busy()?.saturating_sub(busy_before);
            times.push(took.as_secs_f64() * 1e3);
            let status = &answer.json()["status"];
            add_stages(&mut stages, status);
            quorum.extend(answered(status, usize::from(thresholds.quorum())));
        }
        settled(&members, number + 1).await;
        if number >= warm {
            let certified = answer.certified(members.committee());
            signers += certified.certificate.signers().len();
            let path = format!("/v1/batches/{}/status", certified.batch_id);
            for seat in 1..members.len() {
                add_stages(&mut member_stages, &rollup.try_get(members.api(seat), &path).await?.json());
            }
        }
    }
    let after = traffic(&members).await?;
    let batches = cli.batches as f64;
    let total = batches * bytes as f64;
    let received = before.iter().zip(&after).skip(1).map(|(before, after)| (after.1 - before.1) / total);
    times.sort_by(f64::total_cmp);
    Ok(Row {
        dispersal,
        p50_ms: rank(&times, 50),
        p90_ms: rank(&times, 90),
        p99_ms: rank(&times, 99),
        max_ms: rank(&times, 100),
        stages_p50_ms: medians(stages),
        member_stages_p50_ms: medians(member_stages),
        quorum_p50_ms: median(quorum),
        hashing_p50_ms: median(hashing),
        processors_busy_ms: busy.as_secs_f64() * 1e3 / batches,
        signers_mean: signers as f64 / batches,
        coordinator_sent_ratio: (after[0].0 - before[0].0) / total,
        member_received_ratio_max: received.fold(0.0, f64::max),
    })
}

/// Submits from the coordinator's own network; the answer, and how long it took.
fn submit(members: &Members, batch: &Bytes, times: Times) -> anyhow::Result<(Answer, Duration)> {
    let (rollup, clock) = (members.rollup(), SystemClock::new());
    members.beside(0, |api| {
        let request = rollup.request(api, batch, times);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let begun = clock.now().monotonic;
        let answer = runtime.block_on(Answer::try_of(request))?;
        Ok((answer, clock.now().monotonic - begun))
    })
}

/// Times of each stage, ms.
type Stages = BTreeMap<String, Vec<f64>>;

fn add_stages(stages: &mut Stages, status: &serde_json::Value) {
    for (stage, ms) in status["stage_ms"].as_object().into_iter().flatten() {
        stages.entry(stage.clone()).or_default().extend(ms.as_f64());
    }
}

fn medians(stages: Stages) -> BTreeMap<String, f64> {
    stages.into_iter().map(|(stage, times)| (stage, median(times))).collect()
}

/// When the member answered that made the quorum.
fn answered(status: &serde_json::Value, quorum: usize) -> Option<f64> {
    let members = status["members"].as_array()?;
    let mut after: Vec<f64> = members.iter().filter_map(|member| member["after_ms"].as_f64()).collect();
    after.sort_by(f64::total_cmp);
    after.get(quorum - 1).copied()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    rank(&times, 50)
}

/// Of times in order; zero when there are none.
fn rank(times: &[f64], percent: usize) -> f64 {
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times.get(rank - 1).copied().unwrap_or_default()
}

/// Waits until every member has signed all batches and has their certificates: the next batch, and what is measured before
/// it, find a quiet machine.
async fn settled(members: &Members, batches: u64) {
    for seat in 0..members.len() {
        until("every member signed, and has the certificate", || async {
            let (text, seat) = (members.metrics(seat).await.ok()?.text(), seat.to_string());
            let done = |stage| metric(&text, "dac_stage_batches_total", &[("seat", &seat), ("stage", stage)]);
            (done("signed").min(done("certified")) >= batches as f64).then_some(())
        })
        .await;
    }
}

/// Time that all processors of the machine have worked: user, nice, system, interrupts (proc(5), `/proc/stat`).
fn processors_busy() -> anyhow::Result<Duration> {
    /// Kernels count in hundredths of a second for user space.
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let counts: Vec<f64> = text.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
    let ticks: f64 = [0, 1, 2, 5, 6].iter().filter_map(|column: &usize| counts.get(*column)).sum();
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

/// Bytes that each member sent and received between members so far.
async fn traffic(members: &Members) -> anyhow::Result<Vec<(f64, f64)>> {
    let mut all = Vec::new();
    for seat in 0..members.len() {
        let text = members.metrics(seat).await?.text();
        let seat = seat.to_string();
        let of = |direction: &str| -> f64 {
            let of_class = |class| {
                let labels = [("seat", &*seat), ("direction", direction), ("class", class)];
                metric(&text, "dac_network_bytes_total", &labels)
            };
            ["bulk", "repair", "control"].into_iter().map(of_class).sum()
        };
        all.push((of("out"), of("in")));
    }
    Ok(all)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn in_order(stages: &BTreeMap<String, f64>) -> String {
    let mut stages: Vec<(&String, &f64)> = stages.iter().collect();
    stages.sort_by(|a, b| a.1.total_cmp(b.1));
    let stages: Vec<String> = stages.into_iter().map(|(name, ms)| format!("{name} {ms:.1}")).collect();
    stages.join(", ")
}

fn print(report: &Report, out: &Path) {
    println!(
        "{} members ({}, {}), {} ms round trip, {} Mbit/s, {} batches of {} bytes",
        report.members,
        report.minimum_shards,
        report.quorum,
        report.round_trip_ms,
        report.rate_mbit,
        report.batches,
        report.batch_bytes
    );
    println!(
        "dispersal         p50 ms   p90 ms   p99 ms   longest  sent  received  signers  processors busy, ms"
    );
    for row in &report.rows {
        println!(
            "{:16} {:7.1}  {:7.1}  {:7.1}  {:7.1}  {:4.2}  {:4.2}      {:3.1}      {:.0}",
            row.dispersal,
            row.p50_ms,
            row.p90_ms,
            row.p99_ms,
            row.max_ms,
            row.coordinator_sent_ratio,
            row.member_received_ratio_max,
            row.signers_mean,
            row.processors_busy_ms
        );
    }
    for row in &report.rows {
        let mut stages = row.stages_p50_ms.clone();
        stages.insert("quorum answered".to_owned(), row.quorum_p50_ms);
        println!("{} at the coordinator, ms: {}", row.dispersal, in_order(&stages));
        println!("{} at the others, ms: {}", row.dispersal, in_order(&row.member_stages_p50_ms));
    }
    println!(
        "bound of the coded p50 {:.1} ms, of p99 {:.1} ms; hashing and coding of all members {:.1} ms of it",
        report.bound_p50_ms, report.bound_p99_ms, report.shared_hashing_ms
    );
    println!(
        "{}; report in {}",
        if report.within_bounds { "within bounds" } else { "not within bounds" },
        out.display()
    );
}
