//! Votes: who may cast them, forged ones, false ones, and who is blamed.

use std::time::Duration;

use attest::{Attestation, BatchId, SeatIndex, SignatureBytes, Statement};

use super::cluster::Cluster;
use super::forge::{Encoding, open_id};
use super::parties::{Request, signing_key};
use crate::message::{Control, Message, OpenId, Vote};
use crate::{Outcome, Reason, Stage};

/// What the committee will say of a request, and under which name it is exchanged.
fn statement_of(cluster: &Cluster, request: &Request) -> (OpenId, Statement) {
    let committee = &cluster.committee;
    let open = Encoding::of(committee, &request.batch).open(committee, request, 0);
    let data_root = attest::DataRoot(fpga_hash::tree::data_root(super::member::hasher(), &request.batch));
    (open_id(committee, &open), request.submission.statement(committee, data_root, open.shards_root))
}

/// A vote in the name of `seat`, signed with the key of `signer`. Honest keys sign in the honest seat only: the sum of
/// true signatures under exchanged names is a true sum.
fn vote_of(cluster: &Cluster, request: &Request, seat: u16, signer: u16) -> Vote {
    let (open_id, statement) = statement_of(cluster, request);
    let domain = cluster.committee.domain();
    let attestation = signing_key(signer).attest(&statement, domain, SeatIndex(signer)).unwrap();
    Vote { open_id, attestation: Attestation { seat: SeatIndex(seat), ..attestation } }
}

/// A vote for another statement than the batch's, correctly signed.
fn vote_for_another_batch(cluster: &Cluster, request: &Request, seat: u16) -> Vote {
    let (open_id, mut statement) = statement_of(cluster, request);
    statement.hot_until -= 1;
    let domain = cluster.committee.domain();
    let attestation = signing_key(seat).attest(&statement, domain, SeatIndex(seat)).unwrap();
    Vote { open_id, attestation }
}

/// A member's signature on another statement, under this one's name.
fn replayed_vote(cluster: &Cluster, request: &Request, seat: u16, number: u64) -> Vote {
    let (open_id, mut statement) = statement_of(cluster, request);
    let domain = *cluster.committee.domain();
    let batch_id = statement.digest(&domain);
    statement.retain_until += number + 1;
    let attestation = signing_key(seat).attest(&statement, &domain, SeatIndex(seat)).unwrap();
    Vote { open_id, attestation: Attestation { batch_id, ..attestation } }
}

/// Runs until the coordinator has opened the batch.
fn submit_and_open(cluster: &mut Cluster, request: &Request) -> u64 {
    let ticket = cluster.submit(0, request);
    assert!(cluster.run_until(|cluster| cluster.log.trace.iter().any(|line| line.contains("gossip open"))));
    ticket
}

fn certificate_of(cluster: &mut Cluster, ticket: u64) -> BatchId {
    cluster.settle();
    let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
    assert_eq!(cluster.status(0, &batch_id).unwrap().stage, Stage::Certified);
    batch_id
}

#[test]
fn forged_votes_by_gossip_keep_no_real_vote_out_and_blame_nobody() {
    for seed in 0..5 {
        let mut cluster = Cluster::new((7, 3, 5), seed);
        cluster.make_puppet(6);
        let request = Request::random(seed, 3_000);
        let ticket = submit_and_open(&mut cluster, &request);
        for seat in 0..7 {
            if seat != 6 {
                let forged = vote_of(&cluster, &request, seat, 6);
                cluster.publish(6, &Control::Vote(forged));
            }
            let replayed = replayed_vote(&cluster, &request, seat, 1);
            cluster.publish(6, &Control::Vote(replayed));
            let mut unreadable = vote_of(&cluster, &request, seat, seat);
            unreadable.attestation.signature = SignatureBytes([0xff; 48]);
            cluster.publish(6, &Control::Vote(unreadable));
        }
        let batch_id = certificate_of(&mut cluster, ticket);
        assert!(!cluster.signers(&batch_id).contains(&6));
        assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3, 4, 5]);
        assert_eq!(cluster.log.penalties, [], "a forger by gossip is not known, the named are innocent");
        let status = cluster.status(0, &batch_id).unwrap();
        assert_eq!(status.members[6].reason, Some(Reason::NoAnswer), "a forged vote is not an answer");
        assert_eq!(status.members[6].outcome, Outcome::Waiting);
        let detail = "connected, had not answered when the certificate was made";
        assert_eq!(status.members[6].detail.as_deref(), Some(detail));
    }
}

#[test]
fn forged_votes_do_not_undo_a_quorum_that_needs_every_real_one() {
    // Two of seven are silent; every real vote counts, and each seat also has forged ones.
    for seed in 0..5 {
        let mut cluster = Cluster::new((7, 3, 5), seed);
        cluster.make_puppet(6);
        cluster.silence(5);
        let request = Request::random(seed, 3_000);
        let ticket = submit_and_open(&mut cluster, &request);
        for round in 0..40 {
            for seat in 0..7 {
                let forged = replayed_vote(&cluster, &request, seat, round);
                cluster.publish(6, &Control::Vote(forged));
            }
            cluster.run_for(Duration::from_millis(2));
        }
        cluster.settle();
        let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
        assert_eq!(cluster.signers(&batch_id), [0, 1, 2, 3, 4]);
        assert_eq!(cluster.log.penalties, []);
        cluster.assert_at_rest();
    }
}

#[test]
fn forged_votes_do_not_make_the_coordinator_give_up() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.make_puppet(3);
    for seat in [1, 2] {
        cluster.network.cut(0, seat);
    }
    let request = Request::random(1, 3_000);
    let ticket = submit_and_open(&mut cluster, &request);
    for seat in [1, 2, 3] {
        let forged = vote_of(&cluster, &request, seat, 0);
        cluster.publish(3, &Control::Vote(forged));
    }
    cluster.run_for(Duration::from_secs(1));
    let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
    let status = cluster.status(0, &batch_id).unwrap();
    assert_ne!(status.stage, Stage::BelowQuorum, "nobody has refused");
    assert!(
        status.members[1..].iter().all(|member| member.outcome == Outcome::Waiting),
        "{:?}",
        status.members
    );
}

#[test]
fn a_vote_sent_under_another_seat_penalises_the_sender() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.make_puppet(3);
    let request = Request::random(1, 3_000);
    let ticket = submit_and_open(&mut cluster, &request);
    let stolen = vote_of(&cluster, &request, 2, 2);
    cluster.send(3, 0, Message::Vote(stolen));
    let batch_id = certificate_of(&mut cluster, ticket);
    let expected = (0, 3, "sent a vote of seat 2 as its own".to_owned());
    assert_eq!(cluster.log.penalties, [expected]);
    assert_eq!(cluster.signers(&batch_id), [0, 1, 2]);
}

#[test]
fn a_vote_of_a_seat_that_does_not_exist_is_rejected() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.make_puppet(3);
    let request = Request::random(1, 3_000);
    let ticket = submit_and_open(&mut cluster, &request);
    for seat in [4, u16::MAX] {
        let vote = vote_of(&cluster, &request, seat, 3);
        cluster.publish(3, &Control::Vote(vote));
    }
    certificate_of(&mut cluster, ticket);
    assert!(!cluster.log.rejected.is_empty() && cluster.log.rejected.iter().all(|(_, from)| *from == 3));
}

#[test]
fn a_member_whose_own_attestation_is_false_is_named_and_penalised() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.make_puppet(3);
    let request = Request::random(1, 3_000);
    let ticket = submit_and_open(&mut cluster, &request);
    let lie = vote_of(&cluster, &request, 3, 2);
    cluster.send(3, 0, Message::Vote(lie));
    let batch_id = certificate_of(&mut cluster, ticket);
    assert_eq!(cluster.signers(&batch_id), [0, 1, 2]);
    let member = &cluster.status(0, &batch_id).unwrap().members[3];
    assert_eq!((member.outcome, member.reason), (Outcome::Refused, Some(Reason::BadAttestation)));
    assert!(cluster.log.penalties.iter().any(|(by, culprit, _)| (*by, *culprit) == (0, 3)));
    assert!(cluster.log.penalties.iter().all(|(_, culprit, _)| *culprit == 3));
}

#[test]
fn false_attestations_below_the_quorum_are_named_too() {
    let mut cluster = Cluster::new((4, 2, 3), 2);
    cluster.make_puppet(3);
    cluster.make_puppet(2);
    let request = Request::random(2, 3_000);
    let ticket = submit_and_open(&mut cluster, &request);
    let lie = vote_of(&cluster, &request, 3, 2);
    cluster.send(3, 0, Message::Vote(lie));
    cluster.settle();
    let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
    let status = cluster.status(0, &batch_id).unwrap();
    assert_eq!(status.stage, Stage::BelowQuorum);
    assert_eq!(status.members[3].reason, Some(Reason::BadAttestation));
    assert_eq!(status.members[2].reason, Some(Reason::NoAnswer));
    assert_eq!([0, 1].map(|seat| status.members[seat].outcome), [Outcome::Signed; 2]);
    assert!(cluster.signers(&batch_id).is_empty());
}

#[test]
fn votes_for_another_statement_are_not_counted_and_make_no_circle() {
    for by_gossip in [true, false] {
        for early in [true, false] {
            let mut cluster = Cluster::new((4, 2, 3), 3);
            cluster.make_puppet(3);
            cluster.silence(2);
            let request = Request::random(3, 3_000);
            let ticket = submit_and_open(&mut cluster, &request);
            let lie = vote_for_another_batch(&cluster, &request, 3);
            if !early {
                cluster.run_for(Duration::from_secs(1));
            }
            if by_gossip {
                cluster.publish(3, &Control::Vote(lie));
            } else {
                cluster.send(3, 0, Message::Vote(lie));
            }
            cluster.settle();
            let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
            let status = cluster.status(0, &batch_id).unwrap();
            assert_eq!((status.stage, status.signers), (Stage::BelowQuorum, 2), "early {early}");
            let reason = if by_gossip { Reason::NoAnswer } else { Reason::BadAttestation };
            assert_eq!(status.members[3].reason, Some(reason), "by gossip {by_gossip}, early {early}");
            let blamed: Vec<u16> = cluster.log.penalties.iter().map(|(_, culprit, _)| *culprit).collect();
            assert_eq!(blamed, if by_gossip { vec![] } else { vec![3] });
            assert!(cluster.log.aggregations <= 1);
        }
    }
}

#[test]
fn a_certificate_by_gossip_is_stored_after_it_is_verified_only() {
    use parity_scale_codec::Encode;
    let mut cluster = Cluster::new((4, 2, 3), 4);
    let request = Request::random(4, 3_000);
    let batch_id = cluster.settle_submission(0, &request);
    let good = cluster.checker.certificates[&batch_id][0].clone();
    let mut other = Cluster::new((4, 2, 3), 5);
    other.make_puppet(3);
    let mut bad = good.clone();
    bad.statement.data_bytes += 1;
    let rubbish = Control::Certificate(vec![7; 300]);
    for control in [Control::Certificate(bad.encode()), rubbish] {
        other.publish(3, &control);
    }
    other.settle();
    assert!(other.certified_at(&bad.batch_id()).is_empty());
    other.log.rejected.sort();
    assert_eq!(other.log.rejected, [0, 0, 1, 1, 2, 2].map(|seat| (seat, 3)), "each member, both times");
    assert!(other.log.penalties.iter().all(|(_, culprit, _)| *culprit == 3));
    other.assert_at_rest();
}
