//! Links with distance, loss and partitions between members in namespaces of their own.

use std::time::Duration;

use dac_node::clock::{Clock, SystemClock};
use e2e::{Link, noise, until};

use crate::load::{Load, assert_all_there};
use crate::shared::{impatient, members_with, times};

const FAR: Link = Link { delay: Duration::from_millis(20), loss: 0.005, cut: false };

#[tokio::test(flavor = "multi_thread")]
async fn members_certify_over_distance_and_loss_and_after_a_partition() {
    let directory = tempfile::tempdir().unwrap();
    let members = members_with(directory.path(), true, impatient).await;
    let rollup = members.rollup();
    let Some(links) = members.network().links() else {
        // Without privileges there are no links to cut; that members on loopback certify is all that is left.
        let batch = noise(500, 100_000);
        rollup.submit(members.api(0), &batch, times()).await.certified(members.committee());
        return;
    };
    links.set_all(FAR);
    links.set_rate(100e6);
    let load = Load::start(&members, 2, &[0, 1, 2, 3], 5);
    load.wait_for(6).await;
    let far = load.stop().await;
    assert_all_there(&members, &far).await;

    // Three on one side certify; the one on the other says that it cannot, and can when the sides are joined.
    links.partition(&[3], true);
    let (batch, times) = (noise(501, 50_000), times());
    let alone = rollup.submit(members.api(3), &batch, times).await.problem(503, "quorum_not_reached");
    let load = Load::start(&members, 1, &[0, 1, 2], 6);
    load.wait_for(3).await;
    links.partition(&[3], false);
    let certified = until("the member is heard again", || async {
        let answer = rollup.submit(members.api(3), &batch, times).await;
        (answer.status == 200).then(|| answer.certified(members.committee()))
    })
    .await;
    assert_eq!(alone["batch_id"], certified.batch_id.to_string(), "the same batch, not a second one");
    assert_all_there(&members, &load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_devices_hand_over_in_large_pieces_takes_its_time_on_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let members = members_with(directory.path(), true, |_, _| {}).await;
    // Without privileges there is no line.
    let Some(links) = members.network().links() else { return };
    links.set_rate(40e6);
    let (batch, clock) = (noise(502, 2_000_000), SystemClock::new());
    let begun = clock.now().monotonic;
    let answer = members.rollup().submit(members.api(0), &batch, times()).await;
    answer.certified(members.committee());
    // Two more signers are needed, and all they know came over the coordinator's uplink: a batch at least.
    assert!(clock.now().monotonic - begun >= Duration::from_millis(400), "2 MB at 5 MB/s");
}
