//! When weather became known.
//!
//! A file of measured weather does not say what was forecast. The usual protocol takes what was
//! measured as the forecast; scores are then better than anybody will have (by 12 to 19 % of the
//! error where both could be compared), and whoever prints them says so. Even so it is known no
//! earlier than `horizon` steps before, step by step, so that no model sees a heat wave of next
//! week.

use crate::model::Said;

/// A column that is known ahead: its value for a step is issued `horizon` steps before (at the
/// first reading for what comes right after it).
///
/// `values[k]` is of index `first + k`; what is not finite is not said.
pub fn ahead(
    quantity: usize,
    first: i64,
    values: &[f64],
    horizon: usize,
) -> impl Iterator<Item = Said> + '_ {
    let issued = move |index: i64| (index - horizon as i64).max(first);
    said(quantity, first, values).map(move |word| Said { issued: issued(word.index), ..word })
}

/// A column that is measured: known when its step has ended.
pub fn measured(quantity: usize, first: i64, values: &[f64]) -> impl Iterator<Item = Said> + '_ {
    said(quantity, first, values)
}

fn said(quantity: usize, first: i64, values: &[f64]) -> impl Iterator<Item = Said> + '_ {
    let word = move |(at, value): (usize, &f64)| {
        let index = first + at as i64;
        Said { issued: index, quantity, index, value: *value as f32 }
    };
    values.iter().enumerate().filter(|(_, value)| value.is_finite()).map(word)
}

/// Puts words into the order in which they became known: by issue, then by step and quantity. Words
/// of one issue about the same step keep their order: of two, the later stands.
pub fn order(words: &mut [Said]) {
    words.sort_by_key(|word| (word.issued, word.index, word.quantity));
}
