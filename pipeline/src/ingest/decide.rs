//! Which tick a row belongs to, and whether it is taken at all. Pure arithmetic.

use schemas::time::Step;
use schemas::time::Timestamp;

/// The rules that one row is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The length of a tick.
    pub step: Step,
    /// A row older than this against its tick is refused, in milliseconds.
    pub lateness_ms: u64,
    /// A row further ahead of its own arrival than this is refused, in milliseconds.
    pub max_ahead_ms: u64,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It enters at this tick.
    Enters(Timestamp),
    /// It is too old to correct anything.
    TooLate(Timestamp),
    /// It claims to come from a future that its arrival contradicts.
    TooFarAhead,
}

/// Judges a row by its event time, its arrival, its partition's watermark, and the first tick still
/// open.
pub fn judge(
    rules: &Rules,
    event: Timestamp,
    arrived: Option<Timestamp>,
    watermark: Option<Timestamp>,
    open: Timestamp,
) -> Verdict {
    if arrived.is_some_and(|arrived| event > arrived.plus(rules.max_ahead_ms)) {
        return Verdict::TooFarAhead;
    }
    let by_event = rules.step.tick_of(event);
    let by_watermark = watermark.map_or(Timestamp(0), |w| rules.step.tick_of(w));
    let tick = by_event.max(by_watermark).max(open);
    // Lateness is judged against the partition's own progress, which a replay repeats.
    if event.plus(rules.lateness_ms) < by_event.max(by_watermark).max(open) {
        return Verdict::TooLate(tick);
    }
    Verdict::Enters(tick)
}

/// The last tick that a watermark closes.
pub fn closed_by(step: Step, watermark: Timestamp) -> Timestamp {
    Timestamp(watermark.0 / step.millis() * step.millis())
}

#[cfg(test)]
mod tests {
    use schemas::time::DEFAULT_STEP;

    use super::*;

    #[track_caller]
    fn check(
        event: u64,
        arrived: Option<u64>,
        watermark: Option<u64>,
        open: u64,
        expected: Verdict,
    ) {
        let rules = Rules { step: DEFAULT_STEP, lateness_ms: 60_000, max_ahead_ms: 300_000 };
        let (arrived, watermark) = (arrived.map(Timestamp), watermark.map(Timestamp));
        let verdict = judge(&rules, Timestamp(event), arrived, watermark, Timestamp(open));
        assert_eq!(verdict, expected);
    }

    #[test]
    fn a_reading_on_time_enters_its_own_tick() {
        check(12_000, None, None, 0, Verdict::Enters(Timestamp(15_000)));
    }

    #[test]
    fn a_reading_behind_the_watermark_enters_the_open_tick() {
        check(12_000, None, Some(31_000), 0, Verdict::Enters(Timestamp(35_000)));
    }

    #[test]
    fn a_reading_behind_a_tick_closed_by_patience_enters_the_open_tick() {
        check(12_000, None, Some(12_000), 50_000, Verdict::Enters(Timestamp(50_000)));
    }

    #[test]
    fn a_reading_behind_lateness_is_refused() {
        check(12_000, None, Some(100_000), 0, Verdict::TooLate(Timestamp(105_000)));
    }

    #[test]
    fn a_reading_a_day_ahead_of_its_arrival_is_refused() {
        check(86_400_000, Some(0), None, 0, Verdict::TooFarAhead);
        check(86_400_000, None, None, 0, Verdict::Enters(Timestamp(86_405_000)));
    }
}
