//! Bounds: memory, timers, and what is remembered.

use std::time::Duration;

use super::cluster::Cluster;
use super::forge::{Encoding, open_id};
use super::parties::Request;
use crate::message::{Control, Message, OpenId, Vote};
use crate::{CANDIDATES_MAX, Effect, Event};

#[test]
fn a_settled_batch_keeps_no_bytes_and_no_timer() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.settle_submission(0, &Request::random(1, 300_000));
    cluster.assert_at_rest();
    for member in &cluster.members {
        assert_eq!(member.engine.as_ref().unwrap().next_deadline(), None);
    }
}

#[test]
fn a_batch_that_stays_below_quorum_leaves_no_timer_behind() {
    let mut cluster = Cluster::new((4, 2, 3), 2);
    cluster.crash(2);
    cluster.crash(3);
    cluster.settle_submission(0, &Request::random(2, 10_000));
    for seat in [0, 1] {
        assert_eq!(cluster.members[seat].engine.as_ref().unwrap().next_deadline(), None);
    }
}

#[test]
fn more_batches_than_may_be_in_flight_are_refused_and_later_accepted() {
    let mut cluster = Cluster::with_config((4, 2, 3), 3, |config| config.batches_in_flight_max = 3);
    let requests: Vec<Request> = (0..12).map(|seed| Request::random(seed, 20_000)).collect();
    let mut waiting: Vec<&Request> = requests.iter().collect();
    for _ in 0..40 {
        let asked: Vec<(u64, &Request)> =
            waiting.iter().map(|request| (cluster.submit(0, request), *request)).collect();
        assert!(cluster.members[0].engine.as_ref().unwrap().in_flight().0 <= 3);
        cluster.settle();
        waiting = asked
            .into_iter()
            .filter(|(ticket, _)| cluster.log.answers[ticket].is_err())
            .map(|(_, request)| request)
            .collect();
    }
    assert!(waiting.is_empty());
    assert_eq!(cluster.checker.certificates.len(), 12);
    cluster.assert_at_rest();
}

#[test]
fn remembers_a_bounded_number_of_settled_batches() {
    // A lone member settles many: the oldest are forgotten.
    let mut cluster = Cluster::with_config((1, 1, 1), 4, |config| {
        config.rollups.values_mut().for_each(|policy| policy.quota_per_day = bytesize::ByteSize::gib(1));
    });
    let first = cluster.settle_submission(0, &Request::random(0, 10));
    for seed in 1..=1_100 {
        cluster.settle_submission(0, &Request::random(seed, 10));
    }
    assert!(cluster.status(0, &first).is_none(), "the oldest is forgotten by the engine");
    assert_eq!(cluster.certified_at(&first), [0], "and kept by the disk");
    assert_eq!(cluster.checker.certificates.len(), 1_101);
    cluster.assert_at_rest();
}

#[test]
fn a_batch_that_is_opened_again_after_a_refusal_is_not_forgotten_in_flight() {
    let mut cluster = Cluster::with_config((4, 2, 3), 5, |config| {
        config.rollups.values_mut().for_each(|policy| policy.quota_per_day = bytesize::ByteSize::gib(1));
    });
    cluster.make_puppet(0);
    let open_of = |cluster: &Cluster, seed: u64| {
        let request = Request::random(seed, 10);
        let open = Encoding::of(&cluster.committee, &request.batch).open(&cluster.committee, &request, 0);
        (open_id(&cluster.committee, &open), Message::Open(Box::new(open)))
    };
    // Refused for want of pieces, then opened again: in flight.
    let (first, open) = open_of(&cluster, 0);
    cluster.send(0, 1, open.clone());
    cluster.settle();
    assert!(cluster.refusals_to(0).contains(&(1, crate::Reason::PiecesMissing)));
    let mut engine = cluster.member(1).engine.take().unwrap();
    let (mut at, mut effects) = (cluster.now, Vec::new());
    tell(&mut engine, at, message(&open), &mut effects);
    tell(&mut engine, at, admitted(first), &mut effects);
    // Meanwhile a thousand others are refused at admission.
    for seed in 1..=1_030 {
        at += Duration::from_micros(1);
        let (other, open) = open_of(&cluster, seed);
        tell(&mut engine, at, message(&open), &mut effects);
        let full = Ok(crate::Facts::default());
        tell(&mut engine, at, Event::Admitted { open_id: other, facts: full }, &mut effects);
    }
    assert_eq!(engine.in_flight(), (1, 10), "the first is still there");
}

fn tell(engine: &mut crate::Engine, at: Duration, event: Event, effects: &mut Vec<Effect>) {
    engine.on(event, super::member::now_of(at, 0), effects);
}

fn message(message: &Message) -> Event {
    Event::Message { from: 0, message: message.clone(), credit: Default::default() }
}

fn admitted(open_id: OpenId) -> Event {
    let facts = crate::Facts { free_bytes: u64::MAX, ..Default::default() };
    Event::Admitted { open_id, facts: Ok(facts) }
}

#[test]
fn keeps_few_candidates_of_a_seat_whoever_sends_them() {
    let mut cluster = Cluster::new((4, 2, 3), 6);
    cluster.make_puppet(3);
    let request = Request::random(6, 10);
    cluster.submit(0, &request);
    assert!(cluster.run_until(|cluster| cluster.log.trace.iter().any(|line| line.contains("gossip open"))));
    let open = Encoding::of(&cluster.committee, &request.batch).open(&cluster.committee, &request, 0);
    let open_id = open_id(&cluster.committee, &open);
    let statement = {
        let data_root = fpga_hash::tree::data_root(super::member::hasher(), &request.batch);
        request.submission.statement(&cluster.committee, attest::DataRoot(data_root), open.shards_root)
    };
    let (batch_id, seat) = (statement.digest(cluster.committee.domain()), attest::SeatIndex(3));
    for number in 0..50 {
        let signature = attest::SignatureBytes([number; 48]);
        let vote = Vote { open_id, attestation: attest::Attestation { batch_id, seat, signature } };
        cluster.publish(3, &Control::Vote(vote.clone()));
        cluster.send(3, 0, Message::Vote(vote));
    }
    cluster.settle();
    assert_eq!(cluster.log.candidates_most, CANDIDATES_MAX);
    assert_eq!(cluster.signers(&batch_id), [0, 1, 2]);
}
