//! What makes a configuration unusable, judged without disk and network.

use std::collections::BTreeSet;
use std::time::Duration;

use attest::{Address, BATCH_BYTES_MAX};
use bytesize::ByteSize;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use super::units::exact;
use super::{
    ApiConfig, HashConfig, HealConfig, L1Config, NetworkConfig, NodeConfig, StoreConfig, TimingsConfig,
};
use crate::service::RollupPolicy;

/// Most batches at once, whatever the memory: each has its own bookkeeping.
const BATCHES_IN_FLIGHT_MAX: usize = 4096;

/// More threads than this is a mistyped number.
const COMPUTE_THREADS_MAX: usize = 1024;

/// More connections than this need more file descriptors than a process usually gets.
const API_CONNECTIONS_MAX: usize = 65_536;

/// More blocks above an event than this is a mistyped number.
const CONFIRMATIONS_MAX: u64 = 10_000;

/// One bad value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}; {hint}")]
pub struct Problem {
    /// Path of the field, with dots.
    pub field: String,
    /// What is wrong, with both sides.
    pub detail: String,
    /// What to do.
    pub hint: String,
}

/// Collects problems.
#[derive(Default)]
struct Checker(Vec<Problem>);

impl Checker {
    fn require(
        &mut self,
        holds: bool,
        field: impl Into<String>,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if !holds {
            self.0.push(Problem { field: field.into(), detail: detail.into(), hint: hint.into() });
        }
    }
}

/// All problems, in the order of the file.
pub(super) fn problems(config: &NodeConfig) -> Vec<Problem> {
    let mut checker = Checker::default();
    limits(&mut checker, config);
    network(&mut checker, &config.network);
    api(&mut checker, &config.api, config.batch_bytes_max);
    timings(&mut checker, &config.timings);
    store(&mut checker, &config.store, config.batch_bytes_max);
    heal(&mut checker, &config.heal);
    hash_and_log(&mut checker, config);
    l1(&mut checker, &config.l1);
    if config.l1.providers.is_empty() {
        rollups(&mut checker, &config.rollups);
    }
    checker.0
}

fn limits(checker: &mut Checker, config: &NodeConfig) {
    let batch = config.batch_bytes_max;
    checker.require(
        (1..=BATCH_BYTES_MAX).contains(&batch.as_u64()),
        "batch_bytes_max",
        format!("{} is not from 1 byte to {}", exact(batch), exact(ByteSize(BATCH_BYTES_MAX))),
        "the protocol carries no larger batch, write \"64 MiB\" or less",
    );
    let in_flight = config.batches_in_flight_max;
    checker.require(
        (1..=BATCHES_IN_FLIGHT_MAX).contains(&in_flight),
        "batches_in_flight_max",
        format!("{in_flight} is not from 1 to {BATCHES_IN_FLIGHT_MAX}"),
        "64 suits most machines",
    );
    let budget = config.bytes_in_flight_max;
    checker.require(
        budget >= batch,
        "bytes_in_flight_max",
        format!("{} is less than one batch of {}", exact(budget), exact(batch)),
        "raise it, or lower batch_bytes_max",
    );
    let threads = config.compute_threads;
    checker.require(
        threads <= COMPUTE_THREADS_MAX,
        "compute_threads",
        format!("{threads} is more than {COMPUTE_THREADS_MAX}"),
        "0 takes one for each processor",
    );
}

fn network(checker: &mut Checker, network: &NetworkConfig) {
    let sample = "write for example \"/ip4/0.0.0.0/tcp/9547\"";
    checker.require(!network.listen.is_empty(), "network.listen", "is empty, nobody could connect", sample);
    for address in &network.listen {
        let detail = format!("{address} is neither TCP nor QUIC on an IP address");
        checker.require(can_listen(address), "network.listen", detail, sample);
    }
}

/// `/ip4|ip6/../tcp/..` or `/ip4|ip6/../udp/../quic-v1`, nothing after it.
fn can_listen(address: &Multiaddr) -> bool {
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    match parts.as_slice() {
        [Protocol::Ip4(_) | Protocol::Ip6(_), rest @ ..] => {
            matches!(rest, [Protocol::Tcp(_)] | [Protocol::Udp(_), Protocol::QuicV1])
        }
        _ => false,
    }
}

fn api(checker: &mut Checker, api: &ApiConfig, batch: ByteSize) {
    let connections = api.connections_max;
    checker.require(
        (1..=API_CONNECTIONS_MAX).contains(&connections),
        "api.connections_max",
        format!("{connections} is not from 1 to {API_CONNECTIONS_MAX}"),
        "1024 suits most machines",
    );
    let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(3600));
    for (field, time) in [("api.body_idle_max", api.body_idle_max), ("api.wait_max", api.wait_max)] {
        let detail = format!("{} is not from 1s to 1h", humantime::format_duration(time));
        checker.require(
            (shortest..=longest).contains(&time),
            field,
            detail,
            "seconds to a few minutes are usual",
        );
    }
    let budgets = [
        ("api.unauthenticated_bytes_max", api.unauthenticated_bytes_max),
        ("api.authorised_bytes_max", api.authorised_bytes_max),
    ];
    for (field, budget) in budgets {
        let detail = format!("{} is less than one batch of {}", exact(budget), exact(batch));
        checker.require(budget >= batch, field, detail, "raise it, or lower batch_bytes_max");
    }
}

fn timings(checker: &mut Checker, timings: &TimingsConfig) {
    let TimingsConfig {
        piece_timeout_floor,
        piece_timeout_ceiling,
        give_up_after,
        certificate_linger,
        member_answer_timeout,
        takeover_after,
    } = timings;
    let mut ordered = |field: &str, value: &Duration, other: &str, bound: &Duration| {
        let [value_text, bound_text] =
            [value, bound].map(|time| humantime::format_duration(*time).to_string());
        let detail = format!("{value_text} is shorter than {other} of {bound_text}");
        checker.require(
            value >= bound,
            format!("timings.{field}"),
            detail,
            format!("raise it, or lower {other}"),
        );
    };
    ordered("piece_timeout_floor", piece_timeout_floor, "the least", &Duration::from_millis(1));
    ordered("piece_timeout_ceiling", piece_timeout_ceiling, "piece_timeout_floor", piece_timeout_floor);
    ordered("give_up_after", give_up_after, "piece_timeout_ceiling", piece_timeout_ceiling);
    ordered("member_answer_timeout", member_answer_timeout, "give_up_after", give_up_after);
    ordered("takeover_after", takeover_after, "certificate_linger", certificate_linger);
}

fn store(checker: &mut Checker, store: &StoreConfig, batch: ByteSize) {
    if let Some(max) = store.max_bytes {
        // A content takes a hot copy and a shard, the shard at most as large as the batch.
        let least = ByteSize(batch.as_u64().saturating_mul(2));
        checker.require(
            max >= least,
            "store.max_bytes",
            format!("{} is less than {}, what one batch may take", exact(max), exact(least)),
            "raise it, or remove the line to use the whole file system above the reserve",
        );
    }
}

fn heal(checker: &mut Checker, heal: &HealConfig) {
    let HealConfig { repair_after, catch_up_every, scrub_rate, scrub_pause, audit_every, audit_deadline } =
        heal;
    let (shortest, longest) = (Duration::from_millis(10), Duration::from_secs(30 * 86_400));
    let pauses = [
        ("catch_up_every", catch_up_every),
        ("scrub_pause", scrub_pause),
        ("audit_every", audit_every),
        ("audit_deadline", audit_deadline),
    ];
    for (field, time) in pauses {
        let detail = format!("{} is not from 10ms to 30 days", humantime::format_duration(*time));
        let holds = (shortest..=longest).contains(time);
        checker.require(holds, format!("heal.{field}"), detail, "the default suits most members");
    }
    let day = Duration::from_secs(86_400);
    let detail = format!("{} is longer than a day", humantime::format_duration(*repair_after));
    let hint = "a shard that is missing longer is a promise not kept";
    checker.require(*repair_after <= day, "heal.repair_after", detail, hint);
    let detail = format!("{} is less than 64 KiB", exact(*scrub_rate));
    let hint = "slower than that, rot is found too late; 8 MiB suits most disks";
    checker.require(*scrub_rate >= ByteSize::kib(64), "heal.scrub_rate", detail, hint);
}

fn hash_and_log(checker: &mut Checker, config: &NodeConfig) {
    let HashConfig { engine, device, recheck_one_in, device_timeout, reattach_after } = &config.hash;
    checker.require(
        engine == "software" || engine == "fpga" || fpga_hash::software_by_name(engine).is_ok(),
        "hash.engine",
        format!("there is no engine \"{engine}\" on this machine"),
        format!("write \"software\", \"fpga\" or one of {}", fpga_hash::software_names().join(", ")),
    );
    let sample = "write for example \"xdma:0\"";
    let is_missing = engine == "fpga" && device.is_none();
    checker.require(!is_missing, "hash.device", "is missing, the engine \"fpga\" needs one", sample);
    if let Some(Err(error)) = device.as_deref().map(str::parse::<fpga::DeviceName>) {
        checker.require(false, "hash.device", error.to_string(), sample);
    }
    let (shortest, longest) = (Duration::from_millis(1), Duration::from_secs(60));
    for (field, time) in [("hash.device_timeout", device_timeout), ("hash.reattach_after", reattach_after)] {
        let detail = format!("{} is not from 1ms to 1min", humantime::format_duration(*time));
        checker.require((shortest..=longest).contains(time), field, detail, "a second or two are usual");
    }
    checker.require(*recheck_one_in > 0, "hash.recheck_one_in", "is 0", "1 computes every digest again");
    let level = config.log.level.as_str();
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(level) {
        let hint = "write for example \"info\" or \"info,libp2p=warn\"";
        checker.require(false, "log.level", format!("\"{level}\" is no filter ({error})"), hint);
    }
}

fn l1(checker: &mut Checker, l1: &L1Config) {
    for url in &l1.providers {
        let detail = format!("\"{url}\" is no URL of a JSON-RPC provider");
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        checker.require(is_http, "l1.providers", detail, "write for example \"http://127.0.0.1:8545\"");
    }
    let is_used = !l1.providers.is_empty();
    let named = l1.registry.is_some_and(|registry| registry != Address::ZERO);
    let hint = "it is where the committee's operators registered their keys";
    checker.require(named || !is_used, "l1.registry", "is missing", hint);
    let detail = format!("{} blocks above an event are more than {CONFIRMATIONS_MAX}", l1.confirmations);
    checker.require(l1.confirmations <= CONFIRMATIONS_MAX, "l1.confirmations", detail, "12 suit most chains");
    let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(600));
    let detail = format!("{} is not from 100ms to 10m", humantime::format_duration(l1.poll_period));
    let fits = (shortest..=longest).contains(&l1.poll_period);
    checker.require(fits, "l1.poll_period", detail, "the chain's time between blocks is a good one");
}

fn rollups(checker: &mut Checker, rollups: &[RollupPolicy]) {
    checker.require(
        !rollups.is_empty(),
        "rollups",
        "is empty, this member would refuse every batch",
        "add a [[rollups]] table with id and submitters",
    );
    let mut seen = BTreeSet::new();
    for (position, rollup) in rollups.iter().enumerate() {
        let field = |name: &str| format!("rollups[{position}].{name}");
        let detail = format!("{} is listed twice", rollup.id);
        checker.require(seen.insert(rollup.id), field("id"), detail, "merge the two tables");
        one_rollup(checker, rollup, field);
    }
}

fn one_rollup(checker: &mut Checker, rollup: &RollupPolicy, field: impl Fn(&str) -> String) {
    let hint = "list the addresses that `dac keys new --submitter` printed";
    checker.require(
        !rollup.submitters.is_empty(),
        field("submitters"),
        "is empty, nobody could submit",
        hint,
    );
    let zero = rollup.submitters.contains(&Address::ZERO);
    checker.require(!zero, field("submitters"), "has the zero address, which nobody can sign for", hint);
    let [batch, quota] = [rollup.batch_max, rollup.quota_per_day];
    checker.require(
        (1..=BATCH_BYTES_MAX).contains(&batch.as_u64()),
        field("batch_max"),
        format!("{} is not from 1 byte to {}", exact(batch), exact(ByteSize(BATCH_BYTES_MAX))),
        "the protocol carries no larger batch, write \"64 MiB\" or less",
    );
    checker.require(
        quota >= batch,
        field("quota_per_day"),
        format!("{} is less than one batch of {}", exact(quota), exact(batch)),
        "raise it, or lower batch_max",
    );
    checker.require(
        rollup.retention_max >= Duration::from_secs(60),
        field("retention_max"),
        format!("{} is less than a minute", humantime::format_duration(rollup.retention_max)),
        "write for example \"60days\"",
    );
}
