//! What a wrong value probably is, by the size of its error.

use std::fmt::Display;
use std::fmt::Formatter;

use crate::estimation::row::Row;

/// How far an error may be from what a cause would make of it, in standard deviations.
const CLOSE: f64 = 3.0;
/// Factors of units taken for one another, and of a voltage to ground for one between conductors.
const FACTORS: [f64; 8] =
    [10.0, 0.1, 100.0, 0.01, 1000.0, 0.001, 1.732_050_807_568_877_2, 0.577_350_269_189_625_8];

/// What a wrong value probably is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// It has the wrong sign: the meter is connected or read the other way round.
    SignFlipped,
    /// It reads zero although there is something: a dead channel.
    StuckAtZero,
    /// It is this many times what it should be: a unit or a ratio.
    Scaled(f64),
    /// Nothing of that.
    Spike,
}

impl Display for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::SignFlipped => write!(f, "its sign is wrong"),
            Cause::StuckAtZero => write!(f, "it is stuck at zero"),
            // Four digits of √3, none of a thousand.
            Cause::Scaled(by) => {
                write!(f, "it is {} times what it should be", (by * 1e4).round() / 1e4)
            }
            Cause::Spike => write!(f, "its value is off"),
        }
    }
}

impl Cause {
    /// What makes a value have an error, known but for a deviation; nothing if none of what meters
    /// do does. A flipped sign and a dead channel are asked first: they are what meters do.
    pub fn of(value: f64, error: f64, deviation: f64, sigma: f64) -> Option<Cause> {
        let close = |expected: f64| (error - expected).abs() < CLOSE * deviation;
        if value.abs() < sigma && value.abs() < 0.1 * error.abs() {
            // The true value is the error itself.
            return Some(Cause::StuckAtZero);
        }
        if close(2.0 * value) {
            return Some(Cause::SignFlipped);
        }
        let off = |by: &f64| (error - value * (1.0 - 1.0 / by)).abs();
        let best = FACTORS.into_iter().min_by(|a, b| off(a).total_cmp(&off(b)))?;
        close(value * (1.0 - 1.0 / best)).then_some(Cause::Scaled(best))
    }
}

/// The cause of a row's error, and the members whose error it may be.
pub(super) fn among(row: &Row, values: &[f64], error: f64, deviation: f64) -> (Cause, Vec<usize>) {
    let mut found: Option<Cause> = None;
    let mut culprits = Vec::new();
    for &(meter, factor) in &row.members {
        let value = factor * values[meter];
        let Some(cause) = Cause::of(value, error, deviation, row.sigma) else { continue };
        if found.is_none_or(|known| rank(cause) < rank(known)) {
            found = Some(cause);
            culprits.clear();
        }
        if found.is_some_and(|known| rank(known) == rank(cause)) {
            culprits.push(meter);
        }
    }
    if culprits.is_empty() {
        culprits = row.members.iter().map(|&(meter, _)| meter).collect();
    }
    (found.unwrap_or(Cause::Spike), culprits)
}

/// Which of several causes is the more usual.
fn rank(cause: Cause) -> u8 {
    match cause {
        Cause::SignFlipped => 0,
        Cause::StuckAtZero => 1,
        Cause::Scaled(_) => 2,
        Cause::Spike => 3,
    }
}
