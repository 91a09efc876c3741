//! Every reason to say no, with the numbers behind it, seen by the submitter through the coordinator.

use std::time::Duration;

use attest::{CommitteeHash, Epoch, SubmissionSignature};
use bytesize::ByteSize;

use super::cluster::Cluster;
use super::forge::Encoding;
use super::parties::{Request, START_UNIX_SECONDS, policy, submitter};
use crate::message::Message;
use crate::{EngineConfig, Event, Outcome, Reason, Refusal, RollupPolicy};

/// What a member that differs from the others by `change` answers to an ordinary batch of 5000 bytes. The others
/// certify without it.
fn answer_of_seat_three(change: impl Fn(&mut EngineConfig), prepare: impl Fn(&mut Cluster)) -> Refusal {
    let mut cluster = Cluster::with_config((4, 2, 3), 1, |config| {
        if config.seat == 3 {
            change(config);
        }
    });
    prepare(&mut cluster);
    let batch_id = cluster.settle_submission(0, &Request::random(1, 5_000));
    assert_eq!(cluster.signers(&batch_id), [0, 1, 2]);
    assert_eq!(cluster.log.penalties, []);
    cluster.assert_at_rest();
    let member = &cluster.status(0, &batch_id).unwrap().members[3];
    assert_eq!(member.outcome, Outcome::Refused);
    Refusal::new(
        member.reason.expect("a refusal has a reason"),
        member.detail.clone().expect("and its numbers"),
    )
}

fn with_policy(change: impl Fn(&mut RollupPolicy)) -> impl Fn(&mut EngineConfig) {
    move |config| config.rollups.values_mut().for_each(&change)
}

fn refusal_by_config(change: impl Fn(&mut EngineConfig)) -> (Reason, String) {
    let Refusal { reason, detail } = answer_of_seat_three(change, |_| {});
    (reason, detail)
}

fn refusal_after(prepare: impl Fn(&mut Cluster)) -> (Reason, String) {
    let Refusal { reason, detail } = answer_of_seat_three(|_| {}, prepare);
    (reason, detail)
}

#[test]
fn refuses_rollups_and_submitters_it_does_not_know() {
    let (reason, detail) = refusal_by_config(|config| config.rollups.clear());
    assert_eq!(reason, Reason::Unauthorised);
    assert_eq!(detail, format!("unknown rollup {}", policy().id));
    let stranger = submitter(2).address();
    let (reason, detail) = refusal_by_config(with_policy(|policy| policy.submitters = vec![stranger]));
    assert_eq!(reason, Reason::Unauthorised);
    assert!(detail.starts_with(&submitter(1).address().to_string()), "{detail}");
}

#[test]
fn refuses_more_bytes_or_days_than_the_quota() {
    let (reason, detail) = refusal_by_config(with_policy(|policy| policy.quota_per_day = ByteSize::b(4_999)));
    assert_eq!((reason, &detail[..]), (Reason::QuotaExceeded, "0 of 4999 bytes used today, 5000 more asked"));
    let short = Duration::from_secs(19 * 86_400);
    let (reason, detail) = refusal_by_config(with_policy(|policy| policy.retention_max = short));
    assert_eq!(reason, Reason::QuotaExceeded);
    assert!(detail.starts_with("retention until "), "{detail}");
}

#[test]
fn counts_what_is_stored_and_what_is_on_its_way_to_the_quota() {
    let change = with_policy(|policy| policy.quota_per_day = ByteSize::b(10_000));
    let mut cluster = Cluster::with_config((4, 2, 3), 1, change);
    let ask = |seed| Request::random(seed, 4_000);
    cluster.settle_submission(0, &ask(1));
    let on_its_way = cluster.submit(0, &ask(2));
    let too_much = cluster.submit(0, &ask(3));
    let refusal = cluster.log.answers[&too_much].clone().unwrap_err();
    assert_eq!(
        refusal,
        Refusal::new(Reason::QuotaExceeded, "8000 of 10000 bytes used today, 4000 more asked")
    );
    cluster.settle();
    assert!(cluster.log.answers[&on_its_way].is_ok());
}

#[test]
fn refuses_batches_that_are_too_large_for_it_or_the_rollup() {
    for (reason, detail) in [
        refusal_by_config(|config| config.batch_bytes_max = 4_999),
        refusal_by_config(with_policy(|policy| policy.batch_max = ByteSize::b(4_999))),
    ] {
        let expected = "batch of 5000 bytes, at most 4999 for this rollup";
        assert_eq!((reason, &detail[..]), (Reason::TooLarge, expected));
    }
}

#[test]
fn refuses_after_the_deadline_and_after_the_end_of_retention() {
    let (reason, detail) = refusal_after(|cluster| cluster.member(3).clock_skew_seconds = 3_601);
    let (deadline, now) = (START_UNIX_SECONDS + 3_600, START_UNIX_SECONDS + 3_601);
    assert_eq!((reason, detail), (Reason::Expired, format!("deadline {deadline} is over, it is {now}")));
    let mut cluster = Cluster::new((4, 2, 3), 1);
    for request in [
        Request::random(1, 100).with(|submission| {
            submission.retain_until = START_UNIX_SECONDS;
            submission.hot_until = START_UNIX_SECONDS;
        }),
        Request::random(1, 100).with(|submission| submission.hot_until = submission.retain_until + 1),
    ] {
        let ticket = cluster.submit(0, &request);
        assert_eq!(cluster.log.answers[&ticket].as_ref().unwrap_err().reason, Reason::Expired);
    }
}

#[test]
fn refuses_when_the_disk_is_full_before_a_piece_is_kept() {
    let (reason, detail) = refusal_after(|cluster| cluster.member(3).disk.capacity_bytes = 7_499);
    assert_eq!(
        (reason, &detail[..]),
        (Reason::StorageFull, "7500 bytes needed, 7499 free above the reserve")
    );
}

#[test]
fn refuses_when_the_disk_fills_up_while_the_batch_arrives_or_fails() {
    for reason in [Reason::StorageFull, Reason::StorageError] {
        let refusal = refusal_after(|cluster| cluster.member(3).disk.failing = Some(reason));
        assert_eq!(refusal, (reason, "the disk fails".to_owned()));
    }
}

#[test]
fn refuses_when_too_much_is_in_flight() {
    let (reason, detail) = refusal_by_config(|config| config.batches_in_flight_max = 0);
    assert_eq!(reason, Reason::Busy);
    assert!(detail.starts_with("0 of 0 batches and 0 of "), "{detail}");
    let (reason, detail) = refusal_by_config(|config| config.bytes_in_flight_max = 4_999);
    assert_eq!((reason, &detail[..]), (Reason::Busy, "0 of 64 batches and 0 of 4999 bytes in flight"));
}

#[test]
fn refuses_while_it_is_stopping() {
    let (reason, _) = refusal_after(|cluster| cluster.happens(3, Event::Stop));
    assert_eq!(reason, Reason::ShuttingDown);
}

#[test]
fn the_coordinator_gives_its_own_refusal_to_its_submitter() {
    type Break = fn(&mut EngineConfig);
    let breaks: [(Break, Reason); 4] = [
        (|config| config.rollups.clear(), Reason::Unauthorised),
        (|config| config.batch_bytes_max = 10, Reason::TooLarge),
        (|config| config.bytes_in_flight_max = 10, Reason::Busy),
        (|config| config.batches_in_flight_max = 0, Reason::Busy),
    ];
    for (change, reason) in breaks {
        let mut cluster = Cluster::with_config((4, 2, 3), 1, change);
        let ticket = cluster.submit(0, &Request::random(1, 5_000));
        assert_eq!(cluster.log.answers[&ticket].as_ref().unwrap_err().reason, reason);
        cluster.settle();
        assert!(
            cluster.members[1].inbox.is_empty() && cluster.network.sent_bytes.is_empty(),
            "nobody hears of it"
        );
    }
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.member(0).disk.capacity_bytes = 10;
    let ticket = cluster.submit(0, &Request::random(1, 5_000));
    assert_eq!(cluster.log.answers[&ticket].as_ref().unwrap_err().reason, Reason::StorageFull);
}

#[test]
fn refuses_signatures_that_are_not_the_submitters() {
    let good = Request::random(1, 500);
    let by_stranger = Request::signed_by(&submitter(9), good.submission, good.batch.clone());
    let of_other_times = Request {
        signature: good.clone().with(|submission| submission.deadline += 1).signature,
        ..good.clone()
    };
    let mut high = good.clone();
    high.signature.0[64] = 29;
    let zero = Request { signature: SubmissionSignature([0; 65]), ..good };
    for request in [by_stranger, of_other_times, high, zero] {
        let mut cluster = Cluster::new((4, 2, 3), 1);
        let ticket = cluster.submit(1, &request);
        assert_eq!(cluster.log.answers[&ticket].as_ref().unwrap_err().reason, Reason::Unauthorised);
        cluster.make_puppet(0);
        let encoding = Encoding::of(&cluster.committee, &request.batch);
        cluster.disperse_as(0, &encoding, &request);
        cluster.settle();
        let everyone = [1, 2, 3].map(|seat| (seat, Reason::Unauthorised));
        assert_eq!(cluster.refusals_to(0), everyone, "each answers once, to the stream");
        cluster.assert_at_rest();
        assert!(cluster.members.iter().all(|member| member.disk.durable.contents.is_empty()));
    }
}

#[test]
fn refuses_opens_of_another_epoch_or_committee() {
    for (epoch, hash) in [(Epoch(4), None), (Epoch(2), None), (Epoch(3), Some(CommitteeHash([1; 32])))] {
        let mut cluster = Cluster::new((4, 2, 3), 1);
        cluster.make_puppet(0);
        let request = Request::random(1, 500);
        let mut open = Encoding::of(&cluster.committee, &request.batch).open(&cluster.committee, &request, 0);
        open.epoch = epoch;
        open.committee_hash = hash.unwrap_or(open.committee_hash);
        cluster.send(0, 2, Message::Open(Box::new(open)));
        cluster.settle();
        assert_eq!(cluster.refusals_to(0), [(2, Reason::StaleEpoch)]);
        assert_eq!(cluster.log.penalties, [], "an epoch may have just changed");
    }
}

#[test]
fn refuses_when_pieces_do_not_come_and_says_how_many_are_missing() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.make_puppet(0);
    let request = Request::random(1, 100_000);
    let encoding = Encoding::of(&cluster.committee, &request.batch);
    let open_id = cluster.open_as(0, &encoding, &request);
    cluster.send(0, 1, Message::Piece(open_id, encoding.piece(0, 1)));
    cluster.settle();
    assert_eq!(cluster.refusals_to(0), [1, 2, 3].map(|seat| (seat, Reason::PiecesMissing)));
    let details: Vec<String> = cluster.members[0]
        .inbox
        .iter()
        .filter_map(|(from, message)| match message {
            Message::No(no) if *from == 1 => Some(no.refusal().detail),
            _ => None,
        })
        .collect();
    let expected = "2 of 2 stripes incomplete, the fewest pieces of one are 0 of 2, nothing new for 5000 ms";
    assert_eq!(details, [expected]);
    assert!(cluster.now < Duration::from_secs(10));
    cluster.assert_at_rest();
}
