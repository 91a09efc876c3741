//! What the swarm is made of: transports, limits, and gossip as this protocol needs it.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::time::Duration;

use libp2p::gossipsub::{self, MessageId, ValidationMode};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Swarm, allow_block_list, connection_limits, noise, ping, tcp, yamux};

/// Substreams of one connection: two classes in both directions for each of 16 committees, gossip, ping, and room to open
/// them again.
const STREAMS_PER_CONNECTION_MAX: usize = 128;

/// What a gossip stream may have waiting to be decoded. The codec counts all that came, not one message alone, and a stream
/// that has more is broken off: so it is much more than the longest message.
const GOSSIP_STREAM_BYTES_MAX: usize = 64 * 1024;
/// Names of 32 bytes in one IHAVE or IWANT: with more of them the peer would break the stream off (it takes 16 KiB).
const GOSSIP_NAMES_MAX: usize = 256;

#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "BehaviourEvent")]
pub(super) struct Behaviour {
    // The limits come first: what they deny, nothing else sees.
    pub(super) allowed: allow_block_list::Behaviour<allow_block_list::AllowedPeers>,
    pub(super) limits: connection_limits::Behaviour,
    pub(super) gossip: gossipsub::Behaviour,
    pub(super) streams: libp2p_stream::Behaviour,
    pub(super) ping: ping::Behaviour,
}

/// What the behaviours report; only gossip matters here.
#[derive(Debug)]
pub(super) enum BehaviourEvent {
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

/// A swarm that connects to nobody yet.
pub(super) fn swarm(keypair: &Keypair) -> anyhow::Result<Swarm<Behaviour>> {
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
        .max_transmit_size(GOSSIP_STREAM_BYTES_MAX)
        .max_control_messages_sent(GOSSIP_NAMES_MAX)
        .heartbeat_interval(Duration::from_millis(500))
        .duplicate_cache_time(Duration::from_secs(120))
        .publish_queue_duration(Duration::from_secs(10))
        .forward_queue_duration(Duration::from_secs(10))
        // The author reaches every member it is connected to, so there is no mesh. Where two members are not connected, a
        // heartbeat's IHAVE closes the gap: at 32 members a mesh of one cost 6 % of the time to certificate.
        .flood_publish(true)
        .mesh_outbound_min(0)
        .mesh_n_low(0)
        .mesh_n(0)
        .mesh_n_high(0)
        .build()?;
    Ok(gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config)?)
}
