use super::*;
use crate::testing::{attestation, certificate, committee, key, statement};
use crate::{BatchId, CommitteeHash, Epoch, SignatureBytes};

fn seats(seats: impl IntoIterator<Item = u16>) -> Vec<SeatIndex> {
    seats.into_iter().map(SeatIndex).collect()
}

/// A signature of `seat` on another statement: a valid point, a false attestation.
fn lie(committee: &Committee, seat: u16) -> Attestation {
    let other = Statement { data_bytes: 1, ..statement(committee) };
    let lie = key(seat).attest(&other, committee.domain(), SeatIndex(seat)).unwrap();
    Attestation { batch_id: attestation(committee, seat).batch_id, ..lie }
}

fn run(committee: &Committee, attestations: Vec<Attestation>) -> Aggregation {
    let aggregation = aggregate(committee, &statement(committee), attestations);
    if let Ok(checked) = &aggregation.certificate {
        assert_eq!(checked.certificate().verify(committee).as_ref(), Ok(checked));
    }
    aggregation
}

#[test]
fn every_size_certifies_with_all_and_with_a_quorum() {
    for members in [1, 4, 7, 32, 128, 256] {
        let committee = committee(members);
        let all: Vec<_> = (0..members).map(|seat| attestation(&committee, seat)).collect();
        let Aggregation { certificate, liars, ignored } = run(&committee, all.clone());
        assert_eq!(certificate.unwrap().signers(), seats(0..members));
        assert!(liars.is_empty() && ignored.is_empty());
        let spare = committee.thresholds().offline_members_tolerated();
        let quorum = run(&committee, all[usize::from(spare)..].to_vec());
        assert_eq!(quorum.certificate.unwrap().signers(), seats(spare..members));
        let fewer = run(&committee, all[usize::from(spare) + 1..].to_vec());
        let Err(Error::BelowQuorum { signers, missing, quorum }) = fewer.certificate else {
            panic!("{members}")
        };
        assert_eq!((signers, missing), (seats(spare + 1..members), seats(0..=spare)));
        assert_eq!(quorum, committee.thresholds().quorum());
    }
}

#[test]
fn order_and_repetition_do_not_matter() {
    let committee = committee(7);
    let mut list: Vec<_> = [6, 0, 3, 3, 1, 6, 4].map(|seat| attestation(&committee, seat)).to_vec();
    let first = run(&committee, list.clone());
    list.reverse();
    assert_eq!(run(&committee, list), first);
    assert_eq!(first.certificate.unwrap().into_certificate(), certificate(&committee, [0, 1, 3, 4, 6]));
    assert!(first.liars.is_empty());
}

#[test]
fn liars_are_named_and_the_rest_certify() {
    let committee = committee(7);
    let mut list: Vec<_> = (0..7).map(|seat| attestation(&committee, seat)).collect();
    list[2] = lie(&committee, 2);
    list[5].signature = SignatureBytes([0xff; 48]);
    let aggregation = run(&committee, list.clone());
    assert_eq!(aggregation.certificate.unwrap().signers(), seats([0, 1, 3, 4, 6]));
    assert_eq!(aggregation.liars, seats([2, 5]));
    list[0] = attestation(&committee, 1);
    list[0].seat = SeatIndex(0);
    let aggregation = run(&committee, list);
    let expected = Error::BelowQuorum { signers: seats([1, 3, 4, 6]), missing: seats([0, 2, 5]), quorum: 5 };
    assert_eq!(expected.to_string(), "4 signatures, quorum is 5; missing seats: 0, 2, 5");
    assert_eq!(aggregation.certificate, Err(expected));
    assert_eq!(aggregation.liars, seats([0, 2, 5]));
}

#[test]
fn one_liar_among_each_size_is_named() {
    for members in [4, 7, 32, 128] {
        let committee = committee(members);
        let liar = members / 2;
        let mut list: Vec<_> = (0..members).map(|seat| attestation(&committee, seat)).collect();
        list[usize::from(liar)] = lie(&committee, liar);
        let aggregation = run(&committee, list);
        assert_eq!(aggregation.liars, seats([liar]));
        assert_eq!(aggregation.certificate.unwrap().signers().len(), usize::from(members) - 1);
    }
}

#[test]
fn a_seat_with_two_signatures_is_named_and_its_good_one_counts() {
    let committee = committee(4);
    for order in [[0, 1], [1, 0]] {
        let both = [attestation(&committee, 1), lie(&committee, 1)];
        let list = [attestation(&committee, 0), both[order[0]], both[order[1]], attestation(&committee, 3)];
        let aggregation = run(&committee, list.to_vec());
        assert_eq!(aggregation.certificate.unwrap().signers(), seats([0, 1, 3]));
        assert_eq!(aggregation.liars, seats([1]));
    }
}

/// Two colluders whose errors cancel: the sum is what honest signatures would sum to.
#[test]
fn errors_that_cancel_are_a_valid_aggregate() {
    let committee = committee(4);
    let honest = [0, 1].map(|seat| attestation(&committee, seat).signature.decode().unwrap());
    let error = lie(&committee, 0).signature.decode().unwrap();
    let mut minus_error = error.to_bytes();
    minus_error.0[0] ^= 0x20; // the sign bit of y
    let shifted = |by: &Signature, of: &Signature| Signature::sum([by, of]).unwrap().to_bytes();
    let mut list: Vec<_> = (0..4).map(|seat| attestation(&committee, seat)).collect();
    list[0].signature = shifted(&error, &honest[0]);
    list[1].signature = shifted(&minus_error.decode().unwrap(), &honest[1]);
    assert!(list[0].verify(&committee).is_err() && list[1].verify(&committee).is_err());
    let aggregation = run(&committee, list.clone());
    assert_eq!(aggregation.certificate.unwrap().into_certificate(), certificate(&committee, 0..4));
    assert!(aggregation.liars.is_empty());
    list.remove(1);
    assert_eq!(run(&committee, list).liars, seats([0]));
}

#[test]
fn other_batches_and_unknown_seats_are_nobodys_lie() {
    let committee = committee(4);
    let mut list: Vec<_> = (0..4).map(|seat| attestation(&committee, seat)).collect();
    let expected = list[0].batch_id;
    list[0].batch_id = BatchId([0; 32]);
    list[2].seat = SeatIndex(256);
    list.push(attestation(&committee, 2));
    let aggregation = run(&committee, list);
    assert_eq!(aggregation.certificate.unwrap().signers(), seats([1, 2, 3]));
    assert!(aggregation.liars.is_empty());
    let unknown = Error::UnknownSeat { seat: SeatIndex(256), members: 4 };
    let other = Error::BatchMismatch { expected, found: BatchId([0; 32]) };
    assert_eq!(aggregation.ignored, [other, unknown]);
}

#[test]
fn nothing_is_below_quorum_and_names_everyone() {
    let committee = committee(4);
    let expected = Error::BelowQuorum { signers: vec![], missing: seats(0..4), quorum: 3 };
    assert_eq!(run(&committee, vec![]).certificate, Err(expected));
}

#[test]
fn a_liar_below_quorum_is_named_too() {
    let committee = committee(4);
    let aggregation = run(&committee, vec![attestation(&committee, 0), lie(&committee, 1)]);
    assert_eq!(aggregation.liars, seats([1]));
    let expected = Error::BelowQuorum { signers: seats([0]), missing: seats([1, 2, 3]), quorum: 3 };
    assert_eq!(aggregation.certificate, Err(expected));
}

#[test]
fn statement_of_another_committee_is_refused_first() {
    let committee = committee(4);
    let other = Statement { epoch: Epoch(9), ..statement(&committee) };
    let Aggregation { certificate, .. } = aggregate(&committee, &other, [attestation(&committee, 0)]);
    assert!(matches!(certificate, Err(Error::EpochMismatch { found: Epoch(9), .. })));
    let other = Statement { committee_hash: CommitteeHash([0; 32]), ..statement(&committee) };
    let Aggregation { certificate, .. } = aggregate(&committee, &other, []);
    assert!(matches!(certificate, Err(Error::CommitteeHashMismatch { .. })));
}

/// A quorum of colluders whose keys cancel has true signatures, yet no certificate that others would take.
#[test]
fn a_quorum_whose_keys_cancel_certifies_nothing() {
    use crate::testing::{DOMAIN, EPOCH, member};
    use crate::{Address, SecretKey, Thresholds};
    let mut one = [0; 32];
    one[31] = 1;
    let order_less_one = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000";
    let secrets = [one, hex::decode(order_less_one).unwrap().try_into().unwrap(), [3; 32]];
    let keys = secrets.map(|secret| SecretKey::from_bytes(&secret).unwrap());
    let members = keys.iter().map(|key| member(key, Address::ZERO)).collect();
    let committee = Committee::new(EPOCH, DOMAIN, Thresholds::new(3, 1, 2).unwrap(), members).unwrap();
    let attest =
        |seat: u16| keys[usize::from(seat)].attest(&statement(&committee), &DOMAIN, SeatIndex(seat)).unwrap();
    let aggregation = run(&committee, vec![attest(0), attest(1)]);
    assert_eq!(aggregation.certificate, Err(Error::FalseCertificate));
    assert!(aggregation.liars.is_empty());
    assert!(run(&committee, vec![attest(0), attest(1), attest(2)]).certificate.is_ok());
}
