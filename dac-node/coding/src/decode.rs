//! From `k` checked pieces back to a stripe, and the proof that the stripe was encoded correctly.
//!
//! Promise: a [`DecodedStripe`] is a correct encoding: all `n` pieces recomputed from its data have the stripe root
//! that is committed to in shardsRoot, and its padding is zero. A member signs nothing less.
//!
//! A committed stripe that is not a correct encoding is the encoder's lie, found whatever `k` pieces are used, because
//! all `n` are compared. Which [`EncodingFault`] is reported may depend on the pieces.

use bytes::Bytes;
use fpga_hash::tree::{SUBTREE_BYTES, data_subtrees, merkle_root_of_digests, piece_roots};
use fpga_hash::{Digest, FieldElement, Hasher};

use crate::{CheckedPiece, Coder, EncodedStripe, EncodingFault, Error, Layout, StripePaths};

/// One stripe, decoded, encoded again and equal to its commitment.
#[derive(Debug, Clone)]
pub struct DecodedStripe {
    layout: Layout,
    pieces: EncodedStripe,
    piece_roots: Vec<Digest>,
    stripe_root: Digest,
    /// From the stripe root to shardsRoot, as the pieces proved it.
    upper_path: Vec<Digest>,
    /// Of dataRoot's tree, those that lie in this stripe as a whole; empty until they are asked for.
    data_subtrees: Vec<FieldElement>,
}

impl DecodedStripe {
    /// The layout it was decoded with.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Number of the stripe.
    pub fn stripe(&self) -> u32 {
        self.pieces.stripe()
    }

    /// The stripe's bytes of the batch, padding removed. Shares the allocation of all pieces.
    pub fn data(&self) -> Bytes {
        self.pieces.prefix(self.layout.stripe_range(self.stripe()).len())
    }

    /// All `n` pieces.
    pub fn pieces(&self) -> &EncodedStripe {
        &self.pieces
    }

    /// Roots of all `n` pieces.
    pub fn piece_roots(&self) -> &[Digest] {
        &self.piece_roots
    }

    /// Root of the stripe.
    pub fn stripe_root(&self) -> Digest {
        self.stripe_root
    }

    /// The same with its part of dataRoot hashed, so that a batch's root is nearly done when its last stripe comes. For a
    /// [`crate::BatchAssembler`]; whoever only reads does without.
    #[must_use]
    pub fn with_data_subtrees(mut self, hasher: &dyn Hasher) -> Self {
        let own = self.layout.stripe_range(self.stripe());
        let whole = self.layout.data_subtrees(self.stripe());
        let end = (whole.end * SUBTREE_BYTES).min(own.end);
        if !whole.is_empty() {
            let bytes = whole.start * SUBTREE_BYTES - own.start..end - own.start;
            self.data_subtrees = data_subtrees(hasher, &self.data()[bytes]);
        }
        self
    }

    /// Those of [`Layout::data_subtrees`], or none.
    pub(crate) fn data_subtrees(&self) -> &[FieldElement] {
        &self.data_subtrees
    }

    /// Every piece of the stripe with its path, those that were never received included. Hashes `2 * n` nodes, no piece.
    pub fn checked_pieces(&self, hasher: &dyn Hasher) -> Vec<CheckedPiece> {
        let paths = StripePaths::new(self.stripe(), &self.piece_roots, self.upper_path.clone(), hasher);
        let indices = 0..self.layout.members();
        let piece = |(index, root): (u16, &Digest)| {
            CheckedPiece::vouched(self.pieces.piece(index, &paths), *root, self.stripe_root)
        };
        indices.zip(&self.piece_roots).map(piece).collect()
    }
}

/// Rebuilds one stripe from at least `k` different checked pieces in any order, and checks its encoding.
///
/// Shapes: the pieces are of stripe `stripe`; repeated ones are ignored, ones beyond `k` are compared. Allocates `n`
/// pieces. Cost: decoding, encoding, and one hash over each piece that is not among the given ones.
///
/// # Errors
/// [`Error::ForeignPiece`] and [`Error::TooFewPieces`] (the caller's mistakes); [`Error::BadEncoding`]: the encoder
/// lied, not the peers, and the given pieces with their paths are the evidence.
///
/// # Panics
/// When the coder does not fit the layout or the stripe does not exist.
pub fn decode_stripe(
    coder: &Coder,
    layout: &Layout,
    stripe: u32,
    pieces: &[CheckedPiece],
    hasher: &dyn Hasher,
) -> Result<DecodedStripe, Error> {
    coder.assert_fits(layout);
    let places = arrange(layout, stripe, pieces)?;
    let all = restore(coder, layout, stripe, &places)?;
    check_padding(layout, stripe, &all)?;
    let pieces = EncodedStripe::new(stripe, layout.piece_bytes(stripe), all.into());
    let piece_roots = roots_of_all(&pieces, &places, hasher);
    let found = merkle_root_of_digests(hasher, &piece_roots);
    let proven = places.iter().flatten().next().expect("at least one piece was used");
    let expected = proven.stripe_root();
    #[cfg(feature = "planted-faults")]
    let expected = if crate::PlantedFault::SkipReencodeCheck.is_planted() { found } else { expected };
    if found != expected {
        return Err(Error::BadEncoding { stripe, fault: EncodingFault::StripeRoot { expected, found } });
    }
    let upper_path = proven.path()[layout.stripe_path_digests(proven.index())..].to_vec();
    let (layout, data_subtrees) = (*layout, Vec::new());
    Ok(DecodedStripe { layout, pieces, piece_roots, stripe_root: found, upper_path, data_subtrees })
}

/// Puts pieces at their places; refuses pieces that do not belong together, and too few.
fn arrange<'a>(
    layout: &Layout,
    stripe: u32,
    pieces: &'a [CheckedPiece],
) -> Result<Vec<Option<&'a CheckedPiece>>, Error> {
    let piece_bytes = layout.piece_bytes(stripe);
    let mut places = vec![None; layout.pieces()];
    for piece in pieces {
        let belongs = piece.stripe() == stripe
            && piece.index() < layout.members()
            && piece.bytes().len() == piece_bytes
            && piece.path().len() == layout.path_digests(stripe, piece.index())
            && piece.stripe_root() == pieces[0].stripe_root();
        if !belongs {
            let (found_stripe, index) = (piece.stripe(), piece.index());
            return Err(Error::ForeignPiece { stripe, found_stripe, index });
        }
        places[usize::from(piece.index())] = Some(piece);
    }
    let found = u16::try_from(places.iter().flatten().count()).expect("at most 256 places");
    if found < layout.minimum_shards() {
        return Err(Error::TooFewPieces { stripe, needed: layout.minimum_shards(), found });
    }
    Ok(places)
}

/// All `n` pieces from the first `k` given ones; given ones beyond those must equal what was computed.
fn restore(
    coder: &Coder,
    layout: &Layout,
    stripe: u32,
    places: &[Option<&CheckedPiece>],
) -> Result<Vec<u8>, Error> {
    let piece_bytes = layout.piece_bytes(stripe);
    let mut all = vec![0; layout.pieces() * piece_bytes];
    let mut present = vec![false; layout.pieces()];
    for piece in places.iter().flatten().take(layout.data_pieces()) {
        let place = usize::from(piece.index());
        all[place * piece_bytes..][..piece_bytes].copy_from_slice(piece.bytes());
        present[place] = true;
    }
    coder.fill_missing(&mut all, &present, piece_bytes);
    for piece in places.iter().flatten().skip(layout.data_pieces()) {
        let place = usize::from(piece.index());
        if all[place * piece_bytes..][..piece_bytes] != **piece.bytes() {
            let fault = EncodingFault::PieceDiffers { index: piece.index() };
            return Err(Error::BadEncoding { stripe, fault });
        }
    }
    Ok(all)
}

/// One batch has one encoding: what lies behind the data in the data pieces must be zero.
fn check_padding(layout: &Layout, stripe: u32, pieces: &[u8]) -> Result<(), Error> {
    let data_bytes = layout.stripe_range(stripe).len();
    let padded_bytes = layout.data_pieces() * layout.piece_bytes(stripe);
    match pieces[data_bytes..padded_bytes].iter().position(|byte| *byte != 0) {
        Some(behind) => {
            let fault = EncodingFault::NonZeroPadding { offset: data_bytes + behind };
            Err(Error::BadEncoding { stripe, fault })
        }
        None => Ok(()),
    }
}

/// Roots of all pieces: known for given pieces, hashed for the others.
///
/// Why a known root may stand for a recomputed piece: the code is MDS, so exactly one codeword runs through `k` given
/// pieces, and encoding it again yields those pieces unchanged; `restore` keeps their bytes in place and has compared
/// the given ones beyond `k`. So each root here is the root of the bytes beside it in `pieces`, and no byte of the `n`
/// pieces escapes the comparison with the stripe root, even if the coder itself were wrong.
fn roots_of_all(
    pieces: &EncodedStripe,
    places: &[Option<&CheckedPiece>],
    hasher: &dyn Hasher,
) -> Vec<Digest> {
    let unknown = pieces.iter().zip(places).filter(|(_, place)| place.is_none());
    let unknown: Vec<&[u8]> = unknown.map(|(bytes, _)| bytes).collect();
    let mut computed = piece_roots(hasher, &unknown).into_iter();
    let root = |place: &Option<&CheckedPiece>| match place {
        Some(piece) => piece.root(),
        None => computed.next().expect("one root per piece that was not given"),
    };
    places.iter().map(root).collect()
}
