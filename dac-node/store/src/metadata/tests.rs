use proptest::prelude::*;

use super::*;

/// Gives a store another format version.
pub(crate) fn write_format(directory: &dyn Directory, version: u64) {
    let ballast = Arc::new(Ballast::open(directory, 0).unwrap());
    let metadata = Metadata::open(directory, 1 << 20, Arc::default(), ballast, Arc::default()).unwrap();
    let transaction = metadata.begin_write().unwrap();
    transaction.open_table(NUMBERS).unwrap().insert(FORMAT, version).unwrap();
    transaction.commit().unwrap();
}

proptest! {
    #[test]
    fn row_with_a_flipped_bit_is_refused(value: Vec<u64>, at: prop::sample::Index, bit in 0..8_u32) {
        let mut row = encode(&value);
        prop_assert_eq!(decode::<Vec<u64>>("it", &row).unwrap(), value);
        let at = at.index(row.len());
        row[at] ^= 1_u8 << bit;
        prop_assert!(decode::<Vec<u64>>("it", &row).is_err());
        prop_assert!(decode::<Vec<u64>>("it", &row[..at.min(3)]).is_err());
    }
}
