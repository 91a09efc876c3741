//! What must hold after every step, whatever the network, the disks and the liars do.

use std::collections::{BTreeMap, BTreeSet};

use attest::{BatchId, Certificate, Committee, DataHash, Statement};
use bytes::Bytes;
use dac_node_coding::{Layout, Piece, decode_stripe};
use parity_scale_codec::Encode;

use super::member::{Member, checked_certificate, coder, hasher, shards};
use crate::{ContentKey, NewContent};

/// Remembers every signature and every certificate of a run.
#[derive(Debug, Default)]
pub(super) struct Checker {
    /// Seats whose attestations the test makes itself.
    pub(super) liars: BTreeSet<u16>,
    signed: BTreeSet<(u16, BatchId)>,
    pub(super) certificates: BTreeMap<BatchId, Vec<Certificate>>,
    truth: BTreeMap<ContentKey, Vec<Vec<Bytes>>>,
    /// Held by a disk, as far as its last crash.
    held: BTreeSet<(u16, BatchId)>,
    /// Looked at since the last crash.
    checked: (BTreeSet<(u16, BatchId)>, BTreeMap<BatchId, usize>),
    dirty: bool,
}

impl Checker {
    /// A member's engine asked for this signature.
    pub(super) fn on_sign(&mut self, seat: u16, batch_id: BatchId) {
        self.signed.insert((seat, batch_id));
        self.dirty = true;
    }

    /// A member stores this certificate.
    pub(super) fn on_certificate(&mut self, certificate: &Certificate) {
        let known = self.certificates.entry(certificate.batch_id()).or_default();
        if !known.contains(certificate) {
            known.push(certificate.clone());
            self.dirty = true;
        }
    }

    /// A disk may have lost something: nothing counts as looked at any more.
    pub(super) fn on_crash(&mut self) {
        self.held.clear();
        self.checked = Default::default();
        self.dirty = true;
    }

    /// Looks at every promise that was made, or put at risk, since the last time.
    pub(super) fn check(&mut self, committee: &Committee, members: &[Member]) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        for (seat, batch_id) in self.signed.difference(&self.checked.0).copied().collect::<Vec<_>>() {
            let held = self.holds(&members[usize::from(seat)], &batch_id);
            assert!(held, "seat {seat} signed {batch_id}, which its disk does not hold");
            self.checked.0.insert((seat, batch_id));
        }
        let fresh = |(batch_id, known): (&BatchId, &Vec<Certificate>)| {
            known[self.checked.1.get(batch_id).copied().unwrap_or(0)..].to_vec()
        };
        for certificate in self.certificates.iter().flat_map(fresh).collect::<Vec<_>>() {
            self.check_certificate(&certificate, committee, members);
            *self.checked.1.entry(certificate.batch_id()).or_default() += 1;
        }
    }

    fn check_certificate(&mut self, certificate: &Certificate, committee: &Committee, members: &[Member]) {
        let batch_id = certificate.batch_id();
        let checked =
            checked_certificate(&certificate.encode(), committee).expect("a stored certificate verifies");
        let signers: BTreeSet<u16> = checked.signers().iter().map(|seat| seat.0).collect();
        let honest: BTreeSet<u16> = signers.difference(&self.liars).copied().collect();
        for seat in &honest {
            assert!(self.signed.contains(&(*seat, batch_id)), "seat {seat} never signed {batch_id}");
        }
        let holders =
            honest.iter().filter(|seat| self.holds(&members[usize::from(**seat)], &batch_id)).count();
        let quorum = usize::from(committee.thresholds().quorum());
        assert!(holders + self.liars.len() >= quorum, "{holders} disks hold {batch_id}");
    }

    fn holds(&mut self, member: &Member, batch_id: &BatchId) -> bool {
        let name = (member.config.seat, *batch_id);
        self.held.contains(&name) || (self.disk_holds(member, batch_id) && self.held.insert(name))
    }

    /// Whether a disk has statement, bytes and the right shard of a batch, synced.
    fn disk_holds(&mut self, member: &Member, batch_id: &BatchId) -> bool {
        let Some(record) = member.disk.durable.statements.get(batch_id) else { return false };
        let Some(content) = member.disk.durable.contents.get(&key_of(&record.statement)) else {
            return false;
        };
        let truth = self.truth.entry(content.key).or_insert_with(|| shards_of_committed(content));
        let right = fpga_hash::keccak256(&content.batch) == content.key.data_hash.0;
        right
            && content.data_root == record.statement.data_root
            && content.shard == truth[usize::from(member.config.seat)]
    }
}

/// Every shard of a content whose commitments were recomputed from its bytes.
fn shards_of_committed(content: &NewContent) -> Vec<Vec<Bytes>> {
    let (layout, batch) = (content.layout, &content.batch);
    let (commitments, _) = dac_node_coding::commit(hasher(), &coder(&layout), &layout, batch);
    let (data_hash, shards_root) = (commitments.data_hash, commitments.shards_root);
    assert_eq!(
        ContentKey { data_hash, shards_root },
        content.key,
        "stored bytes have the stored commitments"
    );
    assert_eq!(commitments.data_root, content.data_root, "stored bytes have the stored data root");
    shards(&layout, batch)
}

/// Names the content that a statement speaks of.
pub(super) fn key_of(statement: &Statement) -> ContentKey {
    ContentKey { data_hash: statement.data_hash, shards_root: statement.shards_root }
}

/// Rebuilds a batch from the shards of some disks alone, checking every piece.
pub(super) fn retrieve(members: &[Member], seats: &[u16], batch_id: &BatchId) -> Bytes {
    let contents = seats.iter().map(|seat| {
        let image = &members[usize::from(*seat)].disk.durable;
        (*seat, &image.contents[&key_of(&image.statements[batch_id].statement)])
    });
    let contents: Vec<(u16, &NewContent)> = contents.collect();
    let (_, first) = contents[0];
    let (layout, key): (Layout, ContentKey) = (first.layout, first.key);
    let mut batch = Vec::new();
    for stripe in 0..layout.stripes() {
        let pieces = contents.iter().map(|(seat, content)| {
            let bytes = content.shard[stripe as usize].clone();
            let path = content.piece_roots.path(stripe, *seat, hasher());
            Piece { stripe, index: *seat, bytes, path }.check(&layout, &key.shards_root, hasher()).unwrap()
        });
        let pieces: Vec<_> = pieces.collect();
        batch.extend_from_slice(
            &decode_stripe(&coder(&layout), &layout, stripe, &pieces, hasher()).unwrap().data(),
        );
    }
    assert_eq!(DataHash(fpga_hash::keccak256(&batch)), key.data_hash, "the rebuilt batch is the batch");
    batch.into()
}
