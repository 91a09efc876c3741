//! The same submission is the same batch, however often, through whomever and however much at once it comes.

use std::collections::BTreeSet;

use attest::BatchId;
use e2e::{Answer, Times, noise};
use futures::future::join_all;

use crate::shared::shared;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_submission_of_the_same_bytes_is_the_same_batch() {
    let shared = shared().await;
    let (rollup, batch, times) = (&shared.rollup, noise(200, 20_000), shared.times());
    let first = rollup.submit(&shared.api[0], &batch, times).await.certified(&shared.committee);
    for api in &shared.api {
        let again = rollup.submit(api, &batch, times).await.certified(&shared.committee);
        assert_eq!(again.batch_id, first.batch_id);
        let status = rollup.get(api, &format!("/v1/batches/{}/status", submission_hash(&batch))).await.json();
        assert_eq!(status["batch_id"], first.batch_id.to_string(), "no second statement over these bytes");
    }
    // The deadline is no part of the statement.
    let later = Times { deadline: times.deadline + 1, ..times };
    let again = rollup.submit(&shared.api[1], &batch, later).await.certified(&shared.committee);
    assert_eq!(again.batch_id, first.batch_id);
}

fn submission_hash(batch: &[u8]) -> attest::DataHash {
    attest::DataHash(fpga_hash::keccak256(batch))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_with_other_times_are_another_statement_over_the_same_data() {
    let shared = shared().await;
    let (rollup, batch, times) = (&shared.rollup, noise(210, 120_000), shared.times());
    let first = rollup.submit(&shared.api[0], &batch, times).await.certified(&shared.committee);
    let longer = Times { retain_until: times.retain_until + 3600, ..times };
    let second = rollup.submit(&shared.api[3], &batch, longer).await.certified(&shared.committee);
    assert_ne!(first.batch_id, second.batch_id);
    let (one, two) = (first.certificate.statement(), second.certificate.statement());
    assert_eq!(
        (one.data_hash, one.data_root, one.shards_root),
        (two.data_hash, two.data_root, two.shards_root)
    );
    for api in &shared.api {
        for id in [first.batch_id, second.batch_id] {
            assert!(rollup.fetch(api, id).await.ok() == batch);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_at_once_get_one_batch_for_one_submission() {
    let shared = shared().await;
    let (rollup, batch, times) = (&shared.rollup, noise(220, 60_000), shared.times());
    // Two to each of three members, and one with another deadline: the same statement all the same.
    let mut posts = Vec::new();
    for seat in [0, 0, 1, 1, 5, 5] {
        posts.push(rollup.submit(&shared.api[seat], &batch, times));
    }
    posts.push(rollup.submit(&shared.api[2], &batch, Times { deadline: times.deadline + 7, ..times }));
    let ids: BTreeSet<BatchId> =
        join_all(posts).await.iter().map(|answer| answer.certified(&shared.committee).batch_id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_at_once_with_other_times_get_a_batch_each() {
    let shared = shared().await;
    let (rollup, batch, times) = (&shared.rollup, noise(230, 60_000), shared.times());
    let posts = (0..4u64).map(|hour| {
        let times = Times { retain_until: times.retain_until + hour * 3600, ..times };
        rollup.submit(&shared.api[hour as usize], &batch, times)
    });
    let answers: Vec<Answer> = join_all(posts).await;
    let ids: BTreeSet<BatchId> =
        answers.iter().map(|answer| answer.certified(&shared.committee).batch_id).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_wait_is_told_where_to_look() {
    let shared = shared().await;
    let (rollup, batch) = (&shared.rollup, noise(240, 60_000));
    let submission = rollup.submission(&batch, shared.times());
    let request = rollup.post_waiting(&shared.api[4], &submission, "none").body(batch.clone());
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let accepted = answer.json();
    let location = answer.header("location").to_owned();
    assert_eq!(accepted["urls"]["status"], location);
    assert_eq!(accepted["data_hash"], submission.data_hash.to_string());
    let status = e2e::until("the batch is certified", || async {
        let status = rollup.get(&shared.api[4], &location).await.json();
        (status["stage"] == "certified").then_some(status)
    })
    .await;
    assert_eq!(status["batch_id"], accepted["batch_id"]);
}
