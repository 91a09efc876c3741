//! Floods, by strangers and by a member: memory stays bounded, honest clients keep half their rate, nothing is stored.
//!
//! All run on the same processors, the flooders too. So strangers fill a line of 100 Mbit/s to each member, and no more:
//! what is measured is the work that they cause, not the work that they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use attest::SubmitterKey;
use dac_node::clock::{Clock, SystemClock};
use dac_node::config::NodeConfig;
use dac_node::net::Class;
use dac_node_coding::Piece;
use dac_node_engine::message::{Message, Open, OpenId, Want};
use e2e::{Members, Rollup, noise};
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::load::{Load, assert_all_there};
use crate::shared::{members_with, times};

/// What a member of these tests may take at most. With three peers, two classes and 64 frames of 256 KiB in hand for each
/// it is 96 MiB for what peers send; 8 MiB for bodies nobody vouched for and 16 MiB for the others; three times 16 MiB for
/// batches in flight; the rest is what a member that does nothing takes, and the allocator.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Honest work is measured over so long, with the flood and without it, in turns.
const TURN: Duration = Duration::from_millis(1500);
const TURNS: u32 = 4;
/// One flood at a time.
static ALONE: Mutex<()> = Mutex::const_new(());
/// Flooders of each sort.
const FLOODERS: u64 = 4;
const BODY_BYTES: usize = 256 << 10;
/// Pause between two bodies to one member: 100 Mbit/s.
const BODY_PAUSE: Duration = Duration::from_millis(21);
/// Pause between two connections of junk to one member.
const JUNK_PAUSE: Duration = Duration::from_millis(5);

fn small(_: u16, config: &mut NodeConfig) {
    config.batch_bytes_max = bytesize::ByteSize::mib(8);
    config.api.unauthenticated_bytes_max = bytesize::ByteSize::mib(8);
    config.api.authorised_bytes_max = bytesize::ByteSize::mib(16);
    config.bytes_in_flight_max = bytesize::ByteSize::mib(16);
    config.log.level = "error".to_owned();
}

/// A flood that can be turned on and off.
#[derive(Clone, Default)]
struct Tap {
    open: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Tap {
    /// False when the flood is over; waits for the pause, and while it is turned off.
    async fn flows(&self, pause: Duration) -> bool {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        while !self.open.load(Ordering::Relaxed) && !self.over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        !self.over.load(Ordering::Relaxed)
    }
}

/// Honest batches certified with the flood and without it, in turns of the same length; and the most memory.
async fn measure(members: &Members, tap: &Tap, seats: &[u16]) -> (u64, u64, u64) {
    let load = Load::start(members, 2, seats, 7);
    load.wait_for(5).await;
    let (clock, mut calm, mut flooded, mut memory) = (SystemClock::new(), 0, 0, 0);
    for turn in 0..2 * TURNS {
        let with = turn % 2 == 1;
        tap.open.store(with, Ordering::Relaxed);
        let (before, ends) = (load.certified(), clock.now().monotonic + TURN);
        while clock.now().monotonic < ends {
            tokio::time::sleep(Duration::from_millis(50)).await;
            memory =
                seats.iter().map(|seat| members.resident_bytes(*seat).unwrap()).max().unwrap().max(memory);
        }
        *(if with { &mut flooded } else { &mut calm }) += load.certified() - before;
    }
    tap.over.store(true, Ordering::Relaxed);
    assert_all_there(members, &load.stop().await).await;
    (calm, flooded, memory)
}

fn assert_withstood(who: &str, (calm, flooded, memory): (u64, u64, u64), sent: u64) {
    println!(
        "{who}: {calm} batches without the flood, {flooded} with it ({sent} things sent), {} MiB",
        memory >> 20
    );
    assert!(sent > 100, "{who} hardly flooded");
    assert!(memory < MEMORY_BYTES_MAX, "{who}: {memory} bytes in use");
    assert!(flooded * 2 >= calm, "{who}: {flooded} batches with the flood, {calm} without it");
}

fn stranger(members: &Members) -> Rollup {
    let known = members.rollup();
    Rollup::new(known.id, known.domain, SubmitterKey::from_bytes(&[0x66; 32]).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_that_flood_are_bounded_and_store_nothing() {
    let _alone = ALONE.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let members = members_with(directory.path(), false, small).await;
    let (tap, mut flood) = (Tap::default(), JoinSet::new());
    for flooder in 0..FLOODERS {
        // Whole bodies that nobody vouched for, hashed before the signature can be looked at.
        let (tap, rollup) = (tap.clone(), stranger(&members));
        let api = members.api(u16::try_from(flooder % 4).unwrap()).to_owned();
        let junk = tap.clone();
        flood.spawn(async move {
            let body = noise(600 + flooder, BODY_BYTES);
            let submission = rollup.submission(&body, times());
            while tap.flows(BODY_PAUSE).await {
                // Refused as unauthorised or busy, or cut off: nothing else is right, and the tests of the API say which.
                let answer = e2e::Answer::try_of(rollup.post(&api, &submission).body(body.clone())).await;
                assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status >= 400));
            }
        });
        // Bytes that are no handshake, at the port of the members.
        let address = members.address(u16::try_from(flooder % 4).unwrap());
        flood.spawn(async move {
            while junk.flows(JUNK_PAUSE).await {
                if let Ok(mut stream) = tokio::net::TcpStream::connect(address).await {
                    let _refused = stream.write_all(&noise(700 + flooder, 4096)).await;
                }
            }
        });
    }
    let measured = measure(&members, &tap, &[0, 1, 2, 3]).await;
    while let Some(one) = flood.join_next().await {
        one.unwrap();
    }
    assert_withstood("strangers", measured, tap.sent.load(Ordering::Relaxed));
    for flooder in 0..FLOODERS {
        let hash = attest::DataHash(fpga_hash::keccak256(&noise(600 + flooder, BODY_BYTES)));
        for seat in 0..4 {
            let answer = members.rollup().get(members.api(seat), &format!("/v1/batches/{hash}")).await;
            answer.problem(404, "unknown_batch");
        }
    }
}

/// One member in four sends as much as its links take, of all that costs its receiver something.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_floods_is_bounded_and_the_others_certify() {
    let _alone = ALONE.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let mut members = members_with(directory.path(), false, small).await;
    members.kill(3).unwrap();
    let (network, mut events) = members.play(3).await.unwrap();
    let mut connected = network.connected();
    connected.wait_for(|seats| seats.len() == 4).await.unwrap();
    let (tap, mut flood) = (Tap::default(), JoinSet::new());
    let forged = open_of(&members);
    for to in 0..3 {
        for class in Class::ALL {
            let (tap, network, forged) = (tap.clone(), network.clone(), forged.clone());
            flood.spawn(async move {
                let mut number = 0_u32;
                while tap.flows(Duration::ZERO).await {
                    number += 1;
                    let frame = nuisance(number, &forged).to_frame();
                    let sent = match network.queue(to) {
                        Some(queue) => queue.send(class, frame).await.is_ok(),
                        None => false,
                    };
                    if !sent {
                        // Thrown out for its faults; it dials again.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            });
        }
    }
    // It reads nothing of what it is answered.
    flood.spawn(async move { while events.recv().await.is_some() {} });
    let measured = measure(&members, &tap, &[0, 1, 2]).await;
    network.close().await;
    drop(network);
    flood.abort_all();
    assert_withstood("a member", measured, tap.sent.load(Ordering::Relaxed));
}

/// An open of a submission that a stranger signed.
fn open_of(members: &Members) -> Open {
    let rollup = stranger(members);
    let submission = rollup.submission(&noise(800, 100_000), times());
    let file = std::fs::read_to_string(members.committee()).unwrap();
    let committee = attest::CommitteeFile::from_json(&file).unwrap().check().unwrap();
    let (epoch, committee_hash) = (committee.epoch(), committee.hash());
    let (signature, shards_root) = (rollup.sign(&submission), attest::ShardsRoot([7; 32]));
    Open { epoch, committee_hash, submission, signature, shards_root, coordinator: 3 }
}

/// Something to look at: a piece of nothing, a question about nothing, an open that nobody signed.
fn nuisance(number: u32, forged: &Open) -> Message {
    let mut id = [9; 32];
    id[..4].copy_from_slice(&number.to_le_bytes());
    match number % 4 {
        0 => {
            let open = Open { shards_root: attest::ShardsRoot(id), ..forged.clone() };
            Message::Open(Box::new(open))
        }
        1 => {
            let held = dac_node_engine::SeatSet::EMPTY;
            Message::Want(Want { open_id: OpenId(id), stripe: number, held, count: 4 })
        }
        _ => {
            let bytes = noise(u64::from(number), 32 << 10);
            Message::Piece(OpenId(id), Piece { stripe: 0, index: 1, bytes, path: vec![id; 2] })
        }
    }
}
