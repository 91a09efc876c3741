//! A set of seats (or piece indices) below 256, as four words.

use parity_scale_codec::{Decode, Encode};

/// Which seats of a committee, or which pieces of a stripe. Members of the set are below 256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SeatSet([u64; 4]);

impl SeatSet {
    /// The empty set.
    pub const EMPTY: SeatSet = SeatSet([0; 4]);

    /// Adds a seat; false when it was in already, or is 256 or more.
    pub fn insert(&mut self, seat: u16) -> bool {
        let (word, bit) = (usize::from(seat / 64), 1u64 << (seat % 64));
        match self.0.get_mut(word) {
            Some(w) if *w & bit == 0 => {
                *w |= bit;
                true
            }
            _ => false,
        }
    }

    /// Takes a seat out.
    pub fn remove(&mut self, seat: u16) {
        if let Some(w) = self.0.get_mut(usize::from(seat / 64)) {
            *w &= !(1u64 << (seat % 64));
        }
    }

    /// Whether a seat is in.
    pub fn contains(&self, seat: u16) -> bool {
        self.0.get(usize::from(seat / 64)).is_some_and(|w| w & (1u64 << (seat % 64)) != 0)
    }

    /// How many seats are in.
    pub fn len(&self) -> u16 {
        let ones: u32 = self.0.iter().map(|w| w.count_ones()).sum();
        u16::try_from(ones).expect("at most 256 bits")
    }

    /// Whether none is in.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The seats, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..256u16).filter(|seat| self.contains(*seat))
    }
}

impl FromIterator<u16> for SeatSet {
    fn from_iter<I: IntoIterator<Item = u16>>(seats: I) -> Self {
        let mut set = SeatSet::EMPTY;
        for seat in seats {
            set.insert(seat);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_every_seat_once_and_nothing_above() {
        let mut set = SeatSet::EMPTY;
        assert!((0..256).all(|seat| set.insert(seat)));
        assert!((0..300).all(|seat| !set.insert(seat)));
        assert_eq!(set.len(), 256);
        set.remove(77);
        assert!(!set.contains(77) && !set.contains(256));
        assert_eq!(set.iter().count(), 255);
    }
}
