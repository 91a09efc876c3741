//! The libp2p swarm: who is connected, and gossip. Never hashes, decodes or syncs; never waits for the node.

use std::collections::HashMap;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, MessageId, ValidationMode};
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, allow_block_list, connection_limits, noise, ping, tcp, yamux};
use tokio::sync::{mpsc, watch};

use super::queue::{Class, Counters, PeerQueue};
use super::{Command, Network, NetworkConfig, NetworkEvent, streams};
use crate::engine::{GossipId, SeatSet, Verdict};
use crate::message::GOSSIP_BYTES_MAX;

/// Orders that may wait for the swarm task.
const COMMANDS_MAX: usize = 4096;
/// Gossip messages that may wait for their verdict; the oldest is forgotten (and so ignored) beyond that.
const UNJUDGED_MAX: usize = 4096;
/// Substreams of one connection: two classes in both directions, gossip, ping, and room to open them again.
const STREAMS_PER_CONNECTION_MAX: usize = 32;
/// First pause before an absent member is dialed again; doubles up to [`DIAL_PAUSE_MAX`].
const DIAL_PAUSE: Duration = Duration::from_millis(200);
const DIAL_PAUSE_MAX: Duration = Duration::from_secs(15);
/// How often absent members are looked at.
const DIAL_TICK: Duration = Duration::from_millis(100);

#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "BehaviourEvent")]
struct Behaviour {
    // The limits come first: what they deny, nothing else sees.
    allowed: allow_block_list::Behaviour<allow_block_list::AllowedPeers>,
    limits: connection_limits::Behaviour,
    gossip: gossipsub::Behaviour,
    streams: libp2p_stream::Behaviour,
    ping: ping::Behaviour,
}

/// What the behaviours report; only gossip matters here.
#[derive(Debug)]
enum BehaviourEvent {
    Gossip(Box<gossipsub::Event>),
    Other,
}

impl From<gossipsub::Event> for BehaviourEvent {
    fn from(event: gossipsub::Event) -> Self {
        BehaviourEvent::Gossip(Box::new(event))
    }
}

impl From<ping::Event> for BehaviourEvent {
    fn from(_: ping::Event) -> Self {
        BehaviourEvent::Other
    }
}

impl From<()> for BehaviourEvent {
    fn from((): ()) -> Self {
        BehaviourEvent::Other
    }
}

impl From<Infallible> for BehaviourEvent {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A swarm that listens, before it knows its committee: its addresses can be put into the committee file.
pub struct Bound {
    swarm: Swarm<Behaviour>,
    addresses: Vec<Multiaddr>,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Bound {
    /// Listens on `listen` (TCP or QUIC multiaddresses; port 0 chooses one).
    ///
    /// # Errors
    /// What the transport said, with the address.
    pub async fn listen(keypair: &Keypair, listen: &[Multiaddr]) -> anyhow::Result<Bound> {
        let mut swarm = swarm(keypair)?;
        for address in listen {
            swarm
                .listen_on(address.clone())
                .map_err(|error| anyhow::anyhow!("cannot listen on {address}: {error}"))?;
        }
        let mut addresses = Vec::new();
        while addresses.len() < listen.len() {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => addresses.push(address),
                SwarmEvent::ListenerClosed { reason, .. } => {
                    anyhow::bail!(
                        "cannot listen on {listen:?}: {}",
                        reason.err().map_or_else(String::new, |e| e.to_string())
                    )
                }
                SwarmEvent::ListenerError { error, .. } => {
                    anyhow::bail!("cannot listen on {listen:?}: {error}")
                }
                _ => {}
            }
        }
        Ok(Bound { swarm, addresses })
    }

    /// Addresses really listened on.
    pub fn addresses(&self) -> &[Multiaddr] {
        &self.addresses
    }

    /// Starts: dials every member, accepts every member, nobody else.
    ///
    /// # Errors
    /// When called twice for one swarm, or the topic cannot be subscribed.
    pub fn start(mut self, config: NetworkConfig) -> anyhow::Result<(Network, mpsc::Receiver<NetworkEvent>)> {
        let topic = IdentTopic::new(config.topic.clone());
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gossip.subscribe(&topic)?;
        for peer in &config.peers {
            behaviour.allowed.allow_peer(peer.peer_id);
        }
        let control = behaviour.streams.new_control();
        let seats: Arc<HashMap<PeerId, u16>> =
            Arc::new(config.peers.iter().map(|peer| (peer.peer_id, peer.seat)).collect());
        let (events_sender, events) = mpsc::channel(streams::CREDITS_PER_PEER * 4);
        let (commands_sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (connected_sender, connected) = watch::channel(SeatSet::from_iter([config.seat]));
        let counters = Arc::new(Counters::default());
        let mut queues = HashMap::new();
        for peer in &config.peers {
            let (queue, receivers) = PeerQueue::new();
            for (class, frames) in Class::ALL.into_iter().zip(receivers) {
                let (control, connected, counters) = (control.clone(), connected.clone(), counters.clone());
                tokio::spawn(streams::write_to(
                    peer.seat,
                    peer.peer_id,
                    class,
                    control,
                    frames,
                    connected,
                    counters,
                ));
            }
            queues.insert(peer.seat, queue);
        }
        for class in Class::ALL {
            let incoming = control.clone().accept(libp2p::StreamProtocol::new(class.protocol()))?;
            tokio::spawn(streams::accept(
                class,
                incoming,
                seats.clone(),
                events_sender.clone(),
                counters.clone(),
            ));
        }
        let network = Network {
            queues: Arc::new(queues),
            peers: Arc::new(config.peers.iter().map(|peer| (peer.seat, peer.peer_id)).collect()),
            commands: commands_sender,
            connected,
            counters: counters.clone(),
        };
        let absent =
            config.peers.iter().map(|peer| (peer.peer_id, Absent::new(config.seat, peer.seat))).collect();
        let task = Task {
            swarm: self.swarm,
            topic,
            config,
            seats,
            queues: network.queues.clone(),
            absent,
            connected: connected_sender,
            events: events_sender,
            unjudged: HashMap::new(),
            next_gossip: 0,
            counters,
        };
        tokio::spawn(task.run(commands));
        Ok((network, events))
    }
}

fn swarm(keypair: &Keypair) -> anyhow::Result<Swarm<Behaviour>> {
    let yamux = || {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_PER_CONNECTION_MAX);
        config
    };
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established_per_peer(Some(2))
        .with_max_established(Some(1024))
        .with_max_pending_incoming(Some(256));
    let swarm = libp2p::SwarmBuilder::with_existing_identity(keypair.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux)?
        .with_quic()
        .with_dns()?
        .with_behaviour(|_| {
            Ok(Behaviour {
                allowed: allow_block_list::Behaviour::default(),
                limits: connection_limits::Behaviour::new(limits),
                gossip: gossip()?,
                streams: libp2p_stream::Behaviour::new(),
                ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(10))),
            })
        })?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(Duration::from_secs(24 * 3600))
                .with_per_connection_event_buffer_size(64)
                .with_notify_handler_buffer_size(NonZeroUsize::new(64).expect("not zero"))
        })
        .build();
    Ok(swarm)
}

/// Gossip without signatures (payloads carry their own), named by content, passed on only after a verdict.
fn gossip() -> Result<gossipsub::Behaviour, Box<dyn std::error::Error + Send + Sync>> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| MessageId::from(fpga_hash::keccak256(&message.data).to_vec()))
        .max_transmit_size(GOSSIP_BYTES_MAX + 1024)
        .heartbeat_interval(Duration::from_millis(500))
        .duplicate_cache_time(Duration::from_secs(120))
        .publish_queue_duration(Duration::from_secs(10))
        .forward_queue_duration(Duration::from_secs(10))
        // The author reaches every member it is connected to; the mesh only closes the gaps where two members are
        // not connected, so a thin one is enough: at 32 members a mesh of six cost a third of the time to certificate.
        .flood_publish(true)
        .mesh_outbound_min(1)
        .mesh_n_low(2)
        .mesh_n(3)
        .mesh_n_high(4)
        .build()?;
    Ok(gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config)?)
}

/// A member that is not connected, and when to dial it.
#[derive(Debug)]
struct Absent {
    pause: Duration,
    next: tokio::time::Instant,
}

impl Absent {
    /// The lower seat dials at once, the higher one gives it a moment: two members do not dial each other.
    fn new(own: u16, peer: u16) -> Absent {
        let first = if own < peer { Duration::ZERO } else { DIAL_PAUSE * 5 };
        Absent { pause: DIAL_PAUSE, next: tokio::time::Instant::now() + first }
    }

    fn backed_off(&mut self, seat: u16) {
        // Different members wait differently long.
        self.next = tokio::time::Instant::now() + self.pause + self.pause * u32::from(seat % 8) / 16;
        self.pause = (self.pause * 2).min(DIAL_PAUSE_MAX);
    }
}

struct Task {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    config: NetworkConfig,
    seats: Arc<HashMap<PeerId, u16>>,
    queues: Arc<HashMap<u16, PeerQueue>>,
    absent: HashMap<PeerId, Absent>,
    connected: watch::Sender<SeatSet>,
    events: mpsc::Sender<NetworkEvent>,
    unjudged: HashMap<GossipId, (MessageId, PeerId)>,
    next_gossip: GossipId,
    counters: Arc<Counters>,
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut tick = tokio::time::interval(DIAL_TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                command = commands.recv() => match command {
                    // Dropping the swarm closes everything. Without any handle left the node is gone too.
                    Some(Command::Close) | None => return,
                    Some(command) => self.on_command(command),
                },
                _ = tick.tick() => self.dial_absent(),
            }
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => self.set_connected(peer_id, true),
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                let seat = self.seats.get(&peer_id);
                tracing::debug!(?seat, cause = cause.map(|c| c.to_string()), "disconnected");
                self.set_connected(peer_id, false);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer_id), error, .. } => {
                tracing::debug!(seat = ?self.seats.get(&peer_id), %error, "dialing failed");
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(from = %send_back_addr, %error, "incoming connection refused");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(*event),
            _ => {}
        }
    }

    fn set_connected(&mut self, peer_id: PeerId, connected: bool) {
        let Some(seat) = self.seats.get(&peer_id).copied() else { return };
        if let Some(queue) = self.queues.get(&seat) {
            queue.set_connected(connected);
        }
        if connected {
            self.absent.remove(&peer_id);
        } else {
            self.absent.insert(peer_id, Absent::new(self.config.seat, seat));
        }
        self.connected.send_if_modified(|seats| {
            let before = *seats;
            if connected {
                seats.insert(seat);
            } else {
                seats.remove(seat);
            }
            *seats != before
        });
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source, message_id, message } = event else { return };
        let Some(from) = self.seats.get(&propagation_source).copied() else { return };
        self.counters.gossip_received_bytes.fetch_add(message.data.len() as u64, Ordering::Relaxed);
        let gossip = self.next_gossip;
        self.next_gossip += 1;
        let bytes = Bytes::from(message.data);
        let behind = bytes.len() > GOSSIP_BYTES_MAX
            || self.unjudged.len() >= UNJUDGED_MAX
            || self.events.try_send(NetworkEvent::Gossip { from, bytes, gossip }).is_err();
        if behind {
            // The swarm task never waits for the node: what the node cannot take now is not passed on either.
            self.counters.gossip_dropped.fetch_add(1, Ordering::Relaxed);
            self.report(&message_id, &propagation_source, Verdict::Ignore);
        } else {
            self.unjudged.insert(gossip, (message_id, propagation_source));
        }
    }

    fn report(&mut self, message_id: &MessageId, source: &PeerId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        // False means that the message left gossipsub's cache meanwhile; nothing to do about it.
        let _known = self
            .swarm
            .behaviour_mut()
            .gossip
            .report_message_validation_result(message_id, source, acceptance);
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Gossip(bytes) => {
                let length = bytes.len() as u64;
                match self.swarm.behaviour_mut().gossip.publish(self.topic.clone(), bytes) {
                    Ok(_) => {
                        self.counters.gossip_sent_bytes.fetch_add(length, Ordering::Relaxed);
                    }
                    // Alone, or said before: both happen in a healthy committee.
                    Err(
                        gossipsub::PublishError::NoPeersSubscribedToTopic
                        | gossipsub::PublishError::Duplicate,
                    ) => {}
                    Err(error) => tracing::warn!(%error, "gossip not published"),
                }
            }
            Command::Judge(gossip, verdict) => {
                if let Some((message_id, source)) = self.unjudged.remove(&gossip) {
                    self.report(&message_id, &source, verdict);
                }
            }
            Command::Disconnect(peer_id) => {
                let _not_connected = self.swarm.disconnect_peer_id(peer_id);
            }
            Command::Close => unreachable!("ends the task before it gets here"),
        }
    }

    fn dial_absent(&mut self) {
        let now = tokio::time::Instant::now();
        for peer in &self.config.peers {
            let Some(absent) = self.absent.get_mut(&peer.peer_id).filter(|absent| absent.next <= now) else {
                continue;
            };
            absent.backed_off(self.config.seat);
            let options = DialOpts::peer_id(peer.peer_id)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(peer.addresses.clone())
                .build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::trace!(seat = peer.seat, %error, "not dialed");
            }
        }
    }
}
