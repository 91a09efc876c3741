//! Members that stop and go on, with all their connections open: SIGSTOP, SIGCONT.

use std::sync::atomic::{AtomicU64, Ordering};

use e2e::{noise, until};

use crate::load::{Load, assert_all_there};
use crate::shared::{four_members, impatient, members_with, times};

#[tokio::test(flavor = "multi_thread")]
async fn the_others_certify_while_one_member_is_frozen_and_it_signs_again_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let members = four_members(directory.path()).await;
    let load = Load::start(&members, 2, &[0, 1, 2], 1);
    load.wait_for(2).await;
    members.freeze(3).unwrap();
    load.wait_for(10).await;
    members.thaw(3).unwrap();
    let rollup = members.rollup();
    let signed = || async {
        let text = members.metrics(3).await.ok()?.text();
        Some(e2e::metric(&text, "dac_stage_batches_total", &[("seat", "3"), ("stage", "signed")]))
    };
    let before = until("the member answers again", signed).await;
    until("it signs again", || async { (signed().await? >= before + 3.0).then_some(()) }).await;
    let ledger = load.stop().await;
    assert_all_there(&members, &ledger).await;
    // A certificate is made at the quorum: that this one seat is in the next is not promised, in one of the next it is.
    let number = AtomicU64::new(77);
    until("a batch that it takes is certified with its signature", || async {
        let batch = noise(number.fetch_add(1, Ordering::Relaxed), 9_000);
        let certified = rollup.submit(members.api(3), &batch, times()).await.certified(members.committee());
        certified.certificate.signers().iter().any(|seat| seat.0 == 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_quorum_nothing_is_certified_until_a_frozen_member_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let members = members_with(directory.path(), false, impatient).await;
    members.freeze(2).unwrap();
    members.freeze(3).unwrap();
    let (rollup, batch, times) = (members.rollup(), noise(78, 30_000), times());
    let problem = rollup.submit(members.api(0), &batch, times).await.problem(503, "quorum_not_reached");
    for seat in [2, 3] {
        let reason = problem["members"][seat]["reason"].as_str().unwrap_or_default();
        assert!(["no_answer", "unreachable"].contains(&reason), "{problem}");
    }
    members.thaw(2).unwrap();
    let certified = until("a member that goes on completes the quorum", || async {
        let answer = rollup.submit(members.api(0), &batch, times).await;
        (answer.status == 200).then(|| answer.certified(members.committee()))
    })
    .await;
    assert_eq!(problem["batch_id"], certified.batch_id.to_string(), "the same batch, not a second one");
    members.thaw(3).unwrap();
}
