//! All witnesses of one series, and what they say together.
//!
//! The watch is a fold: outcomes in, in order of their targets; alerts out. It holds the sums of
//! the day that is open and the state of each witness, nothing else, so it is small enough to keep
//! one for each series and lead, and it is saved and restored in the middle of a day.

use serde::Deserialize;
use serde::Serialize;

use crate::drift::Adwin;
use crate::drift::Band;
use crate::drift::Marker;
use crate::drift::PageHinkley;
use crate::score::Coverage;
use crate::series::DAY_MS;

/// The largest error of one outcome, in mean levels: a load that became five times as large is
/// seen whole, one absurd reading that passed is not taken for a bias of the day.
const ERROR_LEVELS_MAX: f64 = 4.0;

fn error_max() -> f64 {
    ERROR_LEVELS_MAX
}

/// Days that must be known before a day is called worse than usual.
const CUSTOMARY_DAYS_MIN: u32 = 14;

/// Days from which the usual daily error is learned.
const SCALE_DAYS: u32 = 28;

/// How many usual daily errors are the end of the range of ADWIN. Its bound has a term of the
/// range over the number of days: with a range of 1 for errors of 0.03 it hardly ever speaks.
const SCALE_ERRORS: f64 = 5.0;

/// Thresholds of a [`Watch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Rated power, where errors are shares of that; else they are of the series' mean level.
    #[serde(default)]
    pub rated: Option<f64>,
    /// Daily bias that is forgiven, as such a share.
    pub bias_delta: f64,
    /// Sum of daily biases that alarms, as such a share.
    pub bias_threshold: f64,
    /// The largest error of one outcome that counts as bias, as such a share.
    #[serde(default = "error_max")]
    pub error_max: f64,
    /// Confidence of the window of errors: less alarms later and more rarely.
    pub error_delta: f64,
    /// Days in a row on which the model may lose against the naive one, less one.
    pub skill_days: u32,
    /// How many times its usual error the model must make on such a day: last week is sometimes
    /// right by chance, when the weather repeats itself.
    pub skill_excess: f64,
    /// What the band should hold.
    pub coverage_nominal: f64,
    /// What it may hold.
    pub coverage_range: (f64, f64),
    /// Days over which that is counted.
    pub coverage_days: usize,
    /// Confidence of the binomial interval that must exclude the nominal share.
    pub coverage_confidence: f64,
    /// Neighbouring outcomes that are worth one independent draw.
    pub coverage_dependence: f64,
    /// The quantile of leverage beyond which a forecast extrapolates.
    pub leverage_quantile: f64,
    /// How many times that quantile is worth an alert.
    pub leverage_factor: f64,
    /// Leverages to see before any is judged.
    pub leverage_min: u64,
    /// Days over which the mean level of the series follows it (a time constant).
    pub level_days: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rated: None,
            bias_delta: 0.01,
            bias_threshold: 1.0,
            error_max: ERROR_LEVELS_MAX,
            error_delta: 0.002,
            skill_days: 3,
            skill_excess: 1.5,
            coverage_nominal: 0.8,
            coverage_range: (0.7, 0.9),
            coverage_days: 28,
            coverage_confidence: 0.999,
            coverage_dependence: 12.0,
            leverage_quantile: 0.999,
            leverage_factor: 2.0,
            leverage_min: 2000,
            level_days: 28.0,
        }
    }
}

/// What is known of one forecast once its target was measured. Values are in the series' unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The target, in milliseconds since the epoch on the clock of the series.
    pub at_ms: i64,
    /// What was measured; not finite where it is missing.
    pub actual: f64,
    /// What was forecast.
    pub forecast: f64,
    /// What last week would have said, where it is known.
    pub naive: Option<f64>,
    /// P10 and P90, where they were given.
    pub band: Option<(f64, f64)>,
    /// The leverage `x'(G + D)^-1 x` of the features, where the model has one.
    pub leverage: Option<f64>,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// Errors keep one sign: the fast alert.
    Bias,
    /// Errors have grown and stay: confirms, and asks for retraining.
    Error,
    /// The model loses against last week.
    Skill,
    /// The band does not hold its share.
    Coverage,
    /// The model is asked about what it has not seen.
    Extrapolation,
    /// A plant stands still where it was to move (not told by [`Watch`]).
    Still,
}

/// Something to tell a person and the agent that retrains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is about.
    pub kind: AlertKind,
    /// The outcome that made it certain, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What was found; a share of the mean level for bias and error, a share for skill and
    /// coverage, a leverage for extrapolation, hours of rated power for what stands still.
    pub value: f64,
    /// What it passed, in the same unit.
    pub threshold: f64,
    /// Whether retraining is asked for.
    pub retrain: bool,
    /// The same in words.
    pub words: String,
}

/// Watches the forecasts of one model for one series at one lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    settings: Settings,

    today: Option<Day>,
    /// Outcomes of the day before, by which a day with few of them is told.
    before: u64,
    /// Mean absolute level of the series.
    level: Option<f64>,
    bias: PageHinkley,
    error: Adwin,
    /// The usual daily error, which gives ADWIN its range.
    usual: Usual,
    band: Band,
    leverage: Marker,
    /// Days in a row that were lost against the naive model.
    lost: u32,
    /// The usual mean absolute error of a day, in the series' unit.
    customary: Option<f64>,
    /// Days that it rests on.
    customary_days: u32,
    /// Whether the band was at fault when last judged: one alert a fault.
    band_at_fault: bool,
}

/// The usual daily error as a share of the level: a mean over the first days since retraining was
/// last asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Usual {
    days: u32,
    sum: f64,
}

/// Sums of one day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    number: i64,
    n: u64,
    error_absolute: f64,
    actual_absolute: f64,
    coverage: Coverage,
    /// Absolute errors of model and naive where both are known.
    against_naive: (f64, f64),
    /// The largest leverage beyond its limit, with the limit.
    leverage: Option<(f64, f64)>,
}

impl Watch {
    /// A watch that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let band = Band::new(
            settings.coverage_nominal,
            settings.coverage_range,
            settings.coverage_days,
            settings.coverage_confidence,
            settings.coverage_dependence,
        );
        Self {
            today: None,
            before: 0,
            level: None,
            bias: PageHinkley::new(settings.bias_delta, settings.bias_threshold),
            error: Adwin::new(settings.error_delta),
            usual: Usual::default(),
            band,
            leverage: Marker::new(settings.leverage_quantile),
            lost: 0,
            customary: None,
            customary_days: 0,
            band_at_fault: false,
            settings,
        }
    }

    /// Takes the next outcome, in order of target, and returns what it made certain: a bias at
    /// once, extrapolation at once but once a day, all others when a later day begins. An outcome
    /// of a day that is already closed is ignored: it was judged without it, and is not judged
    /// twice.
    pub fn observe(&mut self, outcome: &Outcome) -> Vec<Alert> {
        let number = outcome.at_ms.div_euclid(DAY_MS);
        let mut alerts = Vec::new();
        match &self.today {
            Some(today) if today.number > number => return alerts,
            Some(today) if today.number < number => {
                let closed = today.clone();
                self.close(&closed, outcome.at_ms, &mut alerts);
                self.today = None;
            }
            _ => {}
        }
        let mut today = self.today.take().unwrap_or(Day { number, ..Day::default() });
        alerts.extend(self.extrapolation(&mut today, outcome));
        alerts.extend(self.bias(outcome));
        today.observe(outcome);
        self.today = Some(today);
        alerts
    }

    /// The mean absolute level that errors are measured by, once a day was closed.
    #[must_use]
    pub fn level(&self) -> Option<f64> {
        self.settings.rated.or(self.level)
    }

    /// What errors are shares of, in words.
    fn whole(&self) -> &'static str {
        if self.settings.rated.is_some() { "rated power" } else { "mean level" }
    }

    /// Judges a whole day.
    fn close(&mut self, day: &Day, at_ms: i64, alerts: &mut Vec<Alert>) {
        let expected = day.n.max(self.before);
        self.before = day.n;
        if day.n == 0 {
            return;
        }
        let mean = day.actual_absolute / day.n as f64;
        let level = self.level.unwrap_or(mean);
        let whole = self.settings.rated.unwrap_or(level);
        if whole > 0.0 {
            alerts.extend(self.error(day.error_absolute / day.n as f64 / whole, at_ms));
        }
        alerts.extend(self.skill(day, at_ms));
        alerts.extend(self.coverage(day, at_ms));
        // A day with few outcomes weighs as little as it knows.
        let weight = day.n as f64 / expected as f64 / self.settings.level_days;
        self.level = Some(level + weight.min(1.0) * (mean - level));
    }

    /// One outcome is its part of a day, so the sum is that of daily means and is known at once.
    fn bias(&mut self, outcome: &Outcome) -> Option<Alert> {
        let level = self.level().filter(|level| *level > 0.0 && self.before > 0)?;
        let levels = (outcome.actual - outcome.forecast) / level;
        let share = levels.clamp(-self.settings.error_max, self.settings.error_max);
        let value = self.bias.observe(share, 1.0 / self.before as f64)?;
        let side = if value > 0.0 { "low" } else { "high" };
        let words = format!(
            "forecasts have been too {side}: daily errors add up to {:.0} % of the {}",
            100.0 * value.abs(),
            self.whole()
        );
        let (at_ms, threshold) = (outcome.at_ms, self.bias.threshold());
        Some(Alert { kind: AlertKind::Bias, at_ms, value, threshold, retrain: false, words })
    }

    fn error(&mut self, share: f64, at_ms: i64) -> Option<Alert> {
        if self.usual.days < SCALE_DAYS {
            self.usual.days += 1;
            self.usual.sum += share;
            return None;
        }
        let range = SCALE_ERRORS * self.usual.sum / f64::from(self.usual.days);
        if range <= 0.0 {
            return None;
        }
        let change = self.error.observe(share / range)?;
        if change.after <= change.before {
            return None;
        }
        // What comes after retraining is another model: its usual error is learned anew.
        self.usual = Usual::default();
        self.error = Adwin::new(self.settings.error_delta);
        let (before, value) = (range * change.before, range * change.after);
        let words = format!(
            "the daily absolute error has grown from {:.1} % to {:.1} % of the {}: retrain",
            100.0 * before,
            100.0 * value,
            self.whole()
        );
        let threshold = before + range * change.bound;
        Some(Alert { kind: AlertKind::Error, at_ms, value, threshold, retrain: true, words })
    }

    fn skill(&mut self, day: &Day, at_ms: i64) -> Option<Alert> {
        let (model, naive) = day.against_naive;
        if naive <= 0.0 {
            return None;
        }
        let size = day.error_absolute / day.n as f64;
        let usual = self.customary.unwrap_or(0.0);
        self.customary_days = self.customary_days.saturating_add(1);
        let known = self.customary_days > CUSTOMARY_DAYS_MIN;
        let worse = known && size > self.settings.skill_excess * usual;
        // A time constant of the level's: what is usual must not become so while it is judged.
        let weight = if self.customary.is_none() { 1.0 } else { 1.0 / self.settings.level_days };
        self.customary = Some(usual + weight * (size - usual));
        self.lost = if model > naive && worse { self.lost + 1 } else { 0 };
        if self.lost != self.settings.skill_days {
            return None;
        }
        let value = 1.0 - model / naive;
        let words = format!(
            "last week has been the better forecast for {} days, today by {:.0} %",
            self.lost,
            -100.0 * value
        );
        let kind = AlertKind::Skill;
        Some(Alert { kind, at_ms, value, threshold: 0.0, retrain: false, words })
    }

    fn coverage(&mut self, day: &Day, at_ms: i64) -> Option<Alert> {
        if day.coverage.n() == 0 {
            return None;
        }
        let fault = self.band.close_day(day.coverage);
        let known = std::mem::replace(&mut self.band_at_fault, fault.is_some());
        let fault = fault.filter(|_| !known)?;
        let words = format!(
            "the band holds {:.0} % of the last {} values instead of {:.0} %",
            100.0 * fault.share,
            fault.n,
            100.0 * self.settings.coverage_nominal
        );
        let (value, threshold) = (fault.share, fault.limit);
        Some(Alert { kind: AlertKind::Coverage, at_ms, value, threshold, retrain: false, words })
    }

    fn extrapolation(&mut self, today: &mut Day, outcome: &Outcome) -> Option<Alert> {
        let leverage = outcome.leverage.filter(|leverage| leverage.is_finite())?;
        let limit = self.leverage.quantile().map(|q| self.settings.leverage_factor * q);
        let judged = self.leverage.n() >= self.settings.leverage_min;
        self.leverage.observe(leverage);
        let threshold = limit.filter(|limit| judged && leverage > *limit)?;
        if today.leverage.replace((leverage, threshold)).is_some() {
            return None;
        }
        let words = format!(
            "the features of this hour lie outside what was learned: leverage {leverage:.3} where \
             {threshold:.3} is rare"
        );
        let (kind, at_ms) = (AlertKind::Extrapolation, outcome.at_ms);
        Some(Alert { kind, at_ms, value: leverage, threshold, retrain: false, words })
    }
}

impl Day {
    fn observe(&mut self, outcome: &Outcome) {
        let (actual, forecast) = (outcome.actual, outcome.forecast);
        if !actual.is_finite() || !forecast.is_finite() {
            return;
        }
        let error = actual - forecast;
        self.n += 1;
        self.error_absolute += error.abs();
        self.actual_absolute += actual.abs();
        if let Some(naive) = outcome.naive.filter(|naive| naive.is_finite()) {
            self.against_naive.0 += error.abs();
            self.against_naive.1 += (actual - naive).abs();
        }
        if let Some((low, high)) = outcome.band {
            self.coverage.observe(actual, low, high);
        }
    }
}
