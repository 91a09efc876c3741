//! What must hold after every step, whatever the network, the disks and the liars do.
//!
//! Signed implies present: a member asks for a signature only when its disk has the statement, the right bytes and the
//! right shard, and they are there after every crash. Certified implies retrievable: enough honest members signed that
//! the batch decodes from their disks when any `q - k` signers are gone. Stored implies kept: a certificate whose sync was
//! reported is there after every crash, whoever signed it. Kept implies authorised: what an honest member writes is a
//! submission that the rollup made.
//!
//! Incremental: what was looked at is looked at again only when its disk went through a crash, and once more at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use attest::{BatchId, Certificate, Committee};
use bytes::Bytes;
use dac_node_coding::{Piece, decode_stripe};
use dac_node_engine::message::OpenId;
use dac_node_store::{ContentKey, NewContent, StatementRecord};
use parity_scale_codec::Encode;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::member::Member;
use super::parties::Request;
use super::pure::{Truth, checked_certificate, coder, hasher, truth};

/// Remembers every promise of a run.
#[derive(Debug)]
pub(super) struct Checker {
    committee: Arc<Committee>,
    /// All that the rollup asked for in this run.
    authorised: Vec<&'static Request>,
    /// Contents that exist, recomputed from their bytes.
    truths: HashMap<ContentKey, Arc<Truth>>,
    /// Exchanges with a right encoding: nobody may call them wrong.
    honest_opens: BTreeSet<OpenId>,
    signed: BTreeSet<(u16, BatchId)>,
    pub(super) certificates: BTreeMap<BatchId, Vec<Certificate>>,
    stored: BTreeSet<(u16, BatchId)>,
    /// Promises to look at.
    signed_fresh: Vec<(u16, BatchId)>,
    stored_fresh: Vec<(u16, BatchId)>,
    certificates_fresh: Vec<Certificate>,
    /// Latest time at which a member pruned its disk, by its own clock.
    pruned: BTreeMap<u16, u64>,
}

impl Checker {
    pub(super) fn new(committee: Arc<Committee>, authorised: Vec<&'static Request>) -> Checker {
        Checker {
            committee,
            authorised,
            truths: HashMap::new(),
            honest_opens: BTreeSet::new(),
            signed: BTreeSet::new(),
            certificates: BTreeMap::new(),
            stored: BTreeSet::new(),
            signed_fresh: Vec::new(),
            stored_fresh: Vec::new(),
            certificates_fresh: Vec::new(),
            pruned: BTreeMap::new(),
        }
    }

    /// A rollup made this submission: its right encoding has a name that nobody may call wrong.
    pub(super) fn expect(&mut self, request: &Request) -> Arc<Truth> {
        let truth = truth(&self.committee, &request.batch);
        self.honest_opens.insert(open_id(&self.committee, request, truth.key.shards_root));
        self.truths.insert(truth.key, truth.clone());
        truth
    }

    pub(super) fn truth(&self, key: &ContentKey) -> Option<&Truth> {
        self.truths.get(key).map(|truth| &**truth)
    }

    /// Whether a member was told that a certificate of the batch is durable.
    pub(super) fn has_stored(&self, seat: u16, batch_id: &BatchId) -> bool {
        self.stored.contains(&(seat, *batch_id))
    }

    pub(super) fn is_honest_open(&self, open_id: &OpenId) -> bool {
        self.honest_opens.contains(open_id)
    }

    /// An honest member wants to keep these bytes.
    pub(super) fn on_content(&mut self, content: &NewContent) {
        let truth = truth(&self.committee, &content.batch);
        assert_eq!(truth.key, content.key, "kept bytes have the commitments they are kept under");
        assert_eq!(truth.data_root, content.data_root, "kept bytes have the data root they are kept under");
        self.truths.insert(content.key, truth);
    }

    /// An honest member wants to keep this statement: a rollup must have asked for it, in these words.
    pub(super) fn on_statement(&self, seat: u16, record: &StatementRecord) {
        let StatementRecord { statement, deadline, submission_signature, .. } = record;
        let made = |request: &&Request| {
            let asked = &request.submission;
            asked.statement(&self.committee, statement.data_root, statement.shards_root) == *statement
                && (asked.deadline, request.signature) == (*deadline, *submission_signature)
        };
        assert!(
            self.authorised.iter().any(made),
            "seat {seat} keeps {}, for which nobody asked",
            record.batch_id
        );
    }

    /// An honest member's engine asked for this signature.
    pub(super) fn on_sign(&mut self, seat: u16, batch_id: BatchId) {
        self.signed.insert((seat, batch_id));
        self.signed_fresh.push((seat, batch_id));
    }

    /// An honest member wants to store this certificate.
    pub(super) fn on_certificate(&mut self, certificate: &Certificate) {
        let known = self.certificates.entry(certificate.batch_id()).or_default();
        if !known.contains(certificate) {
            known.push(certificate.clone());
            self.certificates_fresh.push(certificate.clone());
        }
    }

    /// An honest member was told that this certificate is durable.
    pub(super) fn on_certificate_stored(&mut self, seat: u16, batch_id: BatchId) {
        self.stored.insert((seat, batch_id));
        self.stored_fresh.push((seat, batch_id));
    }

    /// A member dropped what was over at this time.
    pub(super) fn on_prune(&mut self, seat: u16, unix_seconds: u64) {
        let last = self.pruned.entry(seat).or_default();
        *last = (*last).max(unix_seconds);
    }

    /// A disk went through a crash: all its promises count as new.
    pub(super) fn on_crash(&mut self, seat: u16) {
        self.signed_fresh.extend(self.signed.iter().filter(|(signer, _)| *signer == seat));
        self.stored_fresh.extend(self.stored.iter().filter(|(keeper, _)| *keeper == seat));
    }

    /// Every promise of the run is looked at once more, and with every member up none is left over.
    pub(super) fn check_all(&mut self, members: &[Member], rng: &mut ChaCha8Rng) {
        self.signed_fresh = self.signed.iter().copied().collect();
        self.stored_fresh = self.stored.iter().copied().collect();
        self.certificates_fresh = self.certificates.values().flatten().cloned().collect();
        self.check(members, rng);
        assert!(
            self.signed_fresh.is_empty()
                && self.stored_fresh.is_empty()
                && self.certificates_fresh.is_empty(),
            "promises that could not be looked at: {:?} {:?}, {} certificates",
            self.signed_fresh,
            self.stored_fresh,
            self.certificates_fresh.len()
        );
    }

    /// Looks at every promise that was made or put at risk since the last time.
    pub(super) fn check(&mut self, members: &[Member], rng: &mut ChaCha8Rng) {
        let open = |(seat, _): &(u16, BatchId)| members[usize::from(*seat)].disk.is_open();
        let (signed, later) = std::mem::take(&mut self.signed_fresh).into_iter().partition(open);
        self.signed_fresh = later;
        let (stored, later) = std::mem::take(&mut self.stored_fresh).into_iter().partition(open);
        self.stored_fresh = later;
        let (signed, stored): (Vec<_>, Vec<_>) = (signed, stored);
        for (seat, batch_id) in signed {
            self.check_signature(&members[usize::from(seat)], batch_id);
        }
        for (seat, batch_id) in stored {
            self.check_stored(&members[usize::from(seat)], batch_id);
        }
        let certificates = std::mem::take(&mut self.certificates_fresh);
        let looked_at = |certificate: &Certificate| !self.check_certificate(certificate, members, rng);
        let later = certificates.into_iter().filter(looked_at).collect();
        self.certificates_fresh = later;
    }

    fn check_signature(&self, member: &Member, batch_id: BatchId) {
        let seat = member.seat();
        if let Err(what) = self.look(member, batch_id) {
            panic!("seat {seat} signed {batch_id}, and its disk does not hold it: {what}");
        }
    }

    fn check_stored(&self, member: &Member, batch_id: BatchId) {
        let seat = member.seat();
        let kept = member.disk.store().certificate(batch_id).ok().flatten();
        let kept = kept.unwrap_or_else(|| panic!("seat {seat} lost the certificate of {batch_id}"));
        let known = self.certificates[&batch_id].iter().any(|certificate| certificate.encode() == kept);
        assert!(known, "seat {seat} keeps another certificate of {batch_id} than it was given");
    }

    /// Whether a disk has statement, bytes and the right shard of a batch; what it lacks, otherwise.
    fn look(&self, member: &Member, batch_id: BatchId) -> Result<(), &'static str> {
        let (seat, store) = (member.seat(), member.disk.store());
        let record = store.statement(batch_id).ok().flatten().ok_or("no statement")?;
        let key = record.content_key();
        let truth = self.truths.get(&key).ok_or("a statement over bytes that nobody recomputed")?;
        let info = store.content(&key).ok().flatten().ok_or("no content")?;
        if (info.data_root, record.statement.data_root) != (truth.data_root, truth.data_root) {
            return Err("another data root");
        }
        if info.hot {
            let all = 0..truth.layout.batch_bytes();
            let batch = store.read_hot(&key, all).ok().flatten().ok_or("the hot copy is not there")?;
            if batch != truth.batch {
                return Err("other bytes");
            }
        } else if self.pruned.get(&seat).is_none_or(|at| *at <= record.statement.hot_until) {
            return Err("the hot copy went too early");
        }
        for (stripe, expected) in (0..).zip(&truth.shards[usize::from(seat)]) {
            let piece = store.read_piece(&key, stripe).ok().flatten().ok_or("no shard")?;
            if piece != expected {
                return Err("another shard");
            }
        }
        Ok(())
    }

    /// Every honest signer signed and holds its shard, and `k` of them, drawn by lot, give the batch. A certificate has
    /// `q` signers and a run at most `q - k` liars, so there are `k` of them. False while too few of them are up.
    fn check_certificate(&self, certificate: &Certificate, members: &[Member], rng: &mut ChaCha8Rng) -> bool {
        let batch_id = certificate.batch_id();
        let checked = checked_certificate(&certificate.encode(), &self.committee);
        let checked = checked.expect("only a certificate that verifies is stored");
        let thresholds = self.committee.thresholds();
        let k = usize::from(thresholds.minimum_shards());
        let signers = checked.signers().iter().map(|seat| &members[usize::from(seat.0)]);
        let honest: Vec<&Member> = signers.filter(|member| member.is_honest()).collect();
        for member in &honest {
            let seat = member.seat();
            assert!(
                self.signed.contains(&(seat, batch_id)),
                "seat {seat} is in {batch_id}, and never signed"
            );
            assert!(
                !member.disk.is_open() || self.look(member, batch_id).is_ok(),
                "seat {seat} lacks {batch_id}"
            );
        }
        let open: Vec<&Member> = honest.into_iter().filter(|member| member.disk.is_open()).collect();
        if open.len() < k {
            return false;
        }
        let chosen: Vec<&Member> = open.choose_multiple(rng, k).copied().collect();
        self.retrieve(&chosen, batch_id);
        true
    }

    /// Rebuilds a batch from the shards of some disks alone, checking every piece.
    pub(super) fn retrieve(&self, members: &[&Member], batch_id: BatchId) -> Bytes {
        let store = members[0].disk.store();
        let record = store.statement(batch_id).ok().flatten().expect("looked at before");
        let key = record.content_key();
        let layout = self.truths[&key].layout;
        let mut batch = Vec::new();
        for stripe in 0..layout.stripes() {
            let pieces = members.iter().map(|member| {
                let (index, store) = (member.seat(), member.disk.store());
                let bytes = store.read_piece(&key, stripe).ok().flatten().expect("looked at before");
                let roots = store.piece_roots(&key).ok().flatten().expect("roots of what is stored");
                let piece = Piece { stripe, index, bytes, path: roots.path(stripe, index, hasher()) };
                piece.check(&layout, &key.shards_root, hasher()).expect("a stored piece has a good path")
            });
            let pieces: Vec<_> = pieces.collect();
            let decoded = decode_stripe(&coder(&layout), &layout, stripe, &pieces, hasher());
            batch.extend_from_slice(&decoded.expect("the shards of k disks decode").data());
        }
        assert_eq!(fpga_hash::keccak256(&batch), key.data_hash.0, "the rebuilt batch is the batch");
        batch.into()
    }
}

/// The name of the exchange that an open with this root begins.
pub(super) fn open_id(committee: &Committee, request: &Request, shards_root: attest::ShardsRoot) -> OpenId {
    let digest = request.submission.digest(committee.domain());
    OpenId(fpga_hash::keccak256(&[*digest.as_bytes(), *shards_root.as_bytes()].concat()))
}
