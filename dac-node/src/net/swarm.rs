//! The libp2p swarm: who is connected, and gossip. Never hashes, decodes or syncs; never waits for the node.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::StreamExt;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId, TopicHash};
use libp2p::identity::Keypair;
use libp2p::swarm::SwarmEvent;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, oneshot};

use super::behaviour::{Behaviour, BehaviourEvent, swarm};
use super::committee::Joined;
use super::queue::Counters;
use super::{Command, Network, NetworkConfig, NetworkEvent, NetworkEvents};
use dac_node_engine::message::GOSSIP_BYTES_MAX;
use dac_node_engine::{GossipId, Verdict};

/// Orders that may wait for the swarm task.
const COMMANDS_MAX: usize = 4096;
/// Gossip messages that may wait for their verdict; the oldest is forgotten (and so ignored) beyond that.
pub(super) const UNJUDGED_MAX: usize = 4096;
/// First pause before an absent member is dialed again; doubles up to [`DIAL_PAUSE_MAX`].
const DIAL_PAUSE: Duration = Duration::from_millis(200);
const DIAL_PAUSE_MAX: Duration = Duration::from_secs(15);
/// How often absent members are looked at.
const DIAL_TICK: Duration = Duration::from_millis(100);

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

    /// Starts with nobody allowed in; committees join.
    pub fn open(self) -> Edge {
        let (edge, task, commands) = self.parts();
        tokio::spawn(task.run(commands));
        edge
    }

    /// Starts for one committee: dials every member, accepts every member, nobody else.
    ///
    /// # Errors
    /// When the topic cannot be subscribed.
    pub fn start(self, config: NetworkConfig) -> anyhow::Result<(Network, NetworkEvents)> {
        let (edge, mut task, commands) = self.parts();
        let (joined, network, events) = edge.committee(config, true)?;
        task.join(joined)?;
        tokio::spawn(task.run(commands));
        Ok((network, events))
    }

    fn parts(self) -> (Edge, Task, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let counters = Arc::new(Counters::default());
        let control = self.swarm.behaviour().streams.new_control();
        let task = Task {
            swarm: self.swarm,
            committees: HashMap::new(),
            others: HashMap::new(),
            unjudged: BTreeMap::new(),
            next_gossip: 0,
            counters: counters.clone(),
        };
        (Edge { commands, control, counters }, task, receiver)
    }
}

/// A running edge that committees join and leave. Dropping it and all its [`Network`]s stops it.
#[derive(Clone)]
pub struct Edge {
    commands: mpsc::Sender<Command>,
    control: libp2p_stream::Control,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").finish_non_exhaustive()
    }
}

impl Edge {
    /// Takes part in a committee: its members are let in and dialed.
    ///
    /// # Errors
    /// When this edge takes part in it already, or is closed.
    pub async fn join(&self, config: NetworkConfig) -> anyhow::Result<(Network, NetworkEvents)> {
        let (joined, network, events) = self.committee(config, false)?;
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Join(Box::new(joined), reply)).await.context("the edge is closed")?;
        answer.await.context("the edge is closed")??;
        Ok((network, events))
    }

    /// A member is reached elsewhere from now on. Nothing happens for a stranger.
    pub async fn readdress(&self, peer_id: PeerId, addresses: Vec<Multiaddr>) {
        // Closed: nobody is dialed any more.
        let _closed = self.commands.send(Command::Readdress(peer_id, addresses)).await;
    }

    /// Closes every connection and stops listening.
    pub async fn close(&self) {
        // Closed already: nothing to do.
        let _closed = self.commands.send(Command::Close).await;
    }

    fn committee(
        &self,
        config: NetworkConfig,
        is_alone: bool,
    ) -> anyhow::Result<(Joined, Network, NetworkEvents)> {
        let (joined, events) = Joined::new(config, &self.control, &self.counters)?;
        let network = Network {
            queues: joined.queues.clone(),
            peers: Arc::new(joined.peers.iter().map(|peer| (peer.seat, peer.peer_id)).collect()),
            commands: self.commands.clone(),
            connected: joined.connected.subscribe(),
            counters: self.counters.clone(),
            topic: joined.topic.hash(),
            is_alone,
        };
        Ok((joined, network, events))
    }
}

/// A member of some committee here, and when to dial it.
#[derive(Debug)]
struct Other {
    addresses: Vec<Multiaddr>,
    pause: Duration,
    /// `None` while it is connected.
    next: Option<tokio::time::Instant>,
}

impl Other {
    /// The lower peer id dials at once, the higher one gives it a moment: two members do not dial each other.
    fn absent(&mut self, own: &PeerId, peer: &PeerId) {
        let first = if own < peer { Duration::ZERO } else { DIAL_PAUSE * 5 };
        (self.pause, self.next) = (DIAL_PAUSE, Some(tokio::time::Instant::now() + first));
    }

    fn backed_off(&mut self, own: &PeerId) {
        // Different members wait differently long.
        let share = own.to_bytes().last().copied().unwrap_or(0) % 8;
        self.next = Some(tokio::time::Instant::now() + self.pause + self.pause * u32::from(share) / 16);
        self.pause = (self.pause * 2).min(DIAL_PAUSE_MAX);
    }
}

struct Task {
    swarm: Swarm<Behaviour>,
    committees: HashMap<TopicHash, Joined>,
    others: HashMap<PeerId, Other>,
    unjudged: BTreeMap<GossipId, (MessageId, PeerId)>,
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

    fn join(&mut self, joined: Joined) -> anyhow::Result<()> {
        let topic = joined.topic.hash();
        ensure!(!self.committees.contains_key(&topic), "this edge takes part in {topic} already");
        self.swarm.behaviour_mut().gossip.subscribe(&joined.topic)?;
        let own = *self.swarm.local_peer_id();
        for peer in &joined.peers {
            self.swarm.behaviour_mut().allowed.allow_peer(peer.peer_id);
            let other = self.others.entry(peer.peer_id).or_insert_with(|| {
                let mut other = Other { addresses: Vec::new(), pause: DIAL_PAUSE, next: None };
                other.absent(&own, &peer.peer_id);
                other
            });
            other.addresses.clone_from(&peer.addresses);
            if self.swarm.is_connected(&peer.peer_id) {
                other.next = None;
                joined.set_connected(peer.peer_id, true);
            }
        }
        self.committees.insert(topic, joined);
        Ok(())
    }

    /// Ends a committee's streams; whoever is in no other one loses its connection.
    fn leave(&mut self, topic: &TopicHash) {
        let Some(left) = self.committees.remove(topic) else { return };
        let _was_subscribed = self.swarm.behaviour_mut().gossip.unsubscribe(&left.topic);
        for peer in &left.peers {
            if !self.committees.values().any(|joined| joined.seats.contains_key(&peer.peer_id)) {
                self.others.remove(&peer.peer_id);
                self.swarm.behaviour_mut().allowed.disallow_peer(peer.peer_id);
            }
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, num_established, endpoint, .. } => {
                tracing::debug!(%peer_id, num_established, dialer = endpoint.is_dialer(), "connected");
                self.set_connected(peer_id, true);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                tracing::debug!(%peer_id, cause = cause.map(|c| c.to_string()), "disconnected");
                self.set_connected(peer_id, false);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer_id), error, .. } => {
                tracing::debug!(%peer_id, %error, "dialing failed");
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(from = %send_back_addr, %error, "incoming connection refused");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(*event),
            _ => {}
        }
    }

    fn set_connected(&mut self, peer_id: PeerId, is_connected: bool) {
        let own = *self.swarm.local_peer_id();
        let Some(other) = self.others.get_mut(&peer_id) else { return };
        if is_connected {
            other.next = None;
        } else {
            other.absent(&own, &peer_id);
        }
        for joined in self.committees.values() {
            joined.set_connected(peer_id, is_connected);
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        let (propagation_source, message_id, message) = match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                (propagation_source, message_id, message)
            }
            other => return tracing::debug!(event = ?other, "gossip"),
        };
        // A neighbour of another committee may pass on what it should not: nobody here takes it.
        let Some(joined) = self.committees.get(&message.topic) else { return };
        let Some(from) = joined.seats.get(&propagation_source).copied() else {
            return self.report(&message_id, &propagation_source, Verdict::Ignore);
        };
        self.counters.gossip_received_bytes.fetch_add(message.data.len() as u64, Ordering::Relaxed);
        let gossip = self.next_gossip;
        self.next_gossip += 1;
        let bytes = Bytes::from(message.data);
        let behind = bytes.len() > GOSSIP_BYTES_MAX
            || joined.gossip.try_send(NetworkEvent::Gossip { from, bytes, gossip }).is_err();
        if behind {
            // The swarm task never waits for the node: what the node cannot take now is not passed on either.
            self.counters.gossip_dropped.fetch_add(1, Ordering::Relaxed);
            self.report(&message_id, &propagation_source, Verdict::Ignore);
        } else {
            self.unjudged.insert(gossip, (message_id, propagation_source));
            self.forget_unjudged();
        }
    }

    /// A verdict that was lost leaves its message behind: it must not keep later ones out.
    fn forget_unjudged(&mut self) {
        while self.unjudged.len() > UNJUDGED_MAX
            && let Some((_, (message_id, source))) = self.unjudged.pop_first()
        {
            self.report(&message_id, &source, Verdict::Ignore);
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
            Command::Join(joined, reply) => {
                // Whoever asked may have stopped waiting.
                let _unheard = reply.send(self.join(*joined));
            }
            Command::Leave(topic) => self.leave(&topic),
            Command::Readdress(peer_id, addresses) => {
                if let Some(other) = self.others.get_mut(&peer_id) {
                    other.addresses = addresses;
                }
            }
            Command::Gossip(topic, bytes) => {
                let length = bytes.len() as u64;
                match self.swarm.behaviour_mut().gossip.publish(topic, bytes) {
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
        let (now, own) = (tokio::time::Instant::now(), *self.swarm.local_peer_id());
        for (peer_id, other) in &mut self.others {
            if other.next.is_none_or(|next| next > now) {
                continue;
            }
            other.backed_off(&own);
            let options = DialOpts::peer_id(*peer_id)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(other.addresses.clone())
                .build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::trace!(%peer_id, %error, "not dialed");
            }
        }
    }
}
