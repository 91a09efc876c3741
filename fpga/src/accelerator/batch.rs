//! What a caller wants hashed, and how it looks in a packet.

use std::ops::Range;

use fpga_hash::{Digest, FieldElement, Hasher};

use crate::packet::{Limits, Opcode};

/// What requests must share to travel in one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) opcode: Opcode,
    pub(super) prefix: u8,
    pub(super) item_bytes: u32,
}

/// Items of one length.
pub(super) trait Batch {
    /// A digest in the caller's form.
    type Output: Copy + PartialEq;

    /// How the device is asked; `None` when it cannot do this.
    fn shape(&self, limits: &Limits) -> Option<Shape>;

    /// Appends items as a payload of this shape, without the fill at its end.
    fn pack(&self, items: Range<usize>, shape: &Shape, payload: &mut Vec<u8>);

    /// A digest from a reply; `None` when no engine could return it.
    fn read(digest: &Digest) -> Option<Self::Output>;

    /// Hashes items in software.
    fn software(&self, items: Range<usize>, digests: &mut [Self::Output], software: &dyn Hasher);
}

/// Messages of one length.
pub(super) struct Messages<'a>(pub(super) &'a [&'a [u8]]);

/// Items of one length behind a prefix byte each.
pub(super) struct Prefixed<'a> {
    pub(super) prefix: u8,
    pub(super) item_bytes: usize,
    pub(super) items: &'a [u8],
}

/// Field elements, `width` to a digest.
pub(super) struct Elements<'a> {
    pub(super) width: usize,
    pub(super) inputs: &'a [FieldElement],
}

impl Batch for Messages<'_> {
    type Output = Digest;

    fn shape(&self, limits: &Limits) -> Option<Shape> {
        let item_bytes = u32::try_from(self.0.first()?.len()).ok()?;
        limits.knows(Opcode::Keccak256).then_some(Shape { opcode: Opcode::Keccak256, prefix: 0, item_bytes })
    }

    fn pack(&self, items: Range<usize>, _shape: &Shape, payload: &mut Vec<u8>) {
        for message in &self.0[items] {
            payload.extend_from_slice(message);
            fill(payload);
        }
    }

    fn read(digest: &Digest) -> Option<Digest> {
        Some(*digest)
    }

    fn software(&self, items: Range<usize>, digests: &mut [Digest], software: &dyn Hasher) {
        software.keccak256(&self.0[items], digests);
    }
}

impl Batch for Prefixed<'_> {
    type Output = Digest;

    /// A device without the opcode gets the prefix as the first byte of each message.
    fn shape(&self, limits: &Limits) -> Option<Shape> {
        let item_bytes = u32::try_from(self.item_bytes).ok()?;
        if limits.knows(Opcode::MerkleKeccak) {
            return Some(Shape { opcode: Opcode::MerkleKeccak, prefix: self.prefix, item_bytes });
        }
        let item_bytes = item_bytes.checked_add(1)?;
        limits.knows(Opcode::Keccak256).then_some(Shape { opcode: Opcode::Keccak256, prefix: 0, item_bytes })
    }

    fn pack(&self, items: Range<usize>, shape: &Shape, payload: &mut Vec<u8>) {
        let bytes = &self.items[items.start * self.item_bytes..items.end * self.item_bytes];
        let is_in_place = shape.opcode == Opcode::MerkleKeccak;
        if is_in_place && self.item_bytes.is_multiple_of(8) {
            return payload.extend_from_slice(bytes);
        }
        for item in bytes.chunks_exact(self.item_bytes) {
            payload.extend((!is_in_place).then_some(self.prefix));
            payload.extend_from_slice(item);
            fill(payload);
        }
    }

    fn read(digest: &Digest) -> Option<Digest> {
        Some(*digest)
    }

    fn software(&self, items: Range<usize>, digests: &mut [Digest], software: &dyn Hasher) {
        let bytes = &self.items[items.start * self.item_bytes..items.end * self.item_bytes];
        software.keccak256_prefixed(self.prefix, self.item_bytes, bytes, digests);
    }
}

impl Batch for Elements<'_> {
    type Output = FieldElement;

    fn shape(&self, limits: &Limits) -> Option<Shape> {
        let opcode = match self.width {
            2 => Opcode::Poseidon3,
            8 => Opcode::Poseidon9,
            _ => return None,
        };
        let item_bytes = opcode.item_bytes()?;
        limits.knows(opcode).then_some(Shape { opcode, prefix: 0, item_bytes })
    }

    fn pack(&self, items: Range<usize>, _shape: &Shape, payload: &mut Vec<u8>) {
        for element in &self.inputs[items.start * self.width..items.end * self.width] {
            payload.extend_from_slice(&element.to_be_bytes());
        }
    }

    fn read(digest: &Digest) -> Option<FieldElement> {
        FieldElement::from_be_bytes(digest).ok()
    }

    fn software(&self, items: Range<usize>, digests: &mut [FieldElement], software: &dyn Hasher) {
        let inputs = &self.inputs[items.start * self.width..items.end * self.width];
        software.poseidon(inputs, self.width, digests);
    }
}

/// Up to the next word: where the next item starts.
fn fill(payload: &mut Vec<u8>) {
    payload.resize(payload.len().next_multiple_of(8), 0);
}
