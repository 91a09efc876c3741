//! Who signed a certificate: one bit per seat, least significant first, `ceil(n / 8)` bytes.
//!
//! A [`Signers`] in memory has 1 to 32 bytes and at least one bit set. Whether it fits a committee is asked when the
//! committee is at hand: [`Signers::seats`].

use parity_scale_codec::{Compact, Decode, Encode, Input};

use crate::{Committee, Error, SeatIndex};

/// Bytes of the bitmap of the largest committee.
pub const SIGNERS_BYTES_MAX: usize = 32;

/// The bitmap of signers. SCALE: compact length (one byte) and the bytes; JSON: hex.
#[derive(Clone, PartialEq, Eq, Hash, Encode)]
pub struct Signers(Vec<u8>);

impl Signers {
    /// Takes a bitmap as it travels.
    ///
    /// # Errors
    /// [`Error::MalformedEncoding`] unless it has 1 to 32 bytes and a bit set.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() || bytes.len() > SIGNERS_BYTES_MAX {
            return Err(Error::malformed("bitmap", format!("{} bytes, expected 1 to 32", bytes.len())));
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(Error::malformed("bitmap", "no signer"));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bitmap of `seats` in a committee of `members`.
    ///
    /// # Errors
    /// [`Error::UnknownSeat`], [`Error::MalformedEncoding`] when there are no seats or too many members.
    pub fn from_seats(members: u16, seats: impl IntoIterator<Item = SeatIndex>) -> Result<Self, Error> {
        let mut bytes = vec![0; usize::from(members).div_ceil(8)];
        for seat in seats {
            if seat.0 >= members {
                return Err(Error::UnknownSeat { seat, members });
            }
            bytes[usize::from(seat.0 / 8)] |= 1 << (seat.0 % 8);
        }
        Self::from_bytes(&bytes)
    }

    /// The bytes as they travel.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Signers, at least 1.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Who signed, in seat order, once the bitmap is known to fit `committee`.
    ///
    /// # Errors
    /// [`Error::BitmapLength`], [`Error::UnknownSeat`] for a spare bit that is set.
    pub fn seats(&self, committee: &Committee) -> Result<Vec<SeatIndex>, Error> {
        let members = committee.thresholds().members();
        let (bytes_expected, bytes_found) = (usize::from(members).div_ceil(8), self.0.len());
        if bytes_found != bytes_expected {
            return Err(Error::BitmapLength { bytes_expected, bytes_found });
        }
        let signed = |seat: &SeatIndex| self.0[usize::from(seat.0 / 8)] >> (seat.0 % 8) & 1 == 1;
        let seats: Vec<_> =
            (0..).zip(0..8 * bytes_found).map(|(seat, _)| SeatIndex(seat)).filter(signed).collect();
        match seats.last() {
            Some(last) if last.0 >= members => Err(Error::UnknownSeat { seat: *last, members }),
            _ => Ok(seats),
        }
    }
}

impl Decode for Signers {
    fn decode<I: Input>(input: &mut I) -> Result<Self, parity_scale_codec::Error> {
        let Compact(length) = Compact::<u32>::decode(input)?;
        let mut bytes = [0; SIGNERS_BYTES_MAX];
        // The bound comes before any buffer: a length from outside allocates nothing.
        let bytes = usize::try_from(length).ok().and_then(|length| bytes.get_mut(..length));
        let bytes = bytes.ok_or("bitmap of more than 32 bytes")?;
        input.read(bytes)?;
        Self::from_bytes(bytes).map_err(|_| "bitmap without a signer".into())
    }
}

impl std::fmt::Debug for Signers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signers(0x{})", hex::encode(&self.0))
    }
}

impl serde::Serialize for Signers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{}", hex::encode(&self.0)))
    }
}

impl<'de> serde::Deserialize<'de> for Signers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() <= 2 * SIGNERS_BYTES_MAX);
        let bytes = digits.and_then(|digits| hex::decode(digits).ok());
        let bytes = bytes.ok_or_else(|| D::Error::custom("bitmap is 0x and at most 64 hex digits"))?;
        Self::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
