//! The way out where a pivot vanishes: sparse elimination of single rows, with row exchanges.
//!
//! Columns go in the order of the [`Pattern`]; of the rows that hold a column, the pivot is the
//! shortest among those within [`THRESHOLD`] of the largest entry (J. A. Markowitz, *The
//! elimination form of the inverse*, Management Science 3, 1957). It finds its pattern as it goes
//! and is a hundred times slower than [`Pattern::factor`], which is why it is only a way out.

use std::collections::BTreeSet;

use crate::sparse::Pattern;

/// The least share of a column's largest entry that a pivot may have.
const THRESHOLD: f64 = 0.1;

/// A row of the matrix: columns, ascending, with their values.
type Row = Vec<(u32, f64)>;

/// Solves with blocks that are not factored, in place; the vector is in the order of places. What a
/// singular matrix leaves open is not finite.
pub fn solve<const B: usize>(pattern: &Pattern, blocks: &[[[f64; B]; B]], x: &mut [[f64; B]]) {
    let count = pattern.rows() * B;
    let mut rows: Vec<Row> = Vec::with_capacity(count);
    for place in 0..pattern.rows() {
        rows.extend((0..B).map(|r| {
            let entries = pattern.row(place).flat_map(|block| {
                let column = pattern.column(block) * B;
                (0..B).map(move |c| ((column + c) as u32, blocks[block][r][c]))
            });
            entries.filter(|&(_, value)| value != 0.0).collect()
        }));
    }
    let mut right: Vec<f64> = x.iter().flatten().copied().collect();
    let order = eliminate(&mut rows, &mut right);
    for (column, &row) in order.iter().enumerate().rev() {
        let Some(row) = row else {
            x[column / B][column % B] = f64::NAN;
            continue;
        };
        let (mut sum, mut pivot) = (right[row], 1.0);
        for &(at, value) in &rows[row] {
            let at = at as usize;
            if at == column {
                pivot = value;
            } else {
                sum -= value * x[at / B][at % B];
            }
        }
        x[column / B][column % B] = sum / pivot;
    }
}

/// Brings the rows into triangular form; gives the pivot row of each column.
fn eliminate(rows: &mut [Row], right: &mut [f64]) -> Vec<Option<usize>> {
    let mut holders: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); rows.len()];
    for (row, entries) in rows.iter().enumerate() {
        for &(column, _) in entries {
            holders[column as usize].insert(row);
        }
    }
    let mut order = vec![None; rows.len()];
    for column in 0..rows.len() {
        let value = |row: usize, rows: &[Row]| {
            let at = rows[row].binary_search_by_key(&(column as u32), |entry| entry.0);
            at.map_or(0.0, |at| rows[row][at].1)
        };
        let held: Vec<usize> = std::mem::take(&mut holders[column]).into_iter().collect();
        let largest = held.iter().fold(0.0_f64, |most, &row| most.max(value(row, rows).abs()));
        let strong =
            |&&row: &&usize| largest > 0.0 && value(row, rows).abs() >= THRESHOLD * largest;
        let Some(&pivot) = held.iter().filter(strong).min_by_key(|&&row| rows[row].len()) else {
            continue;
        };
        order[column] = Some(pivot);
        let own = rows[pivot].clone();
        for &(other, _) in &own {
            holders[other as usize].remove(&pivot);
        }
        for &row in held.iter().filter(|&&row| row != pivot) {
            let factor = value(row, rows) / value(pivot, rows);
            right[row] -= factor * right[pivot];
            let sum = subtract(&rows[row], &own, factor, column as u32);
            for &(other, _) in &sum {
                holders[other as usize].insert(row);
            }
            rows[row] = sum;
        }
    }
    order
}

/// `a - factor b` without the entry of a column.
fn subtract(a: &Row, b: &Row, factor: f64, without: u32) -> Row {
    let mut sum = Row::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let in_a = a.get(i).map_or(u32::MAX, |entry| entry.0);
        let in_b = b.get(j).map_or(u32::MAX, |entry| entry.0);
        let column = in_a.min(in_b);
        let mut value = 0.0;
        if in_a == column {
            value += a[i].1;
            i += 1;
        }
        if in_b == column {
            value -= factor * b[j].1;
            j += 1;
        }
        if column != without {
            sum.push((column, value));
        }
    }
    sum
}
