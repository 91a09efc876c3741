//! Streams lose, repeat and reorder nothing, whatever the stalls.

use std::collections::VecDeque;

use fpga_cores::bench::{settle, tick};
use fpga_cores::prelude::*;
use fpga_cores::stream::Pipe;
use fpga_cores::stream::fifo::Fifo;
use fpga_cores::stream::skid::SkidBuffer;
use fpga_cores::stream::width::ThroughBytes;
use proptest::prelude::*;

/// Every beat comes out once and in order; an offer stands until it is taken.
fn check<P: Pipe>(mut pipe: P, stalls: &[(bool, bool)]) {
    pipe.connect_all();
    let mut inside = VecDeque::new();
    let (mut next, mut standing) = (0x0123_4567_89ab_cdef_u64, None);
    for (offers, takes) in stalls {
        pipe.offer(next, *offers);
        pipe.take(*takes);
        settle(&mut pipe);
        let offered = pipe.offers();
        if standing.is_some() {
            assert_eq!(offered, standing, "an offer changed before it was taken");
        }
        standing = offered;
        if *takes && let Some(data) = offered {
            assert_eq!(inside.pop_front(), Some(data));
            standing = None;
        }
        if *offers && pipe.takes() {
            inside.push_back(next);
            next = next.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        }
        tick(&mut pipe);
    }
    // Nothing stays inside for ever.
    for _ in 0..200 {
        pipe.offer(0, false);
        pipe.take(true);
        settle(&mut pipe);
        if let Some(data) = pipe.offers() {
            assert_eq!(inside.pop_front(), Some(data));
        }
        tick(&mut pipe);
    }
    assert!(inside.is_empty(), "{} beats were lost", inside.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn skid_buffer_keeps_order(stalls: Vec<(bool, bool)>) {
        check(SkidBuffer::default(), &stalls);
    }

    #[test]
    fn fifo_keeps_order(stalls in proptest::collection::vec(any::<(bool, bool)>(), 0..300)) {
        check(Fifo::<3, 4>::default(), &stalls);
    }

    #[test]
    fn width_changers_undo_each_other(stalls in proptest::collection::vec(any::<(bool, bool)>(), 0..300)) {
        check(ThroughBytes::default(), &stalls);
    }
}

#[test]
fn a_skid_buffer_moves_a_beat_in_every_clock() {
    let mut skid = SkidBuffer::default();
    skid.connect_all();
    for clock in 0..50 {
        skid.offer(clock, true);
        skid.take(true);
        settle(&mut skid);
        assert!(skid.takes());
        assert_eq!(skid.offers(), clock.checked_sub(1));
        tick(&mut skid);
    }
}
