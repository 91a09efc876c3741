//! The term of an epoch: what begins inside is finished, nothing begins outside, nothing is signed before.

use std::time::Duration;

use super::cluster::Cluster;
use super::parties::Request;
use crate::{Event, Note, Outcome, Reason, Term};

fn closed() -> Term {
    Term::Closed("epoch 1 has ended".to_owned())
}

fn set_term(cluster: &mut Cluster, term: &Term) {
    for seat in 0..u16::try_from(cluster.members.len()).unwrap() {
        cluster.happens(seat, Event::Term(term.clone()));
    }
}

/// Members that refused, as the coordinator 0 knows it.
fn stale_members(cluster: &Cluster, batch_id: &attest::BatchId) -> usize {
    let members = cluster.status(0, batch_id).unwrap().members;
    let is_stale = |reason| reason == Some(Reason::StaleEpoch);
    members.iter().filter(|member| is_stale(member.reason) && member.outcome == Outcome::Refused).count()
}

/// How many members have signed anything.
fn signatures(cluster: &Cluster) -> usize {
    cluster.log.notes.iter().filter(|(_, note)| is_signed(note)).count()
}

fn is_signed(note: &Note) -> bool {
    matches!(note, Note::Stage { stage: "signed", .. })
}

#[test]
fn nothing_begins_outside_the_term() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    set_term(&mut cluster, &closed());
    let ticket = cluster.submit(0, &Request::random(1, 10_000));
    cluster.settle();
    assert_eq!(cluster.log.answers[&ticket].as_ref().unwrap_err().reason, Reason::StaleEpoch);
    // A member that still believes in the epoch finds nobody to sign with.
    cluster.happens(0, Event::Term(Term::Running { until: None }));
    let batch_id = cluster.settle_submission(0, &Request::random(2, 10_000));
    assert_eq!(stale_members(&cluster, &batch_id), 3);
    assert!(cluster.checker.certificates.is_empty());
    cluster.assert_at_rest();
}

/// The end needs no message.
#[test]
fn the_end_of_the_term_is_a_moment() {
    let mut cluster = Cluster::new((4, 2, 3), 2);
    let until = cluster.now + Duration::from_secs(60);
    set_term(&mut cluster, &Term::Running { until: Some(until) });
    cluster.settle_submission(0, &Request::random(1, 10_000));
    assert_eq!(cluster.checker.certificates.len(), 1);
    cluster.now = until;
    let ticket = cluster.submit(0, &Request::random(2, 10_000));
    cluster.settle();
    assert_eq!(cluster.log.answers[&ticket].as_ref().unwrap_err().reason, Reason::StaleEpoch);
}

/// Wherever a batch is when its epoch ends, it is certified under that epoch.
#[test]
fn what_began_inside_is_finished_after_the_end() {
    for steps in (0..200).step_by(7) {
        let mut cluster = Cluster::new((4, 2, 3), 3);
        cluster.submit(0, &Request::random(3, 50_000));
        // The coordinator and every member have heard of it; some may be done.
        let heard = |cluster: &Cluster, seat: u16| {
            let has_signed = |(by, note): &(u16, Note)| *by == seat && is_signed(note);
            let engine = cluster.members[usize::from(seat)].engine.as_ref().unwrap();
            engine.in_flight().0 > 0 || cluster.log.notes.iter().any(has_signed)
        };
        assert!(cluster.run_until(|cluster| (0..4).all(|seat| heard(cluster, seat))));
        assert!(signatures(&cluster) < 3, "nothing is left to be done");
        for _ in 0..steps {
            cluster.step();
        }
        set_term(&mut cluster, &closed());
        cluster.settle();
        assert_eq!(cluster.checker.certificates.len(), 1, "ended after {steps} steps");
        cluster.assert_at_rest();
    }
}

/// Whoever has not heard of the beginning keeps its signature back until it does.
#[test]
fn a_signature_waits_for_the_term_to_begin() {
    let mut cluster = Cluster::new((4, 2, 3), 4);
    for seat in 1..4 {
        cluster.happens(seat, Event::Term(Term::Beginning));
    }
    cluster.submit(0, &Request::random(4, 50_000));
    cluster.run_for(Duration::from_secs(2));
    assert!(cluster.checker.certificates.is_empty());
    assert_eq!(signatures(&cluster), 1, "only the coordinator knows that the epoch has begun");
    for seat in 1..4 {
        cluster.happens(seat, Event::Term(Term::Running { until: None }));
    }
    cluster.settle();
    assert_eq!(cluster.checker.certificates.len(), 1);
    cluster.assert_at_rest();
}

/// The activation was taken back, or nobody came to hear of it: no signature, and nothing is held for ever.
#[test]
fn what_waits_for_a_term_that_does_not_begin_is_refused() {
    for cancelled in [true, false] {
        let mut cluster = Cluster::new((4, 2, 3), 5);
        for seat in 1..4 {
            cluster.happens(seat, Event::Term(Term::Beginning));
        }
        let ticket = cluster.submit(0, &Request::random(5, 50_000));
        cluster.run_for(Duration::from_secs(2));
        let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
        if cancelled {
            // At once: the coordinator need not wait for answers that will not come.
            set_term(&mut cluster, &closed());
            cluster.run_for(Duration::from_secs(1));
            assert_eq!(stale_members(&cluster, &batch_id), 3);
        }
        cluster.settle();
        assert_eq!(signatures(&cluster), 1);
        assert_eq!(stale_members(&cluster, &batch_id), 3, "cancelled: {cancelled}");
        cluster.assert_at_rest();
    }
}

/// Wherever a batch is when the beginning is taken back, nobody signs it who had not heard that the epoch had begun.
#[test]
fn nothing_is_signed_when_the_beginning_is_taken_back() {
    for steps in (0..200).step_by(7) {
        let mut cluster = Cluster::new((4, 2, 3), 6);
        for seat in 1..4 {
            cluster.happens(seat, Event::Term(Term::Beginning));
        }
        cluster.submit(0, &Request::random(6, 50_000));
        for _ in 0..steps {
            cluster.step();
        }
        for seat in 1..4 {
            cluster.happens(seat, Event::Term(closed()));
        }
        cluster.settle();
        let signers: Vec<u16> =
            cluster.log.notes.iter().filter(|(_, note)| is_signed(note)).map(|(seat, _)| *seat).collect();
        assert!(signers.iter().all(|seat| *seat == 0), "taken back after {steps} steps: {signers:?} signed");
        cluster.assert_at_rest();
    }
}
