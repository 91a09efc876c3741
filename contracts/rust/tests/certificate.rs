//! Certificates: what `attest` made is accepted, everything else refused with the error that says why.

use alloy_primitives::U256;
use alloy_sol_types::{SolCall, SolError};
use attest::{Certificate, Domain, Signers, Statement, Thresholds};
use contracts::CertificateVerifier::{
    BelowQuorum, CertificateExpired, ChainMismatch, CommitteeHashMismatch, DataBytesOutOfRange,
    FalseCertificate, HotAfterRetain, InvalidSignaturePoint, NoSigners, NotCanonical, RegistryMismatch,
    RetentionTooLong, RollupMismatch, SignatureAtInfinity, SignerPastMembers, UnknownEpoch, WrongLength,
    verifyCall,
};
use contracts::harness::{RETENTION_SECONDS_MAX, Seats, Settlement};
use proptest::prelude::prop;
use proptest::strategy::{Strategy, ValueTree};

use super::shared::*;

/// Words of the ABI form.
const CHAIN: usize = 0;
const REGISTRY: usize = 1;
const ROLLUP_ID: usize = 2;
const EPOCH: usize = 3;
const COMMITTEE_HASH: usize = 4;
const DATA_BYTES: usize = 5;
const HOT_UNTIL: usize = 9;
const RETAIN_UNTIL: usize = 10;
const SIGNERS: usize = 11;
const SIGNATURE_OFFSET: usize = 12;
const SIGNATURE_BYTES: usize = 13;
const SIGNATURE: usize = 14;

fn accepts(installed: &mut Installed, signers: impl IntoIterator<Item = u16>) {
    let certificate = installed.certify(signers);
    certificate.verify(&installed.committee).unwrap();
    let batch_id = installed.settlement.verify(&certificate).unwrap().output;
    assert_eq!(batch_id.0, certificate.batch_id().0);
}

#[test]
fn accepts_committees_of_every_size_with_all_present() {
    for members in [1, 2, 4, 7, 32, 128] {
        accepts(&mut installed(members), 0..members);
    }
}

#[test]
fn accepts_the_largest_committee() {
    let mut installed = installed(256);
    accepts(&mut installed, 0..256);
    accepts(&mut installed, 85..256);
}

#[test]
fn accepts_every_single_absentee() {
    for members in [4, 7, 32] {
        let mut installed = installed(members);
        for absent in 0..members {
            accepts(&mut installed, (0..members).filter(|seat| *seat != absent));
        }
    }
}

#[test]
fn accepts_every_quorum_of_seven() {
    let mut installed = installed(7);
    for bits in 0..1_u16 << 7 {
        if bits.count_ones() >= 5 {
            accepts(&mut installed, (0..7).filter(|seat| bits >> seat & 1 == 1));
        }
    }
}

#[test]
fn accepts_exact_quorums_at_both_ends() {
    for members in [32, 128] {
        let mut installed = installed(members);
        let quorum = installed.committee.thresholds().quorum();
        accepts(&mut installed, 0..quorum);
        accepts(&mut installed, members - quorum..members);
    }
}

/// A quorum below half: fewer signers than absent members, so their keys are summed.
#[test]
fn accepts_a_minority_quorum() {
    let mut installed = with_thresholds(Thresholds::new(9, 1, 2).unwrap());
    for signers in [vec![0, 8], vec![3, 4, 5], vec![0, 1, 2, 3], vec![1, 2, 3, 4, 5]] {
        accepts(&mut installed, signers);
    }
}

#[test]
fn accepts_any_quorum_of_32() {
    let mut installed = installed(32);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let absent = prop::collection::btree_set(0..32_u16, 0..=10);
    for _ in 0..24 {
        let absent = absent.new_tree(&mut runner).unwrap().current();
        accepts(&mut installed, (0..32).filter(|seat| !absent.contains(seat)));
    }
}

/// The error of the first check that a certificate of four fails when word `index` is `value`, one bit off.
fn error_of_word(index: usize, value: U256, statement: &Statement, now: u64) -> [u8; 4] {
    let above = |bound: u64| value > U256::from(bound);
    match index {
        CHAIN | EPOCH | RETAIN_UNTIL if above(u64::MAX) => NotCanonical::SELECTOR,
        REGISTRY if value.bit_len() > 160 => NotCanonical::SELECTOR,
        SIGNATURE_OFFSET | SIGNATURE_BYTES => NotCanonical::SELECTOR,
        CHAIN => ChainMismatch::SELECTOR,
        REGISTRY => RegistryMismatch::SELECTOR,
        ROLLUP_ID => RollupMismatch::SELECTOR,
        DATA_BYTES if value.is_zero() || above(64 << 20) => DataBytesOutOfRange::SELECTOR,
        HOT_UNTIL if above(statement.retain_until) => HotAfterRetain::SELECTOR,
        RETAIN_UNTIL if value < U256::from(statement.hot_until) => HotAfterRetain::SELECTOR,
        EPOCH => UnknownEpoch::SELECTOR,
        RETAIN_UNTIL if above(now + RETENTION_SECONDS_MAX) => RetentionTooLong::SELECTOR,
        COMMITTEE_HASH => CommitteeHashMismatch::SELECTOR,
        SIGNERS if above(0b1111) => SignerPastMembers::SELECTOR,
        // Three of the four are a quorum, but all four signed.
        _ if index < SIGNATURE => FalseCertificate::SELECTOR,
        // No other point has all but one bit of these coordinates.
        _ => InvalidSignaturePoint::SELECTOR,
    }
}

/// All 4,608 bits, the signature's too.
#[test]
fn rejects_every_flipped_bit_with_the_error_of_its_word() {
    let mut installed = installed(4);
    let certificate = installed.certify(0..4);
    let bytes = certificate.to_abi().unwrap();
    let now = installed.settlement.chain.now();
    for bit in 0..8 * bytes.len() {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let value = U256::from_be_slice(word(&mut other, bit / 256));
        let expected = error_of_word(bit / 256, value, &certificate.statement, now);
        let found = refused_data(installed.settlement.verify_bytes(ROLLUP, other));
        assert_eq!(found.get(..4), Some(&expected[..]), "bit {} of byte {}: {found}", bit % 8, bit / 8);
    }
}

#[test]
fn rejects_statements_nobody_signed() {
    let mut installed = installed(4);
    for word_index in [6, 7, 8] {
        let FalseCertificate {} = installed.refused_after(|bytes| word(bytes, word_index)[31] ^= 1);
    }
    let FalseCertificate {} = installed.refused_after(|bytes| word(bytes, HOT_UNTIL)[31] ^= 1);
    let FalseCertificate {} = installed.refused_after(|bytes| word(bytes, DATA_BYTES)[31] ^= 1);
}

/// The bitmap names one signer more or another one than signed.
#[test]
fn rejects_a_bitmap_that_is_not_the_signers() {
    let mut installed = installed(7);
    let mut certificate = installed.certify(0..6);
    certificate.signers = Signers::from_bytes(&[0b0111_1111]).unwrap();
    let FalseCertificate {} = refused(installed.settlement.verify(&certificate));
    certificate.signers = Signers::from_bytes(&[0b0111_1110]).unwrap();
    let FalseCertificate {} = refused(installed.settlement.verify(&certificate));
}

#[test]
fn rejects_replay_elsewhere() {
    let mut installed = installed(4);
    let certificate = installed.certify(0..4);
    let ChainMismatch { found, .. } = installed.refused_after(|bytes| word(bytes, CHAIN)[31] ^= 1);
    assert_eq!(found.to::<u64>(), CHAIN_ID ^ 1);
    let RegistryMismatch { expected, .. } = installed.refused_after(|bytes| word(bytes, REGISTRY)[31] ^= 1);
    assert_eq!(expected, installed.settlement.registry);
    let RollupMismatch { .. } = installed.refused_after(|bytes| word(bytes, ROLLUP_ID)[0] ^= 1);
    // The same bytes, offered for another rollup.
    let RollupMismatch { found, expected } =
        refused(installed.settlement.verify_bytes([7; 32], certificate.to_abi().unwrap()));
    assert_eq!((found.0, expected.0), (ROLLUP, [7; 32]));
}

/// The same keys, thresholds and epoch on another registry: only the domain differs.
#[test]
fn rejects_a_certificate_of_another_domain() {
    let mut installed = installed(4);
    let settlement = &installed.settlement;
    let retain_until = settlement.chain.now() + DAY;
    for domain in [
        Domain { chain_id: CHAIN_ID + 1, ..settlement.domain() },
        Domain { registry: attest::Address([9; 20]), ..settlement.domain() },
    ] {
        let thresholds = installed.committee.thresholds();
        let other = installed.seats.committee(1, domain, thresholds).unwrap();
        let mut certificate = installed.seats.certify(&other, ROLLUP, retain_until, 0..4).unwrap();
        (certificate.chain_id, certificate.registry) =
            (CHAIN_ID, attest::Address(installed.settlement.registry.into_array()));
        let FalseCertificate {} = refused(installed.settlement.verify(&certificate));
    }
}

/// A fork of the chain takes another id: the domain follows, old certificates do not.
#[test]
fn follows_a_change_of_the_chain_id() {
    let mut installed = installed(4);
    let before = installed.certify(0..4);
    installed.settlement.chain.set_chain_id(999);
    let ChainMismatch { .. } = refused(installed.settlement.verify(&before));
    let thresholds = installed.committee.thresholds();
    let forked = installed.seats.committee(1, installed.settlement.domain(), thresholds).unwrap();
    let retain_until = installed.settlement.chain.now() + DAY;
    let after = installed.seats.certify(&forked, ROLLUP, retain_until, 0..4).unwrap();
    installed.settlement.verify(&after).unwrap();
}

#[test]
fn rejects_another_epoch_and_another_committee() {
    let mut installed = installed(4);
    let UnknownEpoch { epoch } = installed.refused_after(|bytes| word(bytes, EPOCH)[31] = 2);
    assert_eq!(epoch.to::<u64>(), 2);
    let UnknownEpoch { .. } = installed.refused_after(|bytes| word(bytes, EPOCH)[31] = 0);
    let CommitteeHashMismatch { expected, .. } =
        installed.refused_after(|bytes| word(bytes, COMMITTEE_HASH)[0] ^= 1);
    assert_eq!(expected.0, installed.committee.hash().0);
}

/// Both epochs exist, each with four members of its own, and both may still vouch: only the committee tells them apart.
#[test]
fn rejects_a_certificate_relabelled_to_another_epoch() {
    let Installed { mut settlement, seats, committee } = installed(4);
    let thresholds = committee.thresholds();
    let others = Seats::new("other", 4).unwrap();
    settlement.install(2, &others, thresholds).unwrap();
    let second = others.committee(2, settlement.domain(), thresholds).unwrap();
    let retain_until = settlement.chain.now() + DAY;
    for (seats, of, as_if) in [(&seats, &committee, &second), (&others, &second, &committee)] {
        let good = seats.certify(of, ROLLUP, retain_until, 0..4).unwrap();
        settlement.verify(&good).unwrap();
        let mut bytes = good.to_abi().unwrap();
        word(&mut bytes, EPOCH)[24..].copy_from_slice(&as_if.epoch().0.to_be_bytes());
        let CommitteeHashMismatch { found, expected } =
            refused(settlement.verify_bytes(ROLLUP, bytes.clone()));
        assert_eq!((found.0, expected.0), (of.hash().0, as_if.hash().0));
        // With the hash of that epoch's committee, too, it is a statement that the committee did not sign.
        word(&mut bytes, COMMITTEE_HASH).copy_from_slice(&as_if.hash().0);
        let FalseCertificate {} = refused(settlement.verify_bytes(ROLLUP, bytes));
    }
}

#[test]
fn rejects_bitmaps_that_fit_no_quorum() {
    for members in [1, 7, 32, 128] {
        let mut installed = installed(members);
        let NoSigners {} = installed.refused_after(|bytes| word(bytes, SIGNERS).fill(0));
        let last = usize::from(members) % 256;
        for bit in [last, 255] {
            let SignerPastMembers { .. } =
                installed.refused_after(|bytes| word(bytes, SIGNERS)[31 - bit / 8] |= 1 << (bit % 8));
        }
    }
    let mut installed = installed(7);
    let BelowQuorum { signers, quorum } = installed.refused_after(|bytes| word(bytes, SIGNERS)[31] = 0b1111);
    assert_eq!((signers.to::<u64>(), quorum.to::<u64>()), (4, 5));
}

#[test]
fn rejects_statements_out_of_bounds() {
    let mut installed = installed(4);
    let DataBytesOutOfRange { .. } = installed.refused_after(|bytes| word(bytes, DATA_BYTES).fill(0));
    let DataBytesOutOfRange { .. } = installed.refused_after(|bytes| word(bytes, DATA_BYTES)[0] = 1);
    let DataBytesOutOfRange { found, .. } = installed.refused_after(|bytes| {
        word(bytes, DATA_BYTES)[24..].copy_from_slice(&((64_u64 << 20) + 1).to_be_bytes());
    });
    assert_eq!(found.to::<u64>(), (64 << 20) + 1);
    let HotAfterRetain { .. } = installed.refused_after(|bytes| word(bytes, HOT_UNTIL)[0] = 1);
}

/// The largest batch is accepted; 0 and one more are not signed by `attest` at all.
#[test]
fn accepts_the_largest_batch() {
    let mut installed = installed(4);
    let statement = Statement { data_bytes: 64 << 20, ..installed.certify(0..4).statement };
    let certificate = installed.seats.sign(&installed.committee, &statement, 0..4).unwrap();
    installed.settlement.verify(&certificate).unwrap();
}

#[test]
fn a_certificate_expires_with_its_data() {
    let mut installed = installed(4);
    let certificate = installed.certify(0..4);
    let retain_until = certificate.statement.retain_until;
    installed.settlement.chain.set_now(retain_until - 1);
    installed.settlement.verify(&certificate).unwrap();
    installed.settlement.chain.set_now(retain_until);
    let CertificateExpired { .. } = refused(installed.settlement.verify(&certificate));
}

#[test]
fn rejects_signatures_that_are_no_points_of_the_subgroup() {
    let mut installed = installed(4);
    let SignatureAtInfinity {} = installed.refused_after(|bytes| bytes[32 * SIGNATURE..].fill(0));
    // Not on the curve.
    let InvalidSignaturePoint {} = installed.refused_after(|bytes| word(bytes, SIGNATURE + 3)[31] ^= 1);
    // Padding that is not zero: another encoding of the same point.
    let InvalidSignaturePoint {} = installed.refused_after(|bytes| word(bytes, SIGNATURE)[0] = 1);
    // (0, 2) is on the curve y^2 = x^3 + 4, of order 3: not in the subgroup.
    let InvalidSignaturePoint {} = installed.refused_after(|bytes| {
        bytes[32 * SIGNATURE..].fill(0);
        word(bytes, SIGNATURE + 3)[31] = 2;
    });
    // The same point with x + modulus would be a second encoding.
    let InvalidSignaturePoint {} = installed.refused_after(|bytes| word(bytes, SIGNATURE)[16] |= 0xe0);
}

/// The other point with the same x is a valid point and a false signature.
#[test]
fn rejects_the_negated_signature() {
    let mut installed = installed(4);
    let mut certificate = installed.certify(0..4);
    certificate.signature.0[0] ^= 0x20;
    let FalseCertificate {} = refused(installed.settlement.verify(&certificate));
}

#[test]
fn rejects_longer_certificates_and_other_encodings() {
    let mut installed = installed(4);
    let WrongLength { bytesFound, .. } = installed.refused_after(|bytes| bytes.push(0));
    assert_eq!(bytesFound.to::<usize>(), 577);
    let NotCanonical {} = installed.refused_after(|bytes| word(bytes, SIGNATURE_OFFSET)[31] ^= 0x20);
    let NotCanonical {} = installed.refused_after(|bytes| word(bytes, SIGNATURE_BYTES)[31] ^= 0x20);
    for index in [CHAIN, EPOCH, RETAIN_UNTIL] {
        let NotCanonical {} = installed.refused_after(|bytes| word(bytes, index)[23] = 1);
    }
    let NotCanonical {} = installed.refused_after(|bytes| word(bytes, REGISTRY)[11] = 1);
}

/// A call cut short anywhere: the decoder of its arguments reverts, without an error, before anything is read.
#[test]
fn rejects_truncated_calls() {
    let mut installed = installed(1);
    let certificate = installed.certify(0..1).to_abi().unwrap().into();
    let call = verifyCall { rollupId: ROLLUP.into(), certificate }.abi_encode();
    let Settlement { chain, settler, verifier, .. } = &mut installed.settlement;
    chain.send_raw(*settler, *verifier, call.clone().into()).unwrap();
    for length in 0..call.len() {
        let found = refused_data(chain.send_raw(*settler, *verifier, call[..length].to_vec().into()));
        assert!(found.is_empty(), "{length} bytes: {found}");
    }
}

/// A whole call with a certificate cut short anywhere: that is an error of the certificate.
#[test]
fn rejects_truncated_certificates() {
    let mut installed = installed(1);
    let bytes = installed.certify(0..1).to_abi().unwrap();
    installed.settlement.verify_bytes(ROLLUP, bytes.clone()).unwrap();
    for length in 0..bytes.len() {
        let WrongLength { bytesFound, bytesExpected } =
            refused(installed.settlement.verify_bytes(ROLLUP, bytes[..length].to_vec()));
        assert_eq!((bytesFound.to(), bytesExpected.to()), (length, bytes.len()));
    }
}

/// What L1 accepts `attest` accepts, and the other way round, for bitmaps and signatures put together at random.
#[test]
fn agrees_with_attest_on_any_bitmap() {
    let mut installed = installed(7);
    let certificates: Vec<Certificate> = [0..7, 0..5, 2..7].map(|signers| installed.certify(signers)).into();
    for certificate in certificates {
        for bitmap in 1..=255_u8 {
            let signers = Signers::from_bytes(&[bitmap]).unwrap();
            let other = Certificate { signers, ..certificate.clone() };
            let accepted = installed.settlement.verify(&other).is_ok();
            assert_eq!(accepted, other.verify(&installed.committee).is_ok(), "{bitmap:#010b}");
        }
    }
}
