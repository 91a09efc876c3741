//! `dac bench load`: submissions as they come in real life, against a devnet or a running committee.
//!
//! Two ways to load. With `--rate` arrivals are *open*: they come at random times (exponential pauses) whether or not
//! earlier ones are done, and the time of one counts from when it was due, so that a committee that falls behind cannot
//! hide it. Without, each client submits its next batch when it holds the certificate of the last (*closed*).
//!
//! Bounds: at most `--outstanding-max` submissions at once; an arrival beyond is counted as dropped, not sent. Every batch
//! is new. Nothing is retried: each refusal is an error in the report, by its code.

mod report;
mod scrape;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use attest::{CommitteeFile, RollupId, SubmitterKey};
use bytes::Bytes;
use dac_client::{Client, ClientConfig, SubmitOptions};
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{Semaphore, mpsc};

use super::super::client::{failure, urls};
use super::super::keys::{PasswordArgs, parse_url};
use super::super::{committee, runtime};
use crate::cli::{Failure, Output};
use crate::clock::{Clock, SystemClock};
use crate::devnet::{Devnet, DevnetConfig};
use crate::keystore::{Prompt, load_submitter};
use report::{Collected, Ended, Report, Setup};

/// Arguments of `dac bench load`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Submissions a second, at random times; without it each client submits one after the other
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// Clients, each with connections of its own and another member to ask first
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: u16,
    /// Lengths of batches, each as likely
    #[arg(long, value_name = "SIZE", value_delimiter = ',', default_value = "1MiB")]
    sizes: Vec<bytesize::ByteSize>,
    /// Submissions begin for so long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Submissions at once; an arrival beyond is dropped and counted
    #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    outstanding_max: u16,
    /// Members of the devnet to start, with default thresholds
    #[arg(long, value_name = "N", default_value_t = 7, conflicts_with = "committee")]
    members: u16,
    /// A running committee instead of a devnet
    #[arg(long, value_name = "FILE", requires = "rollup", requires = "key")]
    committee: Option<PathBuf>,
    /// Base URL of a member of it; may be given several times [default: those in the committee file]
    #[arg(long = "endpoint", value_name = "URL", requires = "committee", value_parser = parse_url)]
    endpoints: Vec<String>,
    /// The rollup that submits to it
    #[arg(long, value_name = "ID", requires = "committee")]
    rollup: Option<RollupId>,
    /// Keystore of the rollup's submitter key
    #[arg(long, value_name = "FILE", requires = "committee")]
    key: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    /// Seed of arrivals and lengths; batches are new in every run
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Write the report to this file too, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn positive(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err("a number above 0 is needed".to_owned()) }
}

/// Whom to load, and as whom.
struct Target {
    file: CommitteeFile,
    endpoints: Vec<String>,
    rollup: RollupId,
    key: Arc<SubmitterKey>,
    /// Stopped at the end, when it was started here.
    devnet: Option<(Devnet, tempfile::TempDir)>,
}

pub(super) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let report = runtime()?.block_on(async {
        let target = target(&args).await?;
        let spinner = output.spinner(&format!("{} of load", humantime::format_duration(args.duration)));
        let report = measure(&args, &target).await;
        spinner.finish_and_clear();
        if let Some((devnet, _directory)) = target.devnet {
            devnet.stop().await.map_err(super::committee::broken)?;
        }
        report
    })?;
    if let Some(path) = &args.out {
        let json = serde_json::to_string_pretty(&report).map_err(super::committee::broken)? + "\n";
        std::fs::write(path, json).map_err(|error| Failure::write(path, &error))?;
    }
    output.result(&report, &report.text(output))
}

async fn target(args: &Args) -> Result<Target, Failure> {
    let (Some(path), Some(rollup), Some(key)) = (&args.committee, args.rollup, &args.key) else {
        let directory = tempfile::tempdir().map_err(super::committee::broken)?;
        let thresholds = attest::Thresholds::default_for(args.members).map_err(super::committee::broken)?;
        let devnet = Devnet::start(DevnetConfig::new(thresholds, directory.path())).await;
        let devnet = devnet.map_err(|error| super::committee::broken(format!("{error:#}")))?;
        let (file, endpoints) = (devnet.committee_file().clone(), devnet.api_urls());
        let key = SubmitterKey::from_bytes(&devnet.submitter().to_bytes());
        let (rollup, key) = (devnet.rollup_id(), Arc::new(key.map_err(super::committee::broken)?));
        return Ok(Target { file, endpoints, rollup, key, devnet: Some((devnet, directory)) });
    };
    let (file, _) = committee::load(path)?;
    let endpoints = if args.endpoints.is_empty() { urls(&file) } else { args.endpoints.clone() };
    let key = load_submitter(key, &args.password.obtain(Prompt::Open, key)?)?;
    Ok(Target { file, endpoints, rollup, key: Arc::new(key), devnet: None })
}

/// A client that asks another member first than the one before it, and asks once.
fn client(target: &Target, number: usize) -> Result<Client, Failure> {
    let committee = target.file.check().map_err(super::committee::broken)?;
    let mut endpoints = target.endpoints.clone();
    let first = number % endpoints.len().max(1);
    endpoints.rotate_left(first);
    let config = ClientConfig { attempts_max: 1, ..ClientConfig::new(endpoints, committee) };
    Client::new(config).map_err(failure)
}

async fn measure(args: &Args, target: &Target) -> Result<Report, Failure> {
    let clients = (0..usize::from(args.clients)).map(|number| client(target, number));
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let load = Arc::new(Load::new(args, target)?);
    // Not measured: connections, caches and threads get warm.
    for client in &clients {
        let _warm = load.submit(client, load.sizes[0], Duration::ZERO).await;
    }
    let before = scrape::all(&target.endpoints).await;
    let (cpu, begun) = (scrape::own_cpu_time(), load.clock.now().monotonic);
    let collected = match args.rate {
        Some(rate) => load.clone().open(clients, rate, args).await,
        None => load.clone().closed(clients, args).await,
    };
    let elapsed = load.clock.now().monotonic.saturating_sub(begun);
    let cpu = target.devnet.is_some().then(|| scrape::own_cpu_time().saturating_sub(cpu));
    let members = scrape::difference(&before, &scrape::all(&target.endpoints).await, &target.endpoints);
    let setup = Setup {
        rate: args.rate,
        clients: args.clients,
        sizes: args.sizes.iter().map(bytesize::ByteSize::as_u64).collect(),
        committee_members: target.file.members.len(),
        devnet_cpu: cpu,
    };
    Ok(Report::new(setup, collected, elapsed, members))
}

/// What all submissions share.
struct Load {
    clock: SystemClock,
    rollup: RollupId,
    key: Arc<SubmitterKey>,
    sizes: Vec<usize>,
    /// Random bytes, as long as the longest batch; each batch begins with a number of its own.
    noise: Bytes,
}

impl Load {
    fn new(args: &Args, target: &Target) -> Result<Load, Failure> {
        let sizes = args.sizes.iter().map(|size| usize::try_from(size.as_u64()));
        let sizes: Vec<usize> = sizes.collect::<Result<_, _>>().map_err(super::committee::broken)?;
        if sizes.contains(&0) {
            return Err(Failure::usage("an empty batch cannot be submitted", "give --sizes above 0"));
        }
        let mut noise = vec![0; sizes.iter().copied().max().unwrap_or(1)];
        rand::rng().fill_bytes(&mut noise);
        let (rollup, key) = (target.rollup, target.key.clone());
        Ok(Load { clock: SystemClock::new(), rollup, key, sizes, noise: noise.into() })
    }

    /// Random bytes that were never submitted: nothing is stored already.
    fn batch(&self, bytes: usize) -> Bytes {
        let mut batch = self.noise[..bytes].to_vec();
        let unique = rand::random::<[u8; 16]>();
        let fresh = bytes.min(unique.len());
        batch[..fresh].copy_from_slice(&unique[..fresh]);
        batch.into()
    }

    /// Submits one batch. Its time counts from `due`.
    async fn submit(&self, client: &Client, bytes: usize, due: Duration) -> Ended {
        let options = SubmitOptions::new(Duration::from_secs(3_600), Duration::from_secs(7_200));
        let result = client.submit(&self.key, self.rollup, self.batch(bytes), options).await;
        let took = self.clock.now().monotonic.saturating_sub(due);
        match result {
            Ok(_) => Ended::Certified { bytes: bytes as u64, took },
            Err(error) => Ended::Failed { reason: reason(&error) },
        }
    }

    /// Arrivals at random times, each with the next client.
    async fn open(self: Arc<Self>, clients: Vec<Client>, rate: f64, args: &Args) -> Collected {
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
        let (ended, mut results) = mpsc::channel(usize::from(args.outstanding_max));
        let places = Arc::new(Semaphore::new(usize::from(args.outstanding_max)));
        let collecting = tokio::spawn(async move {
            let mut collected = Collected::default();
            while let Some(result) = results.recv().await {
                collected.add(result);
            }
            collected
        });
        let begun = self.clock.now().monotonic;
        let (mut due, mut arrivals, mut dropped) = (begun, 0u64, 0u64);
        loop {
            // The pause between events of a Poisson process.
            due += Duration::from_secs_f64(-(1.0 - rng.random::<f64>()).ln() / rate);
            if due > begun + args.duration {
                break;
            }
            tokio::time::sleep(due.saturating_sub(self.clock.now().monotonic)).await;
            arrivals += 1;
            let bytes = *self.sizes.choose(&mut rng).expect("clap asks for at least one size");
            let Ok(place) = places.clone().try_acquire_owned() else {
                dropped += 1;
                continue;
            };
            let at = usize::try_from(arrivals).unwrap_or(0) % clients.len();
            let (load, client, ended) = (self.clone(), clients[at].clone(), ended.clone());
            tokio::spawn(async move {
                let result = load.submit(&client, bytes, due).await;
                // The collector lives until the last sender is gone.
                let _collected = ended.send(result).await;
                drop(place);
            });
        }
        drop(ended);
        let mut collected = collecting.await.unwrap_or_default();
        (collected.arrivals, collected.dropped) = (arrivals, dropped);
        collected
    }

    /// Each client one batch after the other.
    async fn closed(self: Arc<Self>, clients: Vec<Client>, args: &Args) -> Collected {
        let until = self.clock.now().monotonic + args.duration;
        let work = clients.into_iter().zip(0..).map(|(client, number)| {
            let (load, mut rng) = (self.clone(), ChaCha8Rng::seed_from_u64(args.seed ^ number << 32));
            tokio::spawn(async move {
                let mut collected = Collected::default();
                while load.clock.now().monotonic < until {
                    let bytes = *load.sizes.choose(&mut rng).expect("clap asks for at least one size");
                    collected.arrivals += 1;
                    collected.add(load.submit(&client, bytes, load.clock.now().monotonic).await);
                }
                collected
            })
        });
        let mut all = Collected::default();
        for one in futures::future::join_all(work).await {
            all.merge(one.unwrap_or_default());
        }
        all
    }
}

/// The member's code, or in a word what kept the client from hearing one.
fn reason(error: &dac_client::Error) -> String {
    if let Some(code) = error.code() {
        return code.to_owned();
    }
    let of_attempts = error.attempts().iter().rev().find_map(|attempt| attempt.problem.as_ref());
    match (of_attempts, error) {
        (Some(problem), _) => problem.code.clone(),
        (None, dac_client::Error::NotCertified { .. }) => "below_quorum".to_owned(),
        (None, dac_client::Error::NoCertificateInTime { .. }) => "no_certificate_in_time".to_owned(),
        (None, dac_client::Error::Exhausted { .. }) => "unreachable".to_owned(),
        (None, _) => "other".to_owned(),
    }
}
