//! Certificates, good and refused.

use super::*;

/// Errors of L1 that more than one vector names.
const BELOW_QUORUM: &str = "BelowQuorum(uint256,uint256)";
const FALSE_CERTIFICATE: &str = "FalseCertificate()";

/// A certificate signed by `seats`, which must be a quorum.
fn certify(seeded: &Seeded, seats: &[SeatIndex]) -> (Certificate, Vec<Attestation>) {
    let Seeded { committee, keys } = seeded;
    let [_, usual, _] = statements();
    let statement = Statement { epoch: committee.epoch(), committee_hash: committee.hash(), ..usual };
    let attest =
        |seat: &SeatIndex| keys[usize::from(seat.0)].attest(&statement, committee.domain(), *seat).unwrap();
    let attestations: Vec<_> = seats.iter().map(attest).collect();
    let certificate = aggregate(committee, &statement, attestations.clone()).certificate.unwrap();
    (certificate.into_certificate(), attestations)
}

/// Encodings next to a good one that must not verify: malformed ones first, then well-formed lies.
fn refused_certificates(committee: &Committee, certificate: &Certificate) -> Value {
    let bytes = certificate.encode();
    let bitmap = 28 + 192;
    let signers = certificate.signers.as_bytes();
    let (before, after) = (&bytes[..bitmap], &bytes[bitmap + 1 + signers.len()..]);
    let with_signers = |framed: Vec<u8>| [before, framed.as_slice(), after].concat();
    let frame = |signers: &[u8]| with_signers(signers.to_vec().encode());
    let fewer = committee.thresholds().quorum() - 1;
    let mut below = vec![0; signers.len()];
    (0..fewer).for_each(|seat| below[usize::from(seat / 8)] |= 1 << (seat % 8));
    let flipped = |at: usize| {
        let mut other = bytes.clone();
        other[at] ^= 1;
        other
    };
    let length = u8::try_from(signers.len()).unwrap();
    let long_length = [&[length << 2 | 1, 0], signers].concat();
    // What is malformed here, or differs in the width of its bitmap only, has no form of its own on L1, and no error there.
    let list = [
        ("one byte more", None, [bytes.as_slice(), &[0]].concat()),
        ("one byte less", None, bytes[..bytes.len() - 1].to_vec()),
        ("bitmap length not in its shortest form", None, with_signers(long_length)),
        ("no signer", None, frame(&vec![0; signers.len()])),
        ("bitmap one byte wider than the committee", None, frame(&[signers, &[0]].concat())),
        ("below quorum", (fewer > 0).then_some(BELOW_QUORUM), frame(&below)),
        ("another chain", Some("ChainMismatch(uint256,uint256)"), flipped(0)),
        ("another registry", Some("RegistryMismatch(address,address)"), flipped(8)),
        ("another rollup", Some("RollupMismatch(bytes32,bytes32)"), flipped(28)),
        ("another epoch", Some("UnknownEpoch(uint256)"), flipped(60)),
        ("another committee", Some("CommitteeHashMismatch(bytes32,bytes32)"), flipped(68)),
        ("another length", Some(FALSE_CERTIFICATE), flipped(100)),
        ("another data root", Some(FALSE_CERTIFICATE), flipped(28 + 112)),
        ("another time", Some(FALSE_CERTIFICATE), flipped(28 + 176)),
        (
            "another signature",
            Some(FALSE_CERTIFICATE),
            [&bytes[..bytes.len() - 48], &negated(certificate.signature).0[..]].concat(),
        ),
    ];
    list.into_iter().map(|(why, error, bytes)| refused_certificate(why, error, &bytes, committee)).collect()
}

/// ABI forms next to a good one that must not verify, with the errors of L1 (`error`) and of this crate (`attest_error`).
fn refused_abi(committee: &Committee, good: &[u8]) -> Value {
    let members = committee.thresholds().members();
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.to_vec();
        edit(&mut bytes);
        bytes
    };
    let set = |at: usize, value: u8| edited(&move |bytes: &mut Vec<u8>| bytes[at] = value);
    let word = |index: usize, value: &'static [u8]| {
        edited(&move |bytes: &mut Vec<u8>| {
            bytes[32 * index..][..32].fill(0);
            bytes[32 * (index + 1) - value.len()..][..value.len()].copy_from_slice(value);
        })
    };
    let past = usize::from(members);
    let list = [
        ("one word less", "WrongLength(uint256,uint256)", good[..good.len() - 32].to_vec()),
        ("one byte less", "WrongLength(uint256,uint256)", good[..good.len() - 1].to_vec()),
        ("one byte more", "WrongLength(uint256,uint256)", [good, &[0]].concat()),
        ("nothing", "WrongLength(uint256,uint256)", vec![]),
        ("chain id of 65 bits", "NotCanonical()", set(23, 1)),
        ("registry of 161 bits", "NotCanonical()", set(32 + 11, 1)),
        ("epoch of 65 bits", "NotCanonical()", set(3 * 32 + 23, 1)),
        ("retention of 65 bits", "NotCanonical()", set(10 * 32 + 23, 1)),
        ("signature elsewhere", "NotCanonical()", set(12 * 32 + 31, 0)),
        ("signature of another length", "NotCanonical()", set(13 * 32 + 31, 96)),
        ("no bytes", "DataBytesOutOfRange(uint256,uint256)", word(5, &[0])),
        ("one byte more than a batch has", "DataBytesOutOfRange(uint256,uint256)", word(5, &[4, 0, 0, 1])),
        ("hot after the end", "HotAfterRetain(uint256,uint256)", set(9 * 32 + 24, 1)),
        ("no signer", "NoSigners()", word(11, &[0])),
        (
            "a bit past the members",
            "SignerPastMembers(uint256,uint256)",
            edited(&|bytes| bytes[11 * 32 + 31 - past / 8] |= 1 << (past % 8)),
        ),
        ("the highest bit", "SignerPastMembers(uint256,uint256)", edited(&|bytes| bytes[11 * 32] |= 0x80)),
        ("signature at infinity", "SignatureAtInfinity()", edited(&|bytes| bytes[14 * 32..].fill(0))),
        ("signature off the curve", "InvalidSignaturePoint()", edited(&|bytes| bytes[17 * 32 + 31] ^= 1)),
        ("dirty padding", "InvalidSignaturePoint()", set(14 * 32, 1)),
        (
            // (0, 2) is on the curve y^2 = x^3 + 4 and of order 3.
            "signature outside the subgroup",
            "InvalidSignaturePoint()",
            edited(&|bytes| {
                bytes[14 * 32..].fill(0);
                bytes[17 * 32 + 31] = 2;
            }),
        ),
    ];
    let refused = |(why, error, bytes): (&str, &str, Vec<u8>)| {
        let verified = Certificate::from_abi(&bytes, members).and_then(|found| found.verify(committee));
        let here = error_name(&verified.expect_err(why));
        json!({ "why": why, "error": error, "attest_error": here, "abi": hex(bytes) })
    };
    list.into_iter().map(refused).collect()
}

/// `abi` is null where the SCALE form is malformed: such a certificate has no other form. `error` is L1's answer to `abi`,
/// `attest_error` this crate's to `scale`.
fn refused_certificate(why: &str, error: Option<&str>, bytes: &[u8], committee: &Committee) -> Value {
    let found = Certificate::decode_strict(bytes);
    let abi = found.as_ref().ok().map(|certificate| hex(certificate.to_abi().unwrap()));
    let here = error_name(&found.and_then(|certificate| certificate.verify(committee)).expect_err(why));
    json!({ "why": why, "error": error, "attest_error": here, "scale": hex(bytes), "abi": abi })
}

/// The name of an error, without what it found.
fn error_name(error: &Error) -> String {
    format!("{error:?}").chars().take_while(|character| character.is_alphanumeric()).collect()
}

/// The other point with the same x: a valid point, another signature.
fn negated(mut signature: SignatureBytes) -> SignatureBytes {
    signature.0[0] ^= 0x20;
    signature
}

fn certificate_json(seeded: &Seeded, seats: &[SeatIndex]) -> Value {
    let (certificate, attestations) = certify(seeded, seats);
    let committee = &seeded.committee;
    let members = committee.thresholds().members();
    let abi = certificate.to_abi().unwrap();
    assert_eq!(Certificate::decode_strict(&certificate.encode()).as_ref(), Ok(&certificate));
    assert_eq!(Certificate::from_abi(&abi, members).as_ref(), Ok(&certificate));
    assert_eq!(certificate.verify(committee).unwrap().signers(), seats);
    let attestation = |attestation: &Attestation| {
        json!({
            "seat": attestation.seat,
            "signature": attestation.signature,
            "signature_padded": padded(attestation.signature),
            "scale": hex(attestation.encode()),
        })
    };
    json!({
        "members": members,
        "quorum": committee.thresholds().quorum(),
        "committee_hash": committee.hash(),
        "domain": domain_json(committee.domain()),
        "statement": statement_json(&certificate.statement),
        "digest": certificate.batch_id(),
        "suite": "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_",
        "attestations": attestations.iter().map(attestation).collect::<Vec<_>>(),
        "signers": certificate.signers,
        "signers_word": hex(&abi[11 * 32..][..32]),
        "signature": certificate.signature,
        "signature_padded": padded(certificate.signature),
        "scale": hex(certificate.encode()),
        "json": certificate.to_json(),
        "refused_abi": refused_abi(committee, &abi),
        "abi": hex(abi),
        "refused": refused_certificates(committee, &certificate),
    })
}

#[test]
fn certificate() {
    let mut cases = vec![];
    for seeded in committees() {
        let seats: Vec<_> = seeded.committee.seats().collect();
        cases.push(certificate_json(&seeded, &seats));
        let spare = usize::from(seeded.committee.thresholds().offline_members_tolerated());
        if spare > 0 {
            cases.push(certificate_json(&seeded, &seats[spare..]));
        }
    }
    let about =
        "Certificates of the committees in committee.json (found by their hash), off chain and for L1.";
    check("certificate.json", about, json!(cases));
}
