//! What may be learned from, of a history as it comes.
//!
//! Meters fall silent, stick, jump, and are moved to another feeder. What is learned from such
//! readings is forecast for weeks, so each reading is judged before it is learned from, with what
//! was known when it came: the online judgement is the one that counts, and [`judge`] over a whole
//! series is the same one with its later insight applied.
//!
//! ```text
//! reference_t = median of the same slot of the week, last four weeks
//! r_t = y_t - reference_t                     the seasonal residual
//! b_t = median of the last five accepted r    where the level is now
//! e_t = r_t - b_t                             what is new
//! outlier: |e_t| > max(8 s, 2 q)              s = 1.4826 median |e|, q = its quantile .995
//! ```
//!
//! That is Hampel's filter (Hampel, "The influence curve", JASA 1974; Davies and Gather, JASA 1993)
//! on the residual, with one addition: a scale that knows the rare but true. Heat waves and
//! holidays come a few hours a month; `q` has seen them, so a true peak passes and a spike does
//! not. With few weeks known the limit is wide: an outage in the first two months can pass.
//! Outliers of one sign for a whole day are no outliers: they are a [`Verdict::LevelShift`], and
//! what was kept of the old level is moved to the new one.
//!
//! A value that repeats is frozen where repeating is rare: the share of repeats is learned for each
//! hour of the day, and a run is told when the product of its chances falls below 1e-6. PV at night
//! and a load that is often zero are constant by nature; their first two or three nights are not
//! known to be.
//!
//! # Bounds
//!
//! Four values for each slot of the week (168 for hours, 672 for quarter hours, at most
//! [`SLOTS_MAX`]), a day of suspects and under a hundred numbers: 11 kB for hours, 43 kB for
//! quarter hours.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::drift::Marker;
use crate::series::DAY_MS;

/// Slots of a week that are kept: five minutes. A finer series shares them.
pub const SLOTS_MAX: usize = 2016;

/// Milliseconds of a week.
const WEEK_MS: i64 = 7 * DAY_MS;

/// Values that are kept of a slot; the median of four withstands one wrong week.
const WEEKS: usize = 4;

/// Accepted residuals that say where the level is.
const RECENT: usize = 5;

/// Residuals to see before any is called an outlier.
const JUDGED_MIN: u64 = 100;

/// A run must be this long at least, whatever its chance: two hours of quarter hours.
const RUN_MIN: u64 = 8;

/// Logarithm of the chance of a run below which it is frozen: one in a million.
const RUN_LOG_CHANCE: f64 = -13.8;

/// What a reading is, with what it was judged by. Values are in the unit of the series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// To be learned from.
    Good,
    /// There is no value.
    Missing,
    /// The value has repeated for too long.
    Frozen {
        /// The value.
        value: f64,
        /// How often it came in a row.
        run: u64,
    },
    /// The value is too far from what was due.
    Outlier {
        /// The value.
        value: f64,
        /// What was due.
        due: f64,
        /// How far it may be from that.
        limit: f64,
    },
    /// The series has moved to another level, for a day already; this value and later ones are
    /// good.
    LevelShift {
        /// The first instant at the new level, in milliseconds since the epoch.
        since_ms: i64,
        /// By how much it moved.
        size: f64,
        /// New level over old, where both are positive.
        ratio: Option<f64>,
    },
}

impl Verdict {
    /// Whether the reading is to be learned from.
    #[must_use]
    pub fn learns(self) -> bool {
        matches!(self, Self::Good | Self::LevelShift { .. })
    }

    /// The verdict in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Good => "as expected".to_owned(),
            Self::Missing => "no value".to_owned(),
            Self::Frozen { value, run } => {
                format!("{value} for {run} readings in a row, where repeating is rare: frozen")
            }
            Self::Outlier { value, due, limit } => {
                format!("{value:.6} where {due:.6} was due, give or take {limit:.6}: an outlier")
            }
            Self::LevelShift { size, ratio, .. } => match ratio {
                Some(ratio) => format!("for a day at {ratio:.2} times the level before: a shift"),
                None => format!("for a day {size:+.6} from the level before: a shift"),
            },
        }
    }
}

/// Judges one series, reading by reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    step_ms: i64,

    /// The last values of each slot of the week.
    weeks: Vec<VecDeque<f64>>,
    recent: VecDeque<f64>,
    middle: Marker,
    far: Marker,
    /// Instants and values that may be a new level, all on one side.
    suspects: Vec<Suspect>,
    run: Option<Run>,
    /// Of each hour of the day: repeats and readings, fading over two weeks of visits.
    repeats: Vec<(f64, f64)>,
}

/// A value that has come `n` times in a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    value: f64,
    n: u64,
    log_chance: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Suspect {
    at_ms: i64,
    value: f64,
    due: f64,
}

impl Quality {
    /// For a series of one reading every `step_ms` milliseconds.
    #[must_use]
    pub fn new(step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let slots = usize::try_from(WEEK_MS / step_ms).unwrap_or(SLOTS_MAX).clamp(1, SLOTS_MAX);
        Self {
            step_ms,
            weeks: vec![VecDeque::with_capacity(WEEKS); slots],
            recent: VecDeque::with_capacity(RECENT),
            middle: Marker::new(0.5),
            far: Marker::new(0.995),
            suspects: Vec::new(),
            run: None,
            // As if one of four had repeated: the first night of a PV plant is judged mildly.
            repeats: vec![(0.25, 1.0); 24],
        }
    }

    /// Judges the next reading at `at_ms` (milliseconds since the epoch on the clock of the
    /// series), in order of time; none and what is not finite is missing.
    pub fn observe(&mut self, at_ms: i64, value: Option<f64>) -> Verdict {
        let Some(value) = value.filter(|value| value.is_finite()) else { return Verdict::Missing };
        if let Some(run) = self.frozen(at_ms, value) {
            return Verdict::Frozen { value, run };
        }
        let slot = self.slot(at_ms);
        let Some(reference) = median(self.weeks[slot].iter().copied()) else {
            self.keep(slot, value);
            return Verdict::Good;
        };
        let level = median(self.recent.iter().copied()).unwrap_or(0.0);
        let due = reference + level;
        let new = (value - due).abs();
        match self.limit().filter(|limit| new > *limit) {
            None => {
                self.forgive();
                self.middle.observe(new);
                self.far.observe(new);
                self.accept(slot, value, value - reference);
                Verdict::Good
            }
            Some(limit) => self.suspect(Suspect { at_ms, value, due }, limit),
        }
    }

    /// Judges a reading that came before and is otherwise now, by what is known by now; nothing is
    /// learned from it. `before` are the accepted readings before it with their instants, the
    /// newest first. Whether it is frozen only those who come with it can say.
    #[must_use]
    pub fn judge_again(
        &self,
        at_ms: i64,
        value: f64,
        before: impl Iterator<Item = (i64, f64)>,
    ) -> Verdict {
        let reference = |at_ms: i64| median(self.weeks[self.slot(at_ms)].iter().copied());
        let Some((own, limit)) = reference(at_ms).zip(self.limit()) else { return Verdict::Good };
        let residuals = before.filter_map(|(at_ms, value)| Some(value - reference(at_ms)?));
        let due = own + median(residuals.take(RECENT)).unwrap_or(0.0);
        if (value - due).abs() > limit {
            Verdict::Outlier { value, due, limit }
        } else {
            Verdict::Good
        }
    }

    /// Outliers that were no new level. What is rare but true is learned from them, though one
    /// absurd value must not say what is rare: a run of them counts as one that just failed.
    fn forgive(&mut self) {
        if let Some(limit) = self.limit().filter(|_| !self.suspects.is_empty()) {
            self.far.observe(limit);
        }
        self.suspects.clear();
    }

    /// How often the value has come in a row, where that is too often.
    fn frozen(&mut self, at_ms: i64, value: f64) -> Option<u64> {
        let hour = (at_ms.rem_euclid(DAY_MS) / (DAY_MS / 24)) as usize;
        let (repeats, readings) = &mut self.repeats[hour];
        let share = (*repeats / *readings).clamp(0.01, 0.999);
        let run = match self.run {
            Some(Run { value: last, n, log_chance }) if last == value => {
                Run { value, n: n + 1, log_chance: log_chance + share.ln() }
            }
            _ => Run { value, n: 1, log_chance: 0.0 },
        };
        self.run = Some(run);
        let readings_a_visit = (DAY_MS as f64 / 24.0 / self.step_ms as f64).max(1.0);
        let fade = 1.0 - 1.0 / (14.0 * readings_a_visit);
        *repeats = fade * *repeats + f64::from(u8::from(run.n > 1));
        *readings = fade * *readings + 1.0;
        (run.n >= RUN_MIN && run.log_chance < RUN_LOG_CHANCE).then_some(run.n)
    }

    fn slot(&self, at_ms: i64) -> usize {
        let slots = self.weeks.len() as i64;
        (at_ms.rem_euclid(WEEK_MS) * slots / WEEK_MS) as usize
    }

    /// How far a value may be from what is due; absent before enough was seen.
    fn limit(&self) -> Option<f64> {
        let (middle, far) = self.middle.quantile().zip(self.far.quantile())?;
        let limit = (8.0 * 1.4826 * middle).max(2.0 * far);
        (self.middle.n() >= JUDGED_MIN && limit > 0.0).then_some(limit)
    }

    fn keep(&mut self, slot: usize, value: f64) {
        let kept = &mut self.weeks[slot];
        if kept.len() == WEEKS {
            kept.pop_front();
        }
        kept.push_back(value);
    }

    fn accept(&mut self, slot: usize, value: f64, residual: f64) {
        self.keep(slot, value);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(residual);
    }

    /// An outlier, unless a whole day was one on this side.
    fn suspect(&mut self, suspect: Suspect, limit: f64) -> Verdict {
        let above = |suspect: &Suspect| suspect.value > suspect.due;
        if self.suspects.first().is_some_and(|first| above(first) != above(&suspect)) {
            self.forgive();
        }
        self.suspects.push(suspect);
        let day = (DAY_MS / self.step_ms).max(6) as usize;
        if self.suspects.len() < day {
            let Suspect { value, due, .. } = suspect;
            return Verdict::Outlier { value, due, limit };
        }
        let suspects = std::mem::take(&mut self.suspects);
        self.shift(&suspects)
    }

    /// Moves what was kept of the old level to the new one.
    fn shift(&mut self, suspects: &[Suspect]) -> Verdict {
        let n = suspects.len() as f64;
        let new = suspects.iter().map(|suspect| suspect.value).sum::<f64>() / n;
        let old = suspects.iter().map(|suspect| suspect.due).sum::<f64>() / n;
        let ratio = (new > 0.0 && old > 0.0).then(|| new / old);
        for value in self.weeks.iter_mut().flatten() {
            *value = ratio.map_or(*value + new - old, |ratio| *value * ratio);
        }
        self.recent.clear();
        (self.middle, self.far) = (Marker::new(0.5), Marker::new(0.995));
        for suspect in suspects {
            self.keep(self.slot(suspect.at_ms), suspect.value);
        }
        Verdict::LevelShift { since_ms: suspects[0].at_ms, size: new - old, ratio }
    }
}

/// Judges a whole series: each reading as when it came, except that those which turned out to be
/// the first day of a new level are good.
#[must_use]
pub fn judge(step_ms: i64, series: &[(i64, Option<f64>)]) -> Vec<Verdict> {
    let mut quality = Quality::new(step_ms);
    let mut verdicts: Vec<Verdict> = Vec::with_capacity(series.len());
    for (at_ms, value) in series {
        let verdict = quality.observe(*at_ms, *value);
        if let Verdict::LevelShift { since_ms, .. } = verdict {
            let first = series[..verdicts.len()].partition_point(|(at, _)| *at < since_ms);
            let outliers = verdicts[first..].iter_mut();
            for verdict in outliers.filter(|v| matches!(v, Verdict::Outlier { .. })) {
                *verdict = Verdict::Good;
            }
        }
        verdicts.push(verdict);
    }
    verdicts
}

/// The median; of two middle values, their mean.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let (middle, odd) = (sorted.len() / 2, sorted.len() % 2 == 1);
    let high = *sorted.get(middle)?;
    Some(if odd { high } else { f64::midpoint(sorted[middle - 1], high) })
}
