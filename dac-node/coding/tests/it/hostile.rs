//! Peers and encoders that lie: each lie is refused with the error that names the liar.

use attest::{DataHash, DataRoot, ShardsRoot};
use bytes::Bytes;
use dac_node_coding::{
    BatchAssembler, CheckedPiece, Coder, Commitment, Commitments, EncodingFault, Error, Fault, LEAF_BYTES,
    Layout, LeafOpening, PIECE_BYTES, Piece, decode_stripe,
};
use proptest::prelude::*;

use crate::{Coordinator, generated_batch, hasher, naive};

/// One full stripe and one short, last one with 24 bytes of padding.
const BATCH_BYTES: usize = 3 * PIECE_BYTES + 3 * 640 - 24;

/// A change of something true.
type Lie<T> = fn(&mut T);

fn honest() -> Coordinator {
    Coordinator::new(7, 3, generated_batch(30, BATCH_BYTES))
}

fn check(ours: &Coordinator, piece: Piece) -> Result<CheckedPiece, Error> {
    piece.check(&ours.layout, &ours.commitments.shards_root, &*hasher())
}

#[test]
fn peer_cannot_pass_anything_but_the_piece() {
    let ours = honest();
    let good = ours.checked_pieces(1).swap_remove(2).into_piece();
    assert!(check(&ours, good.clone()).is_ok());
    let lies: [(Error, Lie<Piece>); 9] = [
        (Error::StripeOutOfRange { stripe: 2, stripes: 2 }, |piece| piece.stripe = 2),
        (Error::StripeOutOfRange { stripe: u32::MAX, stripes: 2 }, |piece| piece.stripe = u32::MAX),
        (Error::PieceIndexOutOfRange { index: 7, members: 7 }, |piece| piece.index = 7),
        (Error::PieceIndexOutOfRange { index: u16::MAX, members: 7 }, |piece| piece.index = u16::MAX),
        (Error::PieceLength { stripe: 1, index: 2, expected: 640, found: 639 }, |piece| {
            piece.bytes.truncate(639)
        }),
        (Error::PieceLength { stripe: 1, index: 2, expected: 640, found: 0 }, |piece| piece.bytes.clear()),
        (Error::PathLength { stripe: 1, index: 2, expected: 4, found: 3 }, |piece| {
            piece.path.pop();
        }),
        (Error::PathLength { stripe: 1, index: 2, expected: 4, found: 0 }, |piece| piece.path.clear()),
        (Error::PathLength { stripe: 1, index: 2, expected: 4, found: 5 }, |piece| piece.path.push([0; 32])),
    ];
    for (expected, lie) in lies {
        let mut piece = good.clone();
        lie(&mut piece);
        let error = check(&ours, piece).unwrap_err();
        assert_eq!(error, expected);
        assert!(error.is_peer_fault());
    }
}

#[test]
fn pieces_cannot_change_places() {
    let ours = honest();
    let pieces = ours.checked_pieces(0);
    for (from, to) in [(0, 1), (1, 0), (2, 3), (5, 4)] {
        let mut path_moved = pieces[to].clone().into_piece();
        path_moved.bytes = pieces[from].bytes().clone();
        let mut index_moved = pieces[from].clone().into_piece();
        index_moved.index = to.try_into().unwrap();
        for piece in [path_moved, index_moved] {
            let error = check(&ours, piece).unwrap_err();
            assert!(matches!(error, Error::PathMismatch { stripe: 0, expected, .. }
                if expected == ours.commitments.shards_root.0));
            assert!(error.is_peer_fault());
        }
    }
}

/// A committed encoding that was tampered with before its tree was built: every piece passes its check.
struct LyingEncoder {
    layout: Layout,
    coder: Coder,
    encoding: naive::Encoding,
    /// `[stripe][index]`
    pieces: Vec<Vec<CheckedPiece>>,
}

impl LyingEncoder {
    fn new(tamper: impl Fn(&mut Vec<Vec<Vec<u8>>>)) -> Self {
        let mut pieces = naive::Encoding::new(7, 3, &generated_batch(31, BATCH_BYTES)).pieces;
        tamper(&mut pieces);
        let encoding = naive::Encoding::of(pieces);
        let layout = Layout::new(7, 3, BATCH_BYTES as u64).unwrap();
        let shards_root = ShardsRoot(encoding.shards_root());
        let check = |stripe, index| encoding.piece(stripe, index).check(&layout, &shards_root, &*hasher());
        let pieces = (0..2).map(|stripe| (0..7).map(|index| check(stripe, index)).collect::<Result<_, _>>());
        let pieces = pieces.collect::<Result<_, _>>().expect("all are in the committed tree");
        Self { layout, coder: Coder::new(7, 3).unwrap(), encoding, pieces }
    }

    fn decode(&self, stripe: u32, indices: &[usize]) -> Result<(), Error> {
        let pieces: Vec<_> =
            indices.iter().map(|index| self.pieces[stripe as usize][*index].clone()).collect();
        decode_stripe(&self.coder, &self.layout, stripe, &pieces, &*hasher()).map(|_| ())
    }
}

#[test]
fn one_wrong_parity_byte_is_found_from_any_pieces() {
    let liar = LyingEncoder::new(|pieces| pieces[0][5][100] ^= 1);
    let choices: Vec<Vec<usize>> = (0..1usize << 7)
        .filter(|choice| choice.count_ones() >= 3)
        .map(|choice| (0..7).filter(|index| choice >> index & 1 == 1).collect())
        .collect();
    assert_eq!(choices.len(), 99);
    for indices in choices {
        let error = liar.decode(0, &indices).unwrap_err();
        let Error::BadEncoding { stripe: 0, ref fault } = error else { panic!("{error}") };
        match fault {
            EncodingFault::StripeRoot { expected, found } => {
                assert_eq!(
                    (*expected, indices.len() == 3 || !indices.contains(&5)),
                    (liar.encoding.stripe_roots[0], true)
                );
                assert_ne!(expected, found);
            }
            EncodingFault::PieceDiffers { index } => {
                assert!(indices.len() > 3 && indices.contains(&5) && indices.contains(&usize::from(*index)))
            }
            EncodingFault::NonZeroPadding { .. } => panic!("a full stripe has no padding"),
        }
        assert_eq!((error.fault(), error.is_peer_fault()), (Fault::Encoder, false));
    }
    assert_eq!(liar.decode(1, &[0, 3, 6]), Ok(()), "the other stripe is honest");
}

#[test]
fn padding_that_is_not_zero_is_refused_although_its_encoding_is_consistent() {
    let batch = generated_batch(31, BATCH_BYTES);
    for behind in [0, 23] {
        let mut longer = batch.clone();
        longer.extend_from_slice(&[0; 24]);
        longer[batch.len() + behind] = 1;
        let last = naive::Encoding::new(7, 3, &longer).pieces.swap_remove(1);
        let liar = LyingEncoder::new(|pieces| pieces[1] = last.clone());
        let fault = EncodingFault::NonZeroPadding { offset: 3 * 640 - 24 + behind };
        for indices in [[0, 1, 2], [4, 5, 6], [0, 3, 6]] {
            let error = liar.decode(1, &indices).unwrap_err();
            assert_eq!(error, Error::BadEncoding { stripe: 1, fault: fault.clone() });
            assert_eq!(error.fault(), Fault::Encoder);
        }
    }
}

#[test]
fn pieces_committed_in_swapped_order_are_refused() {
    let liar = LyingEncoder::new(|pieces| pieces[0].swap(1, 4));
    for indices in [&[0, 1, 2][..], &[0, 2, 3], &[4, 5, 6], &[0, 1, 2, 3, 4, 5, 6]] {
        assert!(matches!(liar.decode(0, indices), Err(Error::BadEncoding { stripe: 0, .. })), "{indices:?}");
    }
}

#[test]
fn stripe_needs_k_different_pieces_of_itself() {
    let ours = honest();
    let (first, second) = (ours.checked_pieces(0), ours.checked_pieces(1));
    let decode = |pieces: &[CheckedPiece]| {
        decode_stripe(&ours.coder, &ours.layout, 0, pieces, &*hasher()).map(|decoded| decoded.stripe())
    };
    let repeated = [first[0].clone(), first[1].clone(), first[1].clone(), first[0].clone()];
    assert_eq!(decode(&repeated), Err(Error::TooFewPieces { stripe: 0, needed: 3, found: 2 }));
    assert_eq!(decode(&[]), Err(Error::TooFewPieces { stripe: 0, needed: 3, found: 0 }));

    let mixed = [first[0].clone(), first[1].clone(), second[2].clone()];
    assert_eq!(decode(&mixed), Err(Error::ForeignPiece { stripe: 0, found_stripe: 1, index: 2 }));
    let other_batch = Coordinator::new(7, 3, generated_batch(32, BATCH_BYTES)).checked_pieces(0);
    let mixed = [first[0].clone(), first[1].clone(), other_batch[2].clone()];
    assert_eq!(decode(&mixed), Err(Error::ForeignPiece { stripe: 0, found_stripe: 0, index: 2 }));
    let wider = Coordinator::new(9, 3, generated_batch(30, BATCH_BYTES)).checked_pieces(0);
    assert_eq!(decode(&wider[..3]), Err(Error::ForeignPiece { stripe: 0, found_stripe: 0, index: 0 }));
    assert_eq!(decode(&wider[7..]), Err(Error::ForeignPiece { stripe: 0, found_stripe: 0, index: 7 }));
}

fn assembled(ours: &Coordinator) -> BatchAssembler {
    let mut assembler = BatchAssembler::new(&ours.layout, None);
    for stripe in 0..ours.layout.stripes() {
        let pieces = ours.checked_pieces(stripe);
        assembler.insert(&decode_stripe(&ours.coder, &ours.layout, stripe, &pieces, &*hasher()).unwrap());
    }
    assembler
}

#[test]
fn each_announced_commitment_is_compared_and_named() {
    let ours = honest();
    let lies: [(Commitment, Lie<Commitments>); 3] = [
        (Commitment::DataHash, |announced| announced.data_hash = DataHash([7; 32])),
        (Commitment::DataRoot, |announced| announced.data_root = DataRoot([7; 32])),
        (Commitment::ShardsRoot, |announced| announced.shards_root = ShardsRoot([7; 32])),
    ];
    for (named, lie) in lies {
        let mut announced = ours.commitments;
        lie(&mut announced);
        let error = assembled(&ours).finish(&announced, &*hasher()).unwrap_err();
        assert!(matches!(error, Error::CommitmentMismatch { which, expected, .. }
            if which == named && expected == [7; 32]));
        assert_eq!(error.fault(), Fault::Encoder);

        let Commitments { data_hash, shards_root, .. } = announced;
        match assembled(&ours).finish_announced(data_hash, shards_root, &*hasher()) {
            Ok(decoded) => assert_eq!((named, decoded.commitments), (Commitment::DataRoot, ours.commitments)),
            Err(without_root) => assert_eq!((named == Commitment::DataRoot, without_root), (false, error)),
        }
    }
}

/// Numbers and lengths near the valid ones and far away; bytes and digests are whatever.
fn any_piece() -> impl Strategy<Value = Piece> {
    let stripe = prop_oneof![0..4u32, any::<u32>()];
    let index = prop_oneof![0..9u16, any::<u16>()];
    let bytes = prop_oneof![Just(640usize), Just(PIECE_BYTES), 0..2 * PIECE_BYTES];
    let path = proptest::collection::vec(any::<[u8; 32]>(), 0..24);
    (stripe, index, bytes, any::<u8>(), path).prop_map(|(stripe, index, bytes, fill, path)| Piece {
        stripe,
        index,
        bytes: Bytes::from(vec![fill; bytes]),
        path,
    })
}

proptest! {
    #[test]
    fn invented_pieces_are_refused_without_panic(piece in any_piece()) {
        let layout = Layout::new(7, 3, BATCH_BYTES as u64).unwrap();
        let error = piece.check(&layout, &ShardsRoot([1; 32]), &*hasher()).unwrap_err();
        prop_assert!(error.is_peer_fault());
    }

    #[test]
    fn invented_leaves_are_refused_without_panic(
        piece in any_piece(),
        leaf in prop_oneof![0..34u32, any::<u32>()],
        bytes in prop_oneof![Just(LEAF_BYTES), Just(640), 0..2000usize],
    ) {
        let Piece { stripe, index, path, .. } = piece;
        let layout = Layout::new(7, 3, BATCH_BYTES as u64).unwrap();
        let opening = LeafOpening { stripe, index, leaf, bytes: Bytes::from(vec![0; bytes]), path };
        let error = opening.check(&layout, &ShardsRoot([1; 32])).unwrap_err();
        prop_assert!(error.is_peer_fault());
    }

    #[test]
    fn any_flipped_bit_is_refused(index in 0..7u16, position: proptest::sample::Index, bit in 0..8u32) {
        let ours = honest();
        let mut piece = ours.checked_pieces(1).swap_remove(usize::from(index)).into_piece();
        let mut bytes = piece.bytes.to_vec();
        let path_bytes = piece.path.len() * 32;
        match position.index(bytes.len() + path_bytes).checked_sub(bytes.len()) {
            None => bytes[position.index(piece.bytes.len() + path_bytes)] ^= 1 << bit,
            Some(in_path) => piece.path[in_path / 32][in_path % 32] ^= 1 << bit,
        }
        piece.bytes = bytes.into();
        let error = check(&ours, piece).unwrap_err();
        let is_mismatch = matches!(error, Error::PathMismatch { stripe: 1, .. });
        prop_assert!(is_mismatch, "{error}");
    }
}
