//! What a load came to: how many, how fast, why not, and what it cost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::scrape::MemberCost;
use crate::cli::Output;

/// How one submission ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// With a verified certificate in the client's hands.
    Certified { bytes: u64, took: Duration },
    /// Without one.
    Failed { reason: String },
}

/// All that ended.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// Submissions that were due.
    pub(super) arrivals: u64,
    /// Of these, not sent: too many were outstanding.
    pub(super) dropped: u64,
    certified_bytes: u64,
    times: Vec<Duration>,
    errors: BTreeMap<String, u64>,
}

impl Collected {
    pub(super) fn add(&mut self, ended: Ended) {
        match ended {
            Ended::Certified { bytes, took } => {
                self.certified_bytes += bytes;
                self.times.push(took);
            }
            Ended::Failed { reason } => *self.errors.entry(reason).or_default() += 1,
        }
    }

    pub(super) fn merge(&mut self, other: Collected) {
        self.arrivals += other.arrivals;
        self.dropped += other.dropped;
        self.certified_bytes += other.certified_bytes;
        self.times.extend(other.times);
        for (reason, count) in other.errors {
            *self.errors.entry(reason).or_default() += count;
        }
    }
}

/// What was asked for.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) rate: Option<f64>,
    pub(super) clients: u16,
    pub(super) sizes: Vec<u64>,
    pub(super) committee_members: usize,
    /// Processor time of the devnet, its clients included.
    pub(super) devnet_cpu: Option<Duration>,
}

/// Times from the moment a submission was due to its certificate, milliseconds. Percentiles are those of the nearest rank.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// One load.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    work: &'static str,
    /// `open`, or `closed` without a rate.
    arrivals_are: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_second: Option<f64>,
    clients: u16,
    batch_bytes: Vec<u64>,
    members: usize,
    /// From the first arrival to the last answer.
    seconds: f64,
    arrivals: u64,
    dropped: u64,
    certified: u64,
    certified_bytes: u64,
    certified_bytes_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Latency>,
    /// By the code of the refusal.
    errors: BTreeMap<String, u64>,
    /// Devnet only: processor seconds for a million certified bytes, divided by the members; clients are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds_per_megabyte_and_member: Option<f64>,
    /// By endpoint: bytes and memory of each member.
    costs: Vec<MemberCost>,
}

impl Report {
    pub(super) fn new(
        setup: Setup,
        mut collected: Collected,
        elapsed: Duration,
        costs: Vec<MemberCost>,
    ) -> Report {
        collected.times.sort();
        let (seconds, bytes) = (elapsed.as_secs_f64(), collected.certified_bytes as f64);
        let members = setup.committee_members.max(1) as f64;
        let cpu = setup.devnet_cpu.filter(|_| bytes > 0.0);
        Report {
            work: "load",
            arrivals_are: if setup.rate.is_some() { "open" } else { "closed" },
            rate_per_second: setup.rate,
            clients: setup.clients,
            batch_bytes: setup.sizes,
            members: setup.committee_members,
            seconds,
            arrivals: collected.arrivals,
            dropped: collected.dropped,
            certified: collected.times.len() as u64,
            certified_bytes: collected.certified_bytes,
            certified_bytes_per_second: if seconds > 0.0 { bytes / seconds } else { 0.0 },
            latency: latency(&collected.times),
            errors: collected.errors,
            cpu_seconds_per_megabyte_and_member: cpu.map(|cpu| cpu.as_secs_f64() / (bytes / 1e6) / members),
            costs,
        }
    }

    /// For people.
    pub(super) fn text(&self, output: &Output) -> String {
        let mut lines = vec![format!(
            "{} of {} submissions certified in {:.1} s, {} dropped: {:.2} MB/s",
            self.certified,
            self.arrivals,
            self.seconds,
            self.dropped,
            self.certified_bytes_per_second / 1e6
        )];
        if let Some(Latency { p50_ms, p90_ms, p99_ms, max_ms }) = &self.latency {
            let times = format!("p50 {p50_ms:.1}, p90 {p90_ms:.1}, p99 {p99_ms:.1}, longest {max_ms:.1}");
            lines.push(format!("ms to certificate: {times}"));
        }
        if let Some(cpu) = self.cpu_seconds_per_megabyte_and_member {
            lines.push(format!("CPU seconds for a MB and member, clients included: {cpu:.4}"));
        }
        lines.extend(self.errors.iter().map(|(reason, count)| format!("{count} times {reason}")));
        let cells: Vec<Vec<String>> = self.costs.iter().map(MemberCost::cells).collect();
        lines.push(output.table(&["member", "sent", "received", "memory", "CPU s"], &cells));
        lines.join("\n")
    }
}

/// Of sorted times; `None` of none.
fn latency(sorted: &[Duration]) -> Option<Latency> {
    let milliseconds = |time: &Duration| time.as_secs_f64() * 1e3;
    let at = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).map(milliseconds)
    };
    let max_ms = sorted.last().map(milliseconds)?;
    Some(Latency { p50_ms: at(50)?, p90_ms: at(90)?, p99_ms: at(99)?, max_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let Latency { p50_ms, p90_ms, p99_ms, max_ms } = latency(&times).unwrap();
        assert_eq!((p50_ms, p90_ms, p99_ms, max_ms), (100.0, 180.0, 198.0, 200.0));
        let one = latency(&times[6..7]).unwrap();
        assert_eq!((one.p50_ms, one.p99_ms), (7.0, 7.0));
        assert!(latency(&[]).is_none());
    }

    #[test]
    fn a_report_counts_what_ended_and_how() {
        let (mut one, mut other) = (Collected { arrivals: 3, ..Default::default() }, Collected::default());
        one.add(Ended::Certified { bytes: 1_000_000, took: Duration::from_millis(5) });
        one.add(Ended::Failed { reason: "busy".to_owned() });
        other.add(Ended::Failed { reason: "busy".to_owned() });
        one.merge(other);
        let setup = Setup {
            rate: None,
            clients: 1,
            sizes: vec![1_000_000],
            committee_members: 4,
            devnet_cpu: Some(Duration::from_secs(8)),
        };
        let report = Report::new(setup, one, Duration::from_secs(2), Vec::new());
        assert_eq!((report.certified, report.errors["busy"]), (1, 2));
        assert_eq!(report.certified_bytes_per_second, 500_000.0);
        assert_eq!(report.cpu_seconds_per_megabyte_and_member, Some(2.0));
    }
}
