//! What members say of themselves at `/metrics`: bytes on the network, memory, processor time.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::metrics::{NETWORK_BYTES, PROCESS_CPU_SECONDS, PROCESS_RESIDENT_BYTES};

/// Longest wait for a page of metrics.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Longest page that is read.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// What one member's page said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Page {
    /// By seat: sent and received. Members of one process share a page.
    network: BTreeMap<u16, (f64, f64)>,
    resident_bytes: f64,
    cpu_seconds: f64,
}

/// What a load cost one member.
#[derive(Debug, Serialize)]
pub(super) struct MemberCost {
    endpoint: String,
    seat: Option<u16>,
    /// To the other members and to clients, before encryption.
    sent_bytes: u64,
    received_bytes: u64,
    /// Of the whole process, at the end. Members of a devnet share one.
    resident_bytes: u64,
    /// Of the whole process, during the load.
    cpu_seconds: f64,
}

impl MemberCost {
    pub(super) fn cells(&self) -> Vec<String> {
        let seat = self.seat.map_or_else(|| self.endpoint.clone(), |seat| format!("seat {seat}"));
        let size = |bytes| bytesize::ByteSize(bytes).to_string();
        let (sent, received) = (size(self.sent_bytes), size(self.received_bytes));
        vec![seat, sent, received, size(self.resident_bytes), format!("{:.1}", self.cpu_seconds)]
    }
}

/// The pages of all members, in the order of their endpoints; `None` of one that does not answer.
pub(super) async fn all(endpoints: &[String]) -> Vec<Option<Page>> {
    let Ok(http) = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build() else {
        return vec![None; endpoints.len()];
    };
    let pages = endpoints.iter().map(|endpoint| page(&http, endpoint));
    futures::future::join_all(pages).await
}

async fn page(http: &reqwest::Client, endpoint: &str) -> Option<Page> {
    let url = format!("{}/metrics", endpoint.trim_end_matches('/'));
    let mut answer = http.get(url).send().await.ok()?.error_for_status().ok()?;
    let mut text = Vec::new();
    while let Some(part) = answer.chunk().await.ok()? {
        if text.len() + part.len() > PAGE_BYTES_MAX {
            return None;
        }
        text.extend_from_slice(&part);
    }
    Some(parse(std::str::from_utf8(&text).ok()?))
}

/// Reads the lines it knows of a page in Prometheus text format 0.0.4.
fn parse(text: &str) -> Page {
    let mut page = Page::default();
    for line in text.lines() {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        if name == PROCESS_RESIDENT_BYTES {
            page.resident_bytes = value;
        } else if name == PROCESS_CPU_SECONDS {
            page.cpu_seconds = value;
        } else if let Some(labels) = name.strip_prefix(NETWORK_BYTES) {
            let label = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\""))?;
                Some(rest.split_once('"')?.0)
            };
            let Some(seat) = label("seat").and_then(|seat| seat.parse().ok()) else { continue };
            let (sent, received) = page.network.entry(seat).or_default();
            *(if label("direction") == Some("out") { sent } else { received }) += value;
        }
    }
    page
}

/// What happened between two looks, for each member that answered both.
pub(super) fn difference(
    before: &[Option<Page>],
    after: &[Option<Page>],
    endpoints: &[String],
) -> Vec<MemberCost> {
    let looks = before.iter().zip(after).zip(endpoints).zip(0..);
    looks
        .filter_map(|(((before, after), url), at)| Some(cost(before.as_ref()?, after.as_ref()?, url, at)))
        .collect()
}

/// A page with several seats is a devnet's, whose endpoints are in seat order: `at` is the seat then.
fn cost(before: &Page, after: &Page, endpoint: &str, at: u16) -> MemberCost {
    let seat = match after.network.len() {
        0 => None,
        1 => after.network.keys().next().copied(),
        _ => Some(at),
    };
    let of = |page: &Page| seat.and_then(|seat| page.network.get(&seat).copied()).unwrap_or_default();
    let ((sent, received), (sent_before, received_before)) = (of(after), of(before));
    MemberCost {
        endpoint: endpoint.to_owned(),
        seat,
        sent_bytes: count(sent - sent_before),
        received_bytes: count(received - received_before),
        resident_bytes: count(after.resident_bytes),
        cpu_seconds: after.cpu_seconds - before.cpu_seconds,
    }
}

/// A counter's value, which a page writes as a number with a point; never below zero.
#[expect(clippy::cast_possible_truncation, reason = "below 2^53, as every count of bytes here")]
fn count(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// Processor time of this process so far.
pub(super) fn own_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE dac_network_bytes_total counter\n\
        dac_network_bytes_total{seat=\"3\",direction=\"in\",class=\"bulk\"} 70\n\
        dac_network_bytes_total{seat=\"3\",direction=\"out\",class=\"bulk\"} 40\n\
        dac_network_bytes_total{seat=\"3\",direction=\"out\",class=\"http\"} 2\n\
        process_resident_memory_bytes 1048576\nprocess_cpu_seconds_total 1.5\nnonsense\n";

    #[test]
    fn a_page_is_read_by_seat_and_direction() {
        let page = parse(PAGE);
        assert_eq!(page.network, [(3, (42.0, 70.0))].into());
        assert_eq!((page.resident_bytes, page.cpu_seconds), (1_048_576.0, 1.5));
    }

    #[test]
    fn a_cost_is_what_was_added_between_two_looks() {
        let later = parse(&PAGE.replace(" 40", " 140").replace(" 1.5", " 4"));
        let endpoints = ["http://a".to_owned()];
        let costs = difference(&[Some(parse(PAGE))], &[Some(later)], &endpoints);
        assert_eq!((costs[0].seat, costs[0].sent_bytes, costs[0].received_bytes), (Some(3), 100, 0));
        assert_eq!((costs[0].resident_bytes, costs[0].cpu_seconds), (1_048_576, 2.5));
        assert!(difference(&[None], &[Some(parse(PAGE))], &endpoints).is_empty());
    }
}
