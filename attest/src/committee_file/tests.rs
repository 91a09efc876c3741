use super::*;
use crate::testing::committee;

fn file(members: u16) -> CommitteeFile {
    let committee = committee(members);
    let entry = |(seat, member): (usize, &Member)| MemberEntry {
        name: (seat == 0).then(|| "first".to_owned()),
        operator: member.operator,
        public_key: member.public_key.to_bytes(),
        proof_of_possession: member.proof_of_possession,
        peer_id: (seat == 1).then(|| "12D3KooW".to_owned()),
        addresses: vec![format!("/ip4/127.0.0.1/tcp/{seat}"); seat],
        api: (seat == 2).then(|| "http://127.0.0.1:8547".to_owned()),
    };
    CommitteeFile {
        epoch: committee.epoch(),
        chain_id: committee.domain().chain_id,
        registry: committee.domain().registry,
        minimum_shards: committee.thresholds().minimum_shards(),
        quorum: committee.thresholds().quorum(),
        members: committee.members().iter().enumerate().map(entry).collect(),
    }
}

#[test]
fn file_gives_the_committee_back() {
    let file = file(7);
    let json = file.to_json();
    assert!(json.ends_with("}\n"));
    assert_eq!(CommitteeFile::from_json(&json), Ok(file));
    assert_eq!(CommitteeFile::from_json(&json).unwrap().check(), Ok(committee(7)));
}

#[test]
fn refuses_unknown_and_missing_fields() {
    let json = file(3).to_json();
    for (from, to) in
        [("\"epoch\"", "\"epoc\""), ("\"operator\"", "\"operater\""), ("{", "{\"members_max\": 9,")]
    {
        let refused = CommitteeFile::from_json(&json.replacen(from, to, 1));
        let Err(Error::MalformedEncoding { what: "committee file", detail }) = refused else {
            panic!("{refused:?}")
        };
        assert!(detail.contains("unknown field") && detail.contains("line"), "{detail}");
    }
    let refused = CommitteeFile::from_json(&json.replacen("0x", "", 1));
    assert!(
        refused.unwrap_err().to_string().contains("Address is 0x and 40 hex digits, found 40 characters")
    );
}

#[test]
fn refuses_thresholds_before_keys() {
    let mut wrong = file(3);
    wrong.members[0].public_key = PublicKeyBytes::ZERO;
    wrong.quorum = 4;
    let expected = Error::InvalidThresholds { members: 3, minimum_shards: 1, quorum: 4 };
    assert_eq!(wrong.check(), Err(expected));
    wrong.members = vec![wrong.members[0].clone(); 65_537];
    let expected = Error::InvalidThresholds { members: 65_537, minimum_shards: 1, quorum: 4 };
    assert_eq!(wrong.check(), Err(expected));
    wrong.members.clear();
    assert!(matches!(wrong.check(), Err(Error::InvalidThresholds { members: 0, .. })));
}

#[test]
fn names_the_seat_of_a_bad_key() {
    let mut wrong = file(3);
    wrong.members[2].public_key = PublicKeyBytes::ZERO;
    let error = wrong.check().unwrap_err();
    assert_eq!(error.to_string(), "seat 2: public key is not a valid G2 point: not an encoding");
    let mut wrong = file(3);
    wrong.members[1].operator = Address::ZERO;
    let reason = Box::new(Error::InvalidPossession);
    assert_eq!(wrong.check(), Err(Error::Member { seat: SeatIndex(1), reason }));
}
