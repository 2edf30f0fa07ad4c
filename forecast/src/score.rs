//! How good a forecast was: scores that are kept up, never recomputed.
//!
//! A score must be the same whoever adds it up: on one worker or on four, over a restart, in any
//! order. Sums of floating-point numbers are not, so every sum here is a [`Sum`] in fixed point:
//! adding and merging in any order gives the same bits.
//!
//! Read in this order: [`Sum`] (what is added up), [`PointScore`] (errors of one number),
//! [`QuantileScore`] (errors of a distribution), [`Board`] (both, also by lead and by month),
//! [`diebold_mariano`] and [`Contest`] (is one model really better than another).
//!
//! # What is not printed
//!
//! MAPE divides by what was measured. Where a series crosses zero or comes near it, one hour
//! decides the mean of a year; there the score is absent, not large.
//!
//! # Bounds
//!
//! A [`PointScore`] is about 200 bytes for ever. A [`Board`] holds one for each lead that was ever
//! scored, up to [`LEADS_MAX`], and one for each of the last [`MONTHS_MAX`] months.

mod board;
mod contest;
mod losses;
mod point;
mod quantile;
mod sum;

pub use self::board::Board;
pub use self::board::LEADS_MAX;
pub use self::board::LeadSummary;
pub use self::board::MONTHS_MAX;
pub use self::board::Summary;
pub use self::contest::Contest;
pub use self::contest::DieboldMariano;
pub use self::contest::Rule;
pub use self::contest::Standing;
pub use self::contest::diebold_mariano;
pub use self::losses::CONTEST_DAYS;
pub use self::losses::Losses;
pub use self::losses::Verdict;
pub use self::point::NEAR_ZERO_SHARE;
pub use self::point::PointScore;
pub use self::point::skill;
pub use self::quantile::Coverage;
pub use self::quantile::QuantileScore;
pub use self::quantile::crps;
pub use self::quantile::pinball;
pub use self::sum::Sum;

/// Why a score could not be taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScoreError {
    /// The levels of two scores differ, or a forecast has another number of quantiles.
    #[error("{given} quantiles where {expected} levels are scored")]
    Levels {
        /// How many levels the score has.
        expected: usize,
        /// How many quantiles came.
        given: usize,
    },
    /// The levels do not ascend strictly between 0 and 1.
    #[error("quantile levels must ascend strictly between 0 and 1")]
    LevelOrder,
}
