//! One member of a simulated committee: its engine, its disk, and the work its effects ask for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use attest::{Certificate, CheckedCertificate, Committee, CommitteeHash, DataRoot, Domain, SeatIndex};
use bytes::Bytes;
use dac_node_coding::{Coder, Layout, Piece, PieceRoots, decode_stripe, encode_and_root};
use fpga_hash::Hasher;

use super::disk::{Disk, Image};
use super::parties::signing_key;
use crate::message::{Control, Message, OpenId};
use crate::{ContentKey, Effect, Engine, EngineConfig, Event, GossipId, NewContent, Now, Plan, SeatSet};

/// Changes what a member sends; gets the receiver and the message.
pub(super) type Tamper = Box<dyn FnMut(u16, Message) -> Vec<Message>>;
/// Publisher and number of a gossip message.
pub(super) type GossipKey = (u16, u64);

/// One seat.
pub(super) struct Member {
    pub(super) config: EngineConfig,
    /// `None` while down, and for a puppet.
    pub(super) engine: Option<Engine>,
    /// When the engine wants to hear of time, as of its last event.
    pub(super) deadline: Option<Duration>,
    /// Reachable, without an engine: the test speaks for it.
    pub(super) puppet: bool,
    /// Grows with every crash: what was asked for in an earlier life is never answered.
    pub(super) life: u32,
    pub(super) disk: Disk,
    /// Shortest and longest time of a sync.
    pub(super) sync_delay: (Duration, Duration),
    pub(super) clock_skew_seconds: i64,
    pub(super) tamper: Option<Tamper>,
    /// What a puppet received on streams.
    pub(super) inbox: Vec<(u16, Message)>,
    /// What a puppet received by gossip.
    pub(super) heard: Vec<Control>,
    pub(super) gossip_seen: BTreeSet<GossipKey>,
    pub(super) gossip_pending: BTreeMap<GossipId, (u16, GossipKey, Bytes)>,
    pub(super) gossip_next: GossipId,
    /// Exchanges whose bytes this life has verified.
    verified: BTreeSet<OpenId>,
    /// Exchanges of which this life was told that they are synced.
    durable: BTreeSet<OpenId>,
}

impl Member {
    pub(super) fn new(config: EngineConfig) -> Member {
        Member {
            engine: Some(Engine::new(config.clone())),
            deadline: None,
            config,
            puppet: false,
            life: 0,
            disk: Disk::empty(),
            sync_delay: (Duration::from_micros(200), Duration::from_millis(4)),
            clock_skew_seconds: 0,
            tamper: None,
            inbox: Vec::new(),
            heard: Vec::new(),
            gossip_seen: BTreeSet::new(),
            gossip_pending: BTreeMap::new(),
            gossip_next: 0,
            verified: BTreeSet::new(),
            durable: BTreeSet::new(),
        }
    }

    /// Whether messages reach it.
    pub(super) fn is_up(&self) -> bool {
        self.engine.is_some() || self.puppet
    }

    /// Loses everything but what is durable.
    pub(super) fn crash(&mut self) {
        (self.engine, self.deadline) = (None, None);
        self.life += 1;
        self.disk.crash();
        self.gossip_seen.clear();
        self.gossip_pending.clear();
        self.verified.clear();
        self.durable.clear();
    }

    /// Starts again over its disk.
    pub(super) fn restart(&mut self) {
        assert!(self.engine.is_none() && !self.puppet, "only what is down starts");
        self.config.seed = self.config.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.engine = Some(Engine::new(self.config.clone()));
    }

    /// Remembers what the engine was told and may now ask for.
    pub(super) fn note_event(&mut self, event: &Event) {
        match event {
            Event::Finished { open_id, result: Ok(_) } | Event::Rooted { open_id, .. } => {
                self.verified.insert(*open_id);
            }
            Event::Persisted { open_id, result: Ok(()) } => {
                self.durable.insert(*open_id);
            }
            _ => {}
        }
    }

    /// The order of PROTOCOL section 5, step 5, which no member may leave.
    pub(super) fn assert_order(&self, effect: &Effect) {
        match effect {
            Effect::Persist { open_id, content: Some(content), .. } => {
                assert!(self.verified.contains(open_id), "persists what it has not verified");
                assert_eq!(
                    fpga_hash::keccak256(&content.batch),
                    content.key.data_hash.0,
                    "persists other bytes"
                );
            }
            Effect::Persist { record, content: None, .. } => {
                let (data_hash, shards_root) = (record.statement.data_hash, record.statement.shards_root);
                let stored = self.disk.durable.contents.get(&ContentKey { data_hash, shards_root });
                let data_root = stored.map(|content| content.data_root);
                assert_eq!(
                    data_root,
                    Some(record.statement.data_root),
                    "persists a statement without its bytes"
                );
            }
            Effect::Sign { open_id, statement } => {
                assert!(self.durable.contains(open_id), "signs before it was told of the sync");
                let batch_id = statement.digest(self.config.committee.domain());
                assert!(self.disk.durable.statements.contains_key(&batch_id), "signs what is not durable");
            }
            _ => {}
        }
    }
}

pub(super) fn hasher() -> &'static dyn Hasher {
    static HASHER: LazyLock<Arc<dyn Hasher>> = LazyLock::new(fpga_hash::software);
    &**HASHER
}

pub(super) fn coder(layout: &Layout) -> Coder {
    Coder::new(layout.members(), layout.minimum_shards()).unwrap()
}

/// Performs the effects that only compute.
pub(super) fn compute(effect: Effect, seat: u16, committee: &Committee) -> Event {
    match effect {
        Effect::Encode { submission, layout, batch } => Event::Encoded {
            submission,
            piece_roots: encode_and_root(hasher(), &coder(&layout), &layout, &batch),
        },
        Effect::Root { open_id, layout, batch } => {
            let data_root = DataRoot(fpga_hash::tree::data_root(hasher(), &batch));
            let shard = shards(&layout, &batch).swap_remove(usize::from(seat)).concat();
            Event::Rooted { open_id, data_root, shard: shard.into() }
        }
        Effect::CheckPiece { open_id, from, layout, shards_root, piece, credit: _ } => {
            let (stripe, index) = (piece.stripe, piece.index);
            let result = piece.check(&layout, &shards_root, hasher());
            Event::PieceChecked { open_id, from, stripe, index, result }
        }
        Effect::Decode { open_id, layout, stripe, pieces } => {
            let result = decode_stripe(&coder(&layout), &layout, stripe, &pieces, hasher());
            Event::StripeDecoded { open_id, stripe, result }
        }
        Effect::Finish { open_id, assembler, data_hash, shards_root } => {
            Event::Finished { open_id, result: assembler.finish_announced(data_hash, shards_root, hasher()) }
        }
        Effect::Sign { open_id, statement } => {
            let attestation =
                signing_key(seat).attest(&statement, committee.domain(), SeatIndex(seat)).unwrap();
            Event::Signed { open_id, attestation }
        }
        Effect::Aggregate { open_id, statement, attestations } => Event::Aggregated {
            open_id,
            aggregation: Box::new(attest::aggregate(committee, &statement, attestations)),
        },
        Effect::CheckCertificate { from, gossip, bytes } => {
            let result = checked_certificate(&bytes, committee);
            Event::CertificateChecked { from, gossip, result: result.map(Box::new) }
        }
        other => unreachable!("not a computation: {other:?}"),
    }
}

/// A certificate as a member checks it. Every member checks the same bytes: the pairing is made once.
pub(super) fn checked_certificate(
    bytes: &[u8],
    committee: &Committee,
) -> Result<CheckedCertificate, attest::Error> {
    type Name = (Domain, CommitteeHash, Vec<u8>);
    type Checked = HashMap<Name, Result<CheckedCertificate, attest::Error>>;
    static CHECKED: LazyLock<Mutex<Checked>> = LazyLock::new(Mutex::default);
    let name = (*committee.domain(), committee.hash(), bytes.to_vec());
    let known = CHECKED.lock().unwrap().get(&name).cloned();
    known.unwrap_or_else(|| {
        let result = Certificate::decode_strict(bytes).and_then(|certificate| certificate.verify(committee));
        CHECKED.lock().unwrap().insert(name, result.clone());
        result
    })
}

/// Every member's shard, piece by piece.
pub(super) fn shards(layout: &Layout, batch: &Bytes) -> Vec<Vec<Bytes>> {
    let coder = coder(layout);
    let mut shards = vec![Vec::new(); usize::from(layout.members())];
    for stripe in 0..layout.stripes() {
        let encoded = coder.encode_stripe(layout, stripe, &batch[layout.stripe_range(stripe)]);
        for (shard, piece) in shards.iter_mut().zip(encoded.iter()) {
            shard.push(Bytes::copy_from_slice(piece));
        }
    }
    shards
}

/// What a dispersal sends: receiver and piece, in stripe order.
pub(super) fn dispersal(plan: &Plan, batch: &Bytes, piece_roots: &PieceRoots) -> Vec<(u16, Piece)> {
    let layout = piece_roots.layout();
    let coder = coder(layout);
    let mut sends = Vec::new();
    for stripe in 0..layout.stripes() {
        let encoded = coder.encode_stripe(layout, stripe, &batch[layout.stripe_range(stripe)]);
        let paths = piece_roots.paths(stripe, hasher());
        sends.extend(plan.direct(stripe).into_iter().map(|(index, to)| (to, encoded.piece(index, &paths))));
    }
    sends
}

/// Pieces of one stripe of a stored batch that the asker does not have, the member's own first.
pub(super) fn stored_pieces(
    image: &Image,
    key: &ContentKey,
    seat: u16,
    ask: (u32, SeatSet, u16),
) -> Vec<Piece> {
    let (stripe, held, count) = ask;
    let Some(content) = image.contents.get(key) else { return Vec::new() };
    if stripe >= content.layout.stripes() {
        return Vec::new();
    }
    let encoded = encode_stored(content, stripe);
    let others = (0..content.layout.members()).filter(|index| *index != seat);
    let wanted = std::iter::once(seat).chain(others).filter(|index| !held.contains(*index));
    let paths = content.piece_roots.paths(stripe, hasher());
    wanted.take(usize::from(count)).map(|index| encoded.piece(index, &paths)).collect()
}

fn encode_stored(content: &NewContent, stripe: u32) -> dac_node_coding::EncodedStripe {
    let data = &content.batch[content.layout.stripe_range(stripe)];
    coder(&content.layout).encode_stripe(&content.layout, stripe, data)
}

/// The two clocks of a member at a simulated moment.
pub(super) fn now_of(at: Duration, skew_seconds: i64) -> Now {
    let unix_seconds =
        super::parties::START_UNIX_SECONDS.checked_add_signed(skew_seconds).unwrap() + at.as_secs();
    Now { monotonic: at, unix_seconds }
}
