//! The edge over real libp2p on loopback.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncWriteExt, FutureExt};
use libp2p::Multiaddr;
use libp2p::identity::Keypair;

use super::*;
use dac_node_engine::message::{FRAME_BYTES_MAX, OpenId};

/// Long enough for a busy machine; only reached when something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

fn keypair(seed: u8) -> Keypair {
    Keypair::ed25519_from_bytes([seed; 32]).unwrap()
}

async fn bind(seed: u8, listen: &str) -> Bound {
    Bound::listen(&keypair(seed), &[listen.parse::<Multiaddr>().unwrap()]).await.unwrap()
}

fn config(seat: u16, peers: &[(u16, &Bound)]) -> NetworkConfig {
    let peers = peers.iter().map(|(peer, bound)| Peer {
        seat: *peer,
        peer_id: keypair(u8::try_from(*peer).unwrap()).public().to_peer_id(),
        addresses: bound.addresses().to_vec(),
    });
    NetworkConfig { seat, peers: peers.collect(), committee: "test".to_owned() }
}

type Running = (Network, NetworkEvents);

async fn pair(listen: &str) -> (Running, Running) {
    let (a, b) = (bind(1, listen).await, bind(2, listen).await);
    let (config_a, config_b) = (config(1, &[(2, &b)]), config(2, &[(1, &a)]));
    let (a, b) = (a.start(config_a).unwrap(), b.start(config_b).unwrap());
    connected(&a.0, 2).await;
    connected(&b.0, 1).await;
    (a, b)
}

async fn connected(network: &Network, seat: u16) {
    let mut seats = network.connected();
    tokio::time::timeout(PATIENCE, seats.wait_for(|seats| seats.contains(seat))).await.unwrap().unwrap();
}

async fn next(events: &mut NetworkEvents) -> NetworkEvent {
    tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
}

/// Gossips until the other hears it: subscriptions take a moment to be known.
async fn heard(network: &Network, events: &mut NetworkEvents) {
    while events.recv().now_or_never().flatten().is_none() {
        network.gossip(vec![0; 100]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let asking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap();
}

fn lack(stripe: u32) -> Message {
    Message::Lack(OpenId([7; 32]), stripe)
}

#[tokio::test]
async fn frames_arrive_in_order_over_tcp_and_quic() {
    for listen in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
        let ((a, _a_events), (_b, mut b_events)) = pair(listen).await;
        for stripe in 0..100 {
            a.queue(2).unwrap().send(Class::Repair, lack(stripe).to_frame()).await.unwrap();
        }
        for stripe in 0..100 {
            let NetworkEvent::Message { from, message, .. } = next(&mut b_events).await else {
                panic!("gossip")
            };
            assert_eq!((from, message), (1, lack(stripe)), "{listen}");
        }
    }
}

#[tokio::test]
async fn a_stranger_reaches_no_handler() {
    let a = bind(1, "/ip4/127.0.0.1/tcp/0").await;
    let stranger = bind(3, "/ip4/127.0.0.1/tcp/0").await;
    let member = bind(2, "/ip4/127.0.0.1/tcp/0").await;
    // The stranger knows everything about member 1; member 1 expects member 2 only.
    let (stranger_config, a_config) = (config(3, &[(1, &a)]), config(1, &[(2, &member)]));
    let member_config = config(2, &[(1, &a)]);
    let (a, mut a_events) = a.start(a_config).unwrap();
    let (stranger, _events) = stranger.start(stranger_config).unwrap();
    let (member, _events) = member.start(member_config).unwrap();
    connected(&a, 2).await;
    connected(&member, 1).await;
    // The stranger's frame could only come before the member's: it had the whole time of the member's handshake.
    let refused = stranger.send(1, Class::Repair, lack(666).to_frame());
    member.send(1, Class::Repair, lack(1).to_frame()).unwrap();
    let NetworkEvent::Message { from, .. } = next(&mut a_events).await else { panic!("gossip") };
    assert_eq!(from, 2);
    assert_eq!(a.connected().borrow().iter().collect::<Vec<_>>(), [1, 2]);
    assert!(refused.is_err() || !stranger.queue(1).unwrap().is_connected());
}

#[tokio::test]
async fn an_unread_peer_fills_its_credits_and_then_waits() {
    let ((a, _a_events), (b, mut b_events)) = pair("/ip4/127.0.0.1/tcp/0").await;
    let total = u32::try_from(streams::CREDITS_PER_PEER * 3).unwrap();
    for stripe in 0..total {
        a.queue(2).unwrap().send(Class::Repair, lack(stripe).to_frame()).await.unwrap();
    }
    // Messages are held, so their credits are not given back: exactly so many arrive.
    let mut held = Vec::new();
    for _ in 0..streams::CREDITS_PER_PEER {
        held.push(next(&mut b_events).await);
    }
    // Another class of the same peer is not blocked by it.
    let open = Message::Vote(dac_node_engine::message::Vote {
        open_id: OpenId([1; 32]),
        attestation: attest::Attestation {
            batch_id: attest::BatchId::ZERO,
            seat: attest::SeatIndex(1),
            signature: attest::SignatureBytes::ZERO,
        },
    });
    a.queue(2).unwrap().send(Class::Bulk, open.to_frame()).await.unwrap();
    let NetworkEvent::Message { message, .. } = next(&mut b_events).await else { panic!("gossip") };
    assert_eq!(message, open);
    assert!(b_events.recv().now_or_never().is_none(), "more messages than credits");
    drop(held);
    for stripe in u32::try_from(streams::CREDITS_PER_PEER).unwrap()..total {
        let NetworkEvent::Message { message, .. } = next(&mut b_events).await else { panic!("gossip") };
        assert_eq!(message, lack(stripe));
    }
    drop(b);
}

#[tokio::test]
async fn a_malformed_frame_costs_the_stream_and_not_the_connection() {
    let ((a, _a_events), (b, mut b_events)) = pair("/ip4/127.0.0.1/tcp/0").await;
    a.send(2, Class::Repair, Bytes::from_static(&[3, 0, 0, 0, 0xff, 0xff, 0xff])).unwrap();
    // The writer notices at some later frame that the stream is gone; frames until then are lost.
    let arrived = async {
        for stripe in 0.. {
            // Full while the stream is being opened again.
            let _dropped = a.send(2, Class::Repair, lack(stripe).to_frame());
            if let Ok(event) = tokio::time::timeout(Duration::from_millis(20), b_events.recv()).await {
                return event.unwrap();
            }
        }
        unreachable!("the loop has no end")
    };
    let event = tokio::time::timeout(PATIENCE, arrived).await.unwrap();
    assert!(matches!(event, NetworkEvent::Message { from: 1, .. }));
    assert_eq!(b.counters().malformed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn gossip_is_passed_on_only_after_a_verdict() {
    let bound: Vec<Bound> =
        futures::future::join_all((1..4).map(|seed| bind(seed, "/ip4/127.0.0.1/tcp/0"))).await;
    let [a, b, c] = bound.try_into().unwrap();
    // A line: 1 - 2 - 3.
    let (config_a, config_b, config_c) =
        (config(1, &[(2, &b)]), config(2, &[(1, &a), (3, &c)]), config(3, &[(2, &b)]));
    let (a, _a_events) = a.start(config_a).unwrap();
    let (b, mut b_events) = b.start(config_b).unwrap();
    let (c, mut c_events) = c.start(config_c).unwrap();
    connected(&a, 2).await;
    connected(&c, 2).await;
    for (number, verdict) in [(0u8, Verdict::Ignore), (1, Verdict::Reject), (2, Verdict::Accept)] {
        // Subscriptions take a moment to be known: publish until the neighbour has it.
        let gossip = loop {
            a.gossip(vec![number; 100]);
            match tokio::time::timeout(Duration::from_millis(100), b_events.recv()).await {
                Ok(Some(NetworkEvent::Gossip { gossip, bytes, .. })) if bytes[0] == number => break gossip,
                Ok(None) => panic!("stopped"),
                _ => {}
            }
        };
        b.judge(gossip, verdict);
    }
    let NetworkEvent::Gossip { from, bytes, .. } = next(&mut c_events).await else { panic!("message") };
    assert_eq!((from, bytes[0]), (2, 2), "only what was accepted travels on");
}

#[tokio::test]
async fn gossip_that_was_never_judged_keeps_no_later_gossip_out() {
    let ((a, _a_events), (b, mut b_events)) = pair("/ip4/127.0.0.1/tcp/0").await;
    heard(&a, &mut b_events).await;
    for number in 0..=swarm::UNJUDGED_MAX {
        a.gossip(number.to_le_bytes().to_vec());
        let NetworkEvent::Gossip { bytes, .. } = next(&mut b_events).await else { panic!("message") };
        assert_eq!(bytes[..], number.to_le_bytes());
    }
    assert_eq!(b.counters().gossip_dropped.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_heartbeat_after_much_gossip_breaks_no_stream() {
    let ((a, _a_events), (b, mut b_events)) = pair("/ip4/127.0.0.1/tcp/0").await;
    heard(&a, &mut b_events).await;
    // A heartbeat names all of the last 1.5 s, the first one after 5 s.
    for number in 0..700u64 {
        a.gossip(number.to_le_bytes().to_vec());
        let NetworkEvent::Gossip { bytes, .. } = next(&mut b_events).await else { panic!("message") };
        assert_eq!(bytes[..], number.to_le_bytes());
        tokio::time::sleep(Duration::from_millis(if number < 200 { 20 } else { 2 })).await;
    }
    assert_eq!(b.counters().gossip_dropped.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_node_that_is_behind_with_frames_hears_gossip() {
    let own = bind(1, "/ip4/127.0.0.1/tcp/0").await;
    let bound = futures::future::join_all((2..7).map(|seed| bind(seed, "/ip4/127.0.0.1/tcp/0"))).await;
    let peers: Vec<(u16, &Bound)> = (2..).zip(&bound).collect();
    let own_config = config(1, &peers);
    let configs = [2, 3, 4, 5, 6].map(|seat| config(seat, &[(1, &own)]));
    let (own, mut events) = own.start(own_config).unwrap();
    let mut others = Vec::new();
    for (bound, config) in bound.into_iter().zip(configs) {
        others.push(bound.start(config).unwrap().0);
        connected(others.last().unwrap(), 1).await;
    }
    let is_gossip = |event: &NetworkEvent| matches!(event, NetworkEvent::Gossip { .. });
    // Subscriptions take a moment to be known.
    while events.recv().now_or_never().flatten().is_none() {
        others[0].gossip(vec![0; 100]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // More than the queue of frames takes, and nobody takes anything out of it.
    let frame = lack(1).to_frame();
    for other in &others {
        for _ in 0..streams::CREDITS_PER_PEER {
            other.queue(1).unwrap().send(Class::Repair, frame.clone()).await.unwrap();
        }
    }
    let received = |counter: &AtomicU64, total: usize| counter.load(Ordering::Relaxed) >= total as u64;
    let counters = own.counters();
    let full = frame.len() * (streams::CREDITS_PER_PEER * 4 + 1);
    until(|| received(&counters.received_bytes[Class::Repair as usize], full)).await;
    others[0].gossip(vec![1; 100]);
    until(|| received(&counters.gossip_received_bytes, 200)).await;
    while !is_gossip(&next(&mut events).await) {}
    assert_eq!(counters.gossip_dropped.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_frame_longer_than_the_limit_is_refused_before_it_is_read() {
    let mut stream = futures::io::Cursor::new(Vec::new());
    stream.write_all(&u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes()).await.unwrap();
    stream.set_position(0);
    let error = streams::read_frame(&mut stream).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    // Truncated in the prefix and in the body: an error, not a clean end.
    for bytes in [vec![1, 0], vec![5, 0, 0, 0, 1, 2]] {
        assert!(streams::read_frame(&mut futures::io::Cursor::new(bytes)).await.is_err());
    }
    assert!(streams::read_frame(&mut futures::io::Cursor::new(vec![])).await.unwrap().is_none());
}

#[tokio::test]
async fn a_closed_member_is_seen_to_be_gone() {
    let ((a, _a_events), (b, _b_events)) = pair("/ip4/127.0.0.1/tcp/0").await;
    b.close().await;
    let mut seats = a.connected();
    tokio::time::timeout(PATIENCE, seats.wait_for(|seats| !seats.contains(2))).await.unwrap().unwrap();
    assert_eq!(a.send(2, Class::Bulk, lack(0).to_frame()), Err(SendError::NotConnected));
}
