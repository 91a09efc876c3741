//! Vectors and square matrices over the field, as small as the derivation needs them.

use crate::FieldElement;

pub(super) type Vector = Vec<FieldElement>;
pub(super) type Matrix = Vec<Vector>;

pub(super) fn dot(a: &[FieldElement], b: &[FieldElement]) -> FieldElement {
    assert_eq!(a.len(), b.len(), "a dot product takes two vectors of one length");
    a.iter().zip(b).fold(FieldElement::ZERO, |sum, (&a, &b)| sum + a * b)
}

/// `matrix * column`.
pub(super) fn times_column(matrix: &[Vector], column: &[FieldElement]) -> Vector {
    matrix.iter().map(|row| dot(row, column)).collect()
}

/// `row * matrix`; as many columns as the matrix has, which need not be square.
pub(super) fn row_times(row: &[FieldElement], matrix: &[Vector]) -> Vector {
    assert_eq!(row.len(), matrix.len(), "a row has one entry per row of the matrix");
    let column =
        |at: usize| row.iter().zip(matrix).fold(FieldElement::ZERO, |sum, (&r, line)| sum + r * line[at]);
    (0..matrix[0].len()).map(column).collect()
}

/// The inverse by elimination; `None` when the matrix is singular.
pub(super) fn inverse(matrix: &[Vector]) -> Option<Matrix> {
    let size = matrix.len();
    let unit = |at: usize| (0..size).map(move |i| FieldElement::from(u64::from(i == at)));
    let mut rows: Matrix =
        matrix.iter().enumerate().map(|(at, row)| row.iter().copied().chain(unit(at)).collect()).collect();
    for pivot in 0..size {
        let found = (pivot..size).find(|&row| rows[row][pivot] != FieldElement::ZERO)?;
        rows.swap(pivot, found);
        let scale = rows[pivot][pivot].inverse()?;
        rows[pivot].iter_mut().for_each(|entry| *entry = *entry * scale);
        let pivot_row = rows[pivot].clone();
        for row in rows.iter_mut().enumerate().filter_map(|(at, row)| (at != pivot).then_some(row)) {
            let factor = row[pivot];
            row.iter_mut().zip(&pivot_row).for_each(|(entry, &p)| *entry = *entry - factor * p);
        }
    }
    Some(rows.into_iter().map(|row| row[size..].to_vec()).collect())
}
