use super::*;

fn parts(thresholds: Thresholds) -> (u16, u16, u16) {
    (thresholds.members(), thresholds.minimum_shards(), thresholds.quorum())
}

#[test]
fn refuses_what_contradicts_itself() {
    for (members, minimum_shards, quorum) in [
        (0, 0, 0),
        (0, 1, 1),
        (7, 0, 5),
        (7, 0, 0),
        (7, 6, 5),
        (7, 3, 8),
        (257, 3, 5),
        (u16::MAX, 1, u16::MAX),
    ] {
        let expected = Error::InvalidThresholds { members: members.into(), minimum_shards, quorum };
        assert_eq!(Thresholds::new(members, minimum_shards, quorum), Err(expected));
    }
    for (members, minimum_shards, quorum) in [(1, 1, 1), (256, 256, 256), (256, 1, 1), (7, 7, 7)] {
        assert!(Thresholds::new(members, minimum_shards, quorum).is_ok());
    }
}

#[test]
fn default_profile_of_known_sizes() {
    for (members, minimum_shards, quorum) in [
        (1, 1, 1),
        (2, 1, 2),
        (3, 1, 3),
        (4, 2, 3),
        (7, 3, 5),
        (16, 6, 11),
        (32, 11, 22),
        (128, 43, 86),
        (256, 86, 171),
    ] {
        let thresholds = Thresholds::default_for(members).unwrap();
        assert_eq!(parts(thresholds), (members, minimum_shards, quorum));
        assert!(thresholds.warnings().is_empty());
    }
    assert!(Thresholds::default_for(0).is_err());
    assert!(Thresholds::default_for(257).is_err());
}

#[test]
fn any_trust_needs_two_members() {
    assert_eq!(parts(Thresholds::any_trust(7).unwrap()), (7, 1, 6));
    assert_eq!(Thresholds::any_trust(7).unwrap().honest_members_needed(), 2);
    assert!(Thresholds::any_trust(1).is_err());
    assert!(Thresholds::any_trust(0).is_err());
}

#[test]
fn algebra_of_seven_members() {
    let thresholds = Thresholds::default_for(7).unwrap();
    assert_eq!(thresholds.offline_members_tolerated(), 2);
    assert_eq!(thresholds.lying_signers_tolerated(), 2);
    assert_eq!(thresholds.honest_members_needed(), 5);
    assert_eq!(thresholds.honest_members_needed_while_hot(), 3);
    assert_eq!(thresholds.spare_pieces(), 2);
    assert_eq!(thresholds.pieces_sent(), 5);
    assert!((thresholds.sender_upload_ratio() - 5.0 / 3.0).abs() < 1e-12);
}

/// Counts instead of subtracting: for every committee of up to 12 members, tries every number of liars.
#[test]
fn algebra_agrees_with_counting_holders() {
    for members in 1..=12u16 {
        for quorum in 1..=members {
            for minimum_shards in 1..=quorum {
                let thresholds = Thresholds::new(members, minimum_shards, quorum).unwrap();
                let readable = |liars: u16| quorum.saturating_sub(liars) >= minimum_shards;
                let tolerated = (0..=members).take_while(|liars| readable(*liars)).last().unwrap();
                assert_eq!(thresholds.lying_signers_tolerated(), tolerated);
                // The fewest honest members among all for which even the worst choice of signers leaves k holders.
                let safe = |honest: u16, holders: u16| quorum.saturating_sub(members - honest) >= holders;
                let needed = (1..=members).find(|honest| safe(*honest, minimum_shards)).unwrap();
                assert_eq!(thresholds.honest_members_needed(), needed);
                let needed_while_hot = (1..=members).find(|honest| safe(*honest, 1)).unwrap();
                assert_eq!(thresholds.honest_members_needed_while_hot(), needed_while_hot);
                let offline = (0..=members).filter(|offline| members - offline >= quorum).max().unwrap();
                assert_eq!(thresholds.offline_members_tolerated(), offline);
                assert!(thresholds.pieces_sent() <= members);
                assert_eq!(thresholds.warnings().len(), usize::from(2 * quorum <= members));
            }
        }
    }
}

#[test]
fn json_is_checked_on_reading() {
    let json = r#"{"members":7,"minimum_shards":3,"quorum":5}"#;
    let thresholds: Thresholds = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&thresholds).unwrap(), json);
    assert!(serde_json::from_str::<Thresholds>(&json.replace('5', "8")).is_err());
    assert!(serde_json::from_str::<Thresholds>(&json.replace("{", "{\"f\":2,")).is_err());
}
