//! Prometheus metrics of every stage of a batch: their names, their meaning, and one place that records them.
//!
//! Promise: every metric but the two of the process carries the label `seat`, because seven members of a devnet share
//! one process and hence one recorder. Names follow Prometheus practice: base units, `_total` on counters.
//!
//! Terms: a [`Meter`] records for one seat; [`render`] writes the text of all seats. A histogram's buckets are
//! seconds. Left out on purpose: labels with unbounded values (batch ids, addresses, paths).

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{
    SharedString, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use rustix::time::{ClockId, clock_gettime};

use crate::custody::AuditOutcome;
use crate::service::Reason;

/// Batches that reached a stage. Labels: `seat`, `stage`.
pub const STAGE_BATCHES: &str = "dac_stage_batches_total";
/// Batch bytes that reached a stage. Labels: `seat`, `stage`.
pub const STAGE_BYTES: &str = "dac_stage_bytes_total";
/// Seconds that a stage took. Labels: `seat`, `stage`.
pub const STAGE_SECONDS: &str = "dac_stage_seconds";
/// Batches this member refused. Labels: `seat`, `reason`.
pub const REFUSED: &str = "dac_refused_total";
/// Bytes over the network. Labels: `seat`, `direction` (in, out), `class` (bulk, repair, control, http).
pub const NETWORK_BYTES: &str = "dac_network_bytes_total";
/// Entries waiting in a bounded queue. Labels: `seat`, `queue`.
pub const QUEUE_DEPTH: &str = "dac_queue_depth";
/// Entries a queue takes. Labels: `seat`, `queue`.
pub const QUEUE_CAPACITY: &str = "dac_queue_capacity";
/// Messages hashed by the engine. Labels: `seat`, `engine`, `function` (keccak256, poseidon).
pub const HASHES: &str = "dac_hash_messages_total";
/// Bytes hashed by the engine. Labels: `seat`, `engine`, `function`.
pub const HASH_BYTES: &str = "dac_hash_bytes_total";
/// Whether the hash device has work: 1 after a good self-test, 0 after a fault. Labels: `seat`.
pub const HASH_DEVICE_ATTACHED: &str = "dac_hash_device_attached";
/// Good self-tests of the hash device. Labels: `seat`.
pub const HASH_DEVICE_ATTACHMENTS: &str = "dac_hash_device_attachments_total";
/// Faults of the hash device. Labels: `seat`, `kind`.
pub const HASH_DEVICE_FAULTS: &str = "dac_hash_device_faults_total";
/// Bytes of the store. Labels: `seat`, `kind` (used, free, reserved).
pub const STORE_BYTES: &str = "dac_store_bytes";
/// Shards owed by this member. Labels: `seat`, `state` (live, here, checked, missing, damaged).
pub const SHARDS: &str = "dac_shards";
/// Shards repaired. Labels: `seat`.
pub const REPAIRED: &str = "dac_repaired_shards_total";
/// Bytes of repairs. Labels: `seat`, `kind` (owed: the shards; received: what came for them).
pub const REPAIR_BYTES: &str = "dac_repair_bytes_total";
/// Repairs that failed and are tried again. Labels: `seat`.
pub const REPAIRS_FAILED: &str = "dac_repairs_failed_total";
/// Bytes read back by the scrub. Labels: `seat`.
pub const SCRUBBED_BYTES: &str = "dac_scrubbed_bytes_total";
/// Passes of the scrub over everything stored. Labels: `seat`.
pub const SCRUB_PASSES: &str = "dac_scrub_passes_total";
/// Damage found by the scrub. Labels: `seat`.
pub const DAMAGE_FOUND: &str = "dac_damage_found_total";
/// Audits of other members. Labels: `seat`, `member` (the one asked), `outcome` (held, missing, wrong, no_answer).
pub const AUDITS: &str = "dac_audits_total";
/// What the network edge could not take or hand on. Labels: `seat`, `what`: frames (a full queue or an absent member; the
/// peer pulls), gossip (this node is behind), malformed (frames that are no messages).
pub const NETWORK_DROPPED: &str = "dac_network_dropped_total";
/// Members connected, this one included. Labels: `seat`.
pub const MEMBERS_CONNECTED: &str = "dac_members_connected";
/// Requests answered. Labels: `seat`, `route`, `status`.
pub const HTTP_REQUESTS: &str = "dac_http_requests_total";
/// Seconds to the first byte of an answer. Labels: `seat`, `route`.
pub const HTTP_SECONDS: &str = "dac_http_request_seconds";
/// Processor time of the process.
pub const PROCESS_CPU_SECONDS: &str = "process_cpu_seconds_total";
/// Memory of the process.
pub const PROCESS_RESIDENT_BYTES: &str = "process_resident_memory_bytes";

/// Bucket bounds in seconds: from one small batch in memory to a quorum that never comes.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// How often histograms are moved from their queues into buckets; a queue grows with every sample until then.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// A stage of a batch, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// All bytes or pieces needed are here.
    Received,
    /// Every piece checked against `shardsRoot`.
    Verified,
    /// Decoded and encoded again.
    Decoded,
    /// `dataHash`, `dataRoot` and `shardsRoot` recomputed.
    Rooted,
    /// Shard and hot copy on durable storage.
    Synced,
    /// Attested by this member.
    Signed,
    /// A certificate is stored.
    Certified,
}

impl Step {
    /// All steps, in the order of a batch's life.
    pub const ALL: [Step; 7] = [
        Step::Received,
        Step::Verified,
        Step::Decoded,
        Step::Rooted,
        Step::Synced,
        Step::Signed,
        Step::Certified,
    ];

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Step::Received => "received",
            Step::Verified => "verified",
            Step::Decoded => "decoded",
            Step::Rooted => "rooted",
            Step::Synced => "synced",
            Step::Signed => "signed",
            Step::Certified => "certified",
        }
    }
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To this member.
    In,
    /// From this member.
    Out,
}

/// Traffic class of PROTOCOL section 6, and HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Pieces of new batches.
    Bulk,
    /// Pieces for repair and reads.
    Repair,
    /// Gossip.
    Control,
    /// Batches and shards over the API.
    Http,
}

/// Kinds of store space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSpace {
    /// Bytes of segments and metadata.
    pub used_bytes: u64,
    /// Bytes the file system has left.
    pub free_bytes: u64,
    /// Bytes that are never filled with batches.
    pub reserved_bytes: u64,
}

/// Shards owed by a member, by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardCounts {
    /// Live certificates.
    pub live: u64,
    /// Shards that are here.
    pub here: u64,
    /// Read back since the start.
    pub checked: u64,
    /// Owed and not here.
    pub missing: u64,
    /// Found damaged.
    pub damaged: u64,
}

/// Work of a hash engine since the process started; both numbers only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashWork {
    /// `keccak256` or `poseidon`.
    pub function: &'static str,
    /// Messages.
    pub hashes: u64,
    /// Bytes of these messages.
    pub bytes: u64,
}

/// Records metrics of one seat. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meter {
    seat: SharedString,
}

impl Meter {
    /// A meter for `seat`; installs the process's recorder when nobody did yet.
    pub fn new(seat: u16) -> Self {
        recorder();
        Meter { seat: SharedString::from(seat.to_string()) }
    }

    /// A batch of `bytes` finished `step`, which took `elapsed`.
    pub fn step(&self, step: Step, bytes: u64, elapsed: Duration) {
        let seat = || self.seat.clone();
        counter!(STAGE_BATCHES, "seat" => seat(), "stage" => step.label()).increment(1);
        counter!(STAGE_BYTES, "seat" => seat(), "stage" => step.label()).increment(bytes);
        histogram!(STAGE_SECONDS, "seat" => seat(), "stage" => step.label()).record(elapsed.as_secs_f64());
    }

    /// This member refused a batch.
    pub fn refused(&self, reason: Reason) {
        counter!(REFUSED, "seat" => self.seat.clone(), "reason" => reason.code()).increment(1);
    }

    /// Bytes went over the network: payload and headers, before encryption.
    pub fn bytes(&self, direction: Direction, class: Class, bytes: u64) {
        self.bytes_counter(direction, class).increment(bytes);
    }

    /// Bytes that went over the network so far, for classes that count themselves.
    pub fn bytes_so_far(&self, direction: Direction, class: Class, total: u64) {
        self.bytes_counter(direction, class).absolute(total);
    }

    fn bytes_counter(&self, direction: Direction, class: Class) -> metrics::Counter {
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let class = match class {
            Class::Bulk => "bulk",
            Class::Repair => "repair",
            Class::Control => "control",
            Class::Http => "http",
        };
        let seat = self.seat.clone();
        counter!(NETWORK_BYTES, "seat" => seat, "direction" => direction, "class" => class)
    }

    /// A bounded queue holds `depth` of `capacity` entries.
    pub fn queue(&self, queue: &'static str, depth: usize, capacity: usize) {
        gauge!(QUEUE_DEPTH, "seat" => self.seat.clone(), "queue" => queue).set(number(depth as u64));
        gauge!(QUEUE_CAPACITY, "seat" => self.seat.clone(), "queue" => queue).set(number(capacity as u64));
    }

    /// Totals of a hash engine, for instance from `fpga_hash::Hasher::work`.
    pub fn hash_engine(&self, engine: &'static str, work: &[HashWork]) {
        for work in work {
            let labels =
                [("seat", self.seat.clone()), ("engine", engine.into()), ("function", work.function.into())];
            counter!(HASHES, &labels).absolute(work.hashes);
            counter!(HASH_BYTES, &labels).absolute(work.bytes);
        }
    }

    /// State of the hash device, and its faults so far by kind.
    pub fn hash_device(&self, is_attached: bool, attachments: u64, faults: &[(&'static str, u64)]) {
        gauge!(HASH_DEVICE_ATTACHED, "seat" => self.seat.clone()).set(f64::from(u8::from(is_attached)));
        counter!(HASH_DEVICE_ATTACHMENTS, "seat" => self.seat.clone()).absolute(attachments);
        for (kind, count) in faults {
            counter!(HASH_DEVICE_FAULTS, "seat" => self.seat.clone(), "kind" => *kind).absolute(*count);
        }
    }

    /// Space of the store.
    pub fn store_space(&self, space: StoreSpace) {
        let kinds =
            [("used", space.used_bytes), ("free", space.free_bytes), ("reserved", space.reserved_bytes)];
        for (kind, bytes) in kinds {
            gauge!(STORE_BYTES, "seat" => self.seat.clone(), "kind" => kind).set(number(bytes));
        }
    }

    /// Shards by state.
    pub fn shards(&self, counts: &ShardCounts) {
        let states = [
            ("live", counts.live),
            ("here", counts.here),
            ("checked", counts.checked),
            ("missing", counts.missing),
            ("damaged", counts.damaged),
        ];
        for (state, shards) in states {
            gauge!(SHARDS, "seat" => self.seat.clone(), "state" => state).set(number(shards));
        }
    }

    /// Totals of repair (shards, their bytes, bytes received, failures) and of the scrub (bytes, passes, damage).
    pub fn healing(
        &self,
        (repaired, owed_bytes, received_bytes, failed): (u64, u64, u64, u64),
        (scrubbed_bytes, passes, damage): (u64, u64, u64),
    ) {
        let seat = || self.seat.clone();
        counter!(REPAIRED, "seat" => seat()).absolute(repaired);
        counter!(REPAIR_BYTES, "seat" => seat(), "kind" => "owed").absolute(owed_bytes);
        counter!(REPAIR_BYTES, "seat" => seat(), "kind" => "received").absolute(received_bytes);
        counter!(REPAIRS_FAILED, "seat" => seat()).absolute(failed);
        counter!(SCRUBBED_BYTES, "seat" => seat()).absolute(scrubbed_bytes);
        counter!(SCRUB_PASSES, "seat" => seat()).absolute(passes);
        counter!(DAMAGE_FOUND, "seat" => seat()).absolute(damage);
    }

    /// Totals of what the network edge dropped.
    pub fn network_dropped(&self, what: &'static str, total: u64) {
        counter!(NETWORK_DROPPED, "seat" => self.seat.clone(), "what" => what).absolute(total);
    }

    /// Another member was audited.
    pub fn audit(&self, member: u16, outcome: AuditOutcome) {
        let (seat, member) = (self.seat.clone(), member.to_string());
        counter!(AUDITS, "seat" => seat, "member" => member, "outcome" => outcome.label()).increment(1);
    }

    /// Members connected, this one included.
    pub fn members_connected(&self, members: u16) {
        gauge!(MEMBERS_CONNECTED, "seat" => self.seat.clone()).set(f64::from(members));
    }

    /// A request was answered. `route` is the pattern, never the path.
    pub fn http_request(&self, route: &str, status: u16, elapsed: Duration) {
        let seat = || self.seat.clone();
        let route = || route.to_owned();
        let status = status.to_string();
        counter!(HTTP_REQUESTS, "seat" => seat(), "route" => route(), "status" => status).increment(1);
        histogram!(HTTP_SECONDS, "seat" => seat(), "route" => route()).record(elapsed.as_secs_f64());
    }
}

/// A gauge's value. Above 2^53 it is rounded, which no byte count here reaches.
fn number(value: u64) -> f64 {
    value as f64
}

/// What the process takes, under the names that every Prometheus client uses.
fn observe_process() {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    gauge!(PROCESS_CPU_SECONDS).set(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9);
    if let Some(bytes) = resident_bytes() {
        gauge!(PROCESS_RESIDENT_BYTES).set(number(bytes));
    }
}

/// Memory in use: `VmRSS` of `/proc/self/status`, in kB (proc(5)).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes.saturating_mul(1024))
}

/// The Prometheus text (format 0.0.4) of every seat in this process.
pub fn render() -> String {
    recorder();
    observe_process();
    recorder().render()
}

/// The process's recorder, installed at the first call.
///
/// When a program that embeds a node has installed another recorder, metrics go there and [`render`] is empty.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .expect("the list of bounds is not empty")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed; /metrics stays empty");
            return handle;
        }
        describe();
        keep_up(handle.clone());
        handle
    })
}

fn keep_up(handle: PrometheusHandle) {
    let tick = move || {
        loop {
            std::thread::sleep(UPKEEP_PERIOD);
            handle.run_upkeep();
        }
    };
    if let Err(error) = std::thread::Builder::new().name("metrics".to_owned()).spawn(tick) {
        tracing::warn!(%error, "no thread for metrics; histograms are emptied at each scrape only");
    }
}

fn describe() {
    describe_gauge!(PROCESS_CPU_SECONDS, "Processor seconds of the process so far");
    describe_gauge!(PROCESS_RESIDENT_BYTES, "Memory of the process in use");
    describe_counter!(STAGE_BATCHES, "Batches that reached a stage");
    describe_counter!(STAGE_BYTES, "Batch bytes that reached a stage");
    describe_histogram!(STAGE_SECONDS, "Seconds that a stage took");
    describe_counter!(REFUSED, "Batches refused by this member, by reason");
    describe_counter!(NETWORK_BYTES, "Bytes by direction and traffic class, before encryption");
    describe_gauge!(QUEUE_DEPTH, "Entries waiting in a bounded queue");
    describe_gauge!(QUEUE_CAPACITY, "Entries that a bounded queue takes");
    describe_counter!(HASHES, "Messages hashed by the hash engine of the process");
    describe_counter!(HASH_BYTES, "Bytes hashed by the hash engine of the process");
    describe_gauge!(HASH_DEVICE_ATTACHED, "1 while the hash device has work, 0 while software does it all");
    describe_counter!(HASH_DEVICE_ATTACHMENTS, "Good self-tests of the hash device");
    describe_counter!(HASH_DEVICE_FAULTS, "Faults of the hash device by kind; after each software goes on");
    describe_gauge!(STORE_BYTES, "Bytes of the store: used, free on its file system, reserved");
    describe_gauge!(SHARDS, "Shards this member owes, by state");
    describe_counter!(REPAIRED, "Shards that were missing or damaged and came back");
    describe_counter!(REPAIR_BYTES, "Bytes of repaired shards, and bytes received for them");
    describe_counter!(REPAIRS_FAILED, "Repairs that failed; each is tried again");
    describe_counter!(SCRUBBED_BYTES, "Bytes read back and compared with their commitments");
    describe_counter!(SCRUB_PASSES, "Passes over everything that is stored");
    describe_counter!(DAMAGE_FOUND, "Damaged contents found by the scrub");
    describe_counter!(AUDITS, "Random leaves asked of other members, by outcome");
    describe_counter!(NETWORK_DROPPED, "Frames and gossip messages that the network edge dropped");
    describe_gauge!(MEMBERS_CONNECTED, "Members connected, this one included");
    describe_counter!(HTTP_REQUESTS, "HTTP requests by route and status");
    describe_histogram!(HTTP_SECONDS, "Seconds to the first byte of an HTTP answer");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seats above 60000 are no real ones, so tests of one process do not meet.
    #[test]
    fn every_recorded_metric_carries_its_seat() {
        let meter = Meter::new(60_001);
        for step in Step::ALL {
            meter.step(step, 10, Duration::from_millis(3));
        }
        meter.refused(Reason::StorageFull);
        meter.bytes(Direction::Out, Class::Bulk, 7);
        meter.queue("engine", 2, 64);
        meter.hash_engine("portable", &[HashWork { function: "keccak256", hashes: 3, bytes: 99 }]);
        meter.hash_device(true, 2, &[("timed_out", 4)]);
        meter.store_space(StoreSpace { used_bytes: 1, free_bytes: 2, reserved_bytes: 3 });
        meter.shards(&ShardCounts { live: 5, here: 4, checked: 3, missing: 1, damaged: 0 });
        meter.healing((2, 3, 4, 5), (6, 7, 8));
        meter.audit(3, AuditOutcome::Wrong);
        meter.members_connected(7);
        meter.http_request("/v1/params", 200, Duration::from_millis(1));
        let text = render();
        let has = |start: &str, labels: &[&str], end: &str| {
            text.lines().any(|line| {
                line.starts_with(start)
                    && labels.iter().all(|label| line.contains(label))
                    && line.contains("seat=\"60001\"")
                    && line.ends_with(end)
            })
        };
        assert!(has(STAGE_BATCHES, &["stage=\"certified\""], " 1"), "{text}");
        assert!(has(STAGE_BYTES, &["stage=\"synced\""], " 10"), "{text}");
        assert!(has("dac_stage_seconds_bucket", &["stage=\"rooted\"", "le=\"0.005\""], " 1"), "{text}");
        assert!(has(REFUSED, &["reason=\"storage_full\""], " 1"), "{text}");
        assert!(has(NETWORK_BYTES, &["direction=\"out\"", "class=\"bulk\""], " 7"), "{text}");
        assert!(has(QUEUE_DEPTH, &["queue=\"engine\""], " 2"), "{text}");
        assert!(has(HASH_BYTES, &["engine=\"portable\"", "function=\"keccak256\""], " 99"), "{text}");
        assert!(has(HASH_DEVICE_ATTACHED, &[], " 1"), "{text}");
        assert!(has(HASH_DEVICE_ATTACHMENTS, &[], " 2"), "{text}");
        assert!(has(HASH_DEVICE_FAULTS, &["kind=\"timed_out\""], " 4"), "{text}");
        assert!(has(STORE_BYTES, &["kind=\"reserved\""], " 3"), "{text}");
        assert!(has(SHARDS, &["state=\"missing\""], " 1"), "{text}");
        assert!(has(REPAIR_BYTES, &["kind=\"received\""], " 4"), "{text}");
        assert!(has(DAMAGE_FOUND, &[], " 8"), "{text}");
        assert!(has(AUDITS, &["member=\"3\"", "outcome=\"wrong\""], " 1"), "{text}");
        assert!(has(MEMBERS_CONNECTED, &[], " 7"), "{text}");
        assert!(has(HTTP_REQUESTS, &["route=\"/v1/params\"", "status=\"200\""], " 1"), "{text}");
        assert!(
            text.contains("# HELP dac_refused_total Batches refused by this member, by reason"),
            "{text}"
        );
    }
}
