//! Who may be absent: every kind of set, of committees of every size, with the quorum that is usual and with the lowest one.
//!
//! The verifier adds the keys of the absent to the negated sum of all, or sums those of the signers where they are fewer; so
//! the sets lie on both sides of half, on it, at both ends and anywhere.

use std::collections::BTreeSet;

use alloy_primitives::{B256, keccak256};
use attest::{Attestation, Error, SeatIndex, Signers, Statement, Thresholds, aggregate};
use contracts::CertificateVerifier::{BelowQuorum, FalseCertificate};

use super::shared::*;

type Seats = BTreeSet<u16>;

/// Random sets for each committee.
const RANDOM_SETS: u16 = 8;

fn one_in(step: u16, first: u16, members: u16) -> Seats {
    (first..members).step_by(usize::from(step)).collect()
}

/// `count` seats in a row from `first` on, past the last seat on from seat 0.
fn block(first: u16, count: u16, members: u16) -> Seats {
    (0..count).map(|i| (first + i) % members).collect()
}

/// Sets of at most `tolerated` absent seats, by what they are.
fn absentees(members: u16, tolerated: u16) -> Vec<(String, Seats)> {
    let (last, middle) = (members - 1, members / 2);
    let most = |seats: Seats| seats.into_iter().take(usize::from(tolerated)).collect::<Seats>();
    let mut sets = vec![
        ("nobody".to_owned(), Seats::new()),
        ("the first".to_owned(), most([0].into())),
        ("the last".to_owned(), most([last].into())),
        ("the middle one".to_owned(), most([middle].into())),
        ("both ends".to_owned(), most([0, last].into())),
        ("every other one from the first".to_owned(), most(one_in(2, 0, members))),
        ("every other one from the second".to_owned(), most(one_in(2, 1, members))),
        ("every third".to_owned(), most(one_in(3, 2, members))),
    ];
    let quarter = (members / 4).max(1);
    for first in (0..members).step_by(usize::from(quarter)) {
        for count in [tolerated, tolerated.min(quarter)] {
            sets.push((format!("{count} in a row from {first}"), block(first, count, members)));
        }
    }
    // About half: where the verifier goes over from one sum to the other.
    for count in [middle.saturating_sub(1), middle, middle + 1].map(|count| count.min(tolerated)) {
        sets.push((format!("{count} at the end"), block(members - count, count, members)));
    }
    for number in 0..RANDOM_SETS {
        let seed = |what: u16| keccak256(format!("{members} {tolerated} {number} {what}"));
        let mut seats: Vec<u16> = (0..members).collect();
        seats.sort_by_key(|seat| seed(*seat));
        // As many as may be absent, or any number.
        let any = u16::from_be_bytes([seed(members)[0], seed(members)[1]]) % (tolerated + 1);
        seats.truncate(usize::from(if number % 2 == 0 { tolerated } else { any }));
        sets.push((format!("random set {number}"), seats.into_iter().collect()));
    }
    sets
}

/// The certificate is accepted, on L1 and by `attest`, and is of those signers: of others with as many it is false, and of
/// one fewer than the quorum it is refused for that.
fn accepts_exactly(
    installed: &mut Installed,
    statement: &Statement,
    signed: &[Attestation],
    what: &str,
    absent: &Seats,
) {
    let members = installed.seats.members();
    let quorum = installed.committee.thresholds().quorum();
    let present: Seats = (0..members).filter(|seat| !absent.contains(seat)).collect();
    let attestations = present.iter().map(|seat| signed[usize::from(*seat)]).collect::<Vec<_>>();
    let certificate =
        aggregate(&installed.committee, statement, attestations).certificate.unwrap().into_certificate();
    certificate.verify(&installed.committee).unwrap();
    let batch_id = installed.settlement.verify(&certificate).map(|receipt| receipt.output);
    assert_eq!(
        batch_id.ok(),
        Some(B256::from(certificate.batch_id().0)),
        "{members} members, absent: {what}"
    );

    let mut relabelled = |signers: &Seats| {
        let signers = Signers::from_seats(members, signers.iter().map(|seat| SeatIndex(*seat))).unwrap();
        let other = attest::Certificate { signers, ..certificate.clone() };
        let found = other.verify(&installed.committee).err();
        (installed.settlement.verify(&other), found)
    };
    // The lowest absent seat for the highest that signed.
    if let (Some(absent), Some(signer)) = (absent.first(), present.last()) {
        let mut others = present.clone();
        others.remove(signer);
        others.insert(*absent);
        let (found, here) = relabelled(&others);
        let FalseCertificate {} = refused(found);
        assert_eq!(here, Some(Error::FalseCertificate), "{what}");
    }
    if present.len() == usize::from(quorum) && quorum > 1 {
        let fewer = present.iter().skip(1).copied().collect();
        let (found, here) = relabelled(&fewer);
        let BelowQuorum { signers, quorum: needed } = refused(found);
        assert_eq!((signers.to::<u16>(), needed.to::<u16>()), (quorum - 1, quorum), "{what}");
        assert!(matches!(here, Some(Error::BelowQuorum { .. })), "{what}: {here:?}");
    }
}

fn accepts_every_kind(members: u16) {
    // The usual quorum, and any single member: then all but one may be absent.
    for thresholds in [Thresholds::default_for(members), Thresholds::new(members, 1, 1)] {
        let thresholds = thresholds.unwrap();
        let tolerated = members - thresholds.quorum();
        let mut installed = with_thresholds(thresholds);
        let statement = installed.certify(0..members).statement;
        let domain = *installed.committee.domain();
        // Each signs once: what differs is whose signatures are summed.
        let attest = |seat| installed.seats.key(seat).attest(&statement, &domain, SeatIndex(seat)).unwrap();
        let signed: Vec<Attestation> = (0..members).map(attest).collect();
        let mut sizes = BTreeSet::new();
        for (what, absent) in absentees(members, tolerated) {
            sizes.insert(absent.len());
            accepts_exactly(&mut installed, &statement, &signed, &what, &absent);
        }
        assert!(sizes.contains(&0) && sizes.contains(&usize::from(tolerated)), "{sizes:?}");
        assert!(tolerated < 2 || sizes.contains(&1), "{sizes:?}");
    }
}

#[test]
fn a_committee_of_one_needs_its_member() {
    accepts_every_kind(1);
}

#[test]
fn four_members_certify_without_any_they_can_spare() {
    accepts_every_kind(4);
}

#[test]
fn seven_members_certify_without_any_they_can_spare() {
    accepts_every_kind(7);
}

#[test]
fn thirty_two_members_certify_without_any_they_can_spare() {
    accepts_every_kind(32);
}

#[test]
fn a_hundred_and_twenty_eight_members_certify_without_any_they_can_spare() {
    accepts_every_kind(128);
}
