//! One committee's part of the edge: its members' queues, its streams, its topic.

use std::collections::HashMap;
use std::sync::Arc;

use libp2p::PeerId;
use libp2p::gossipsub::IdentTopic;
use libp2p_stream::Control;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::queue::{Class, Counters, PeerQueue};
use super::{NetworkConfig, NetworkEvent, NetworkEvents, Peer, streams};
use dac_node_engine::SeatSet;
use dac_node_engine::message::CONTROL_TOPIC;

/// Gossip messages that may wait for the node; more are dropped. At 8 KiB each at most, 8 MiB.
const GOSSIP_MAX: usize = 1024;

/// What the swarm task keeps of a committee. Dropping it ends its streams.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) peers: Vec<Peer>,
    pub(super) topic: IdentTopic,
    pub(super) seats: Arc<HashMap<PeerId, u16>>,
    pub(super) queues: Arc<HashMap<u16, PeerQueue>>,
    pub(super) connected: watch::Sender<SeatSet>,
    pub(super) gossip: mpsc::Sender<NetworkEvent>,
    _tasks: JoinSet<()>,
}

impl Joined {
    /// Makes queues and streams; nobody is connected yet.
    pub(super) fn new(
        config: NetworkConfig,
        control: &Control,
        counters: &Arc<Counters>,
    ) -> anyhow::Result<(Joined, NetworkEvents)> {
        let seats: HashMap<PeerId, u16> = config.peers.iter().map(|peer| (peer.peer_id, peer.seat)).collect();
        let seats = Arc::new(seats);
        let (events, messages) = mpsc::channel(streams::CREDITS_PER_PEER * 4);
        let (gossip, gossiped) = mpsc::channel(GOSSIP_MAX);
        let connected = watch::channel(SeatSet::from_iter([config.seat])).0;
        let mut tasks = JoinSet::new();
        for class in Class::ALL {
            let incoming = control.clone().accept(class.protocol(&config.committee))?;
            tasks.spawn(streams::accept(class, incoming, seats.clone(), events.clone(), counters.clone()));
        }
        let mut queues = HashMap::new();
        for peer in &config.peers {
            let (queue, receivers) = PeerQueue::new();
            for (class, frames) in Class::ALL.into_iter().zip(receivers) {
                tasks.spawn(streams::write_to(
                    peer.seat,
                    peer.peer_id,
                    (class, class.protocol(&config.committee)),
                    control.clone(),
                    frames,
                    connected.subscribe(),
                    counters.clone(),
                ));
            }
            queues.insert(peer.seat, queue);
        }
        let joined = Joined {
            peers: config.peers,
            topic: IdentTopic::new(format!("{CONTROL_TOPIC}{}", config.committee)),
            seats,
            queues: Arc::new(queues),
            connected,
            gossip,
            _tasks: tasks,
        };
        Ok((joined, NetworkEvents { messages, gossip: gossiped }))
    }

    /// Tells everybody that a member of this committee came or went; does nothing for others.
    pub(super) fn set_connected(&self, peer_id: PeerId, is_connected: bool) {
        let Some(seat) = self.seats.get(&peer_id).copied() else { return };
        if let Some(queue) = self.queues.get(&seat) {
            queue.set_connected(is_connected);
        }
        self.connected.send_if_modified(|seats| {
            let before = *seats;
            if is_connected {
                seats.insert(seat);
            } else {
                seats.remove(seat);
            }
            *seats != before
        });
    }
}
