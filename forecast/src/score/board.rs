//! All scores of one model on one series, also by lead and by month.
//!
//! A mean over all targets hides that a model is good for an hour and bad for a day, and that its
//! band held in May and not in January. The board keeps each apart, bounded, and says all of it in
//! the shape that the command prints.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::DateTime;
use chrono::Datelike;
use serde::Deserialize;
use serde::Serialize;

use crate::score::PointScore;
use crate::score::QuantileScore;
use crate::score::ScoreError;

/// Leads that are scored apart: a week of quarter hours. Later leads count in the total only.
pub const LEADS_MAX: usize = 672;

/// Months that are kept apart; the oldest is dropped when one more begins.
pub const MONTHS_MAX: usize = 36;

/// The scores of one model on one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Board {
    levels: Vec<f64>,

    total: Cell,
    by_lead: BTreeMap<i64, Cell>,
    by_month: BTreeMap<i32, Cell>,
}

/// Point and quantile scores of the same targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cell {
    point: PointScore,
    quantile: QuantileScore,
}

/// What `gridloom forecast backtest --output json` says of a model on a series. Shares are in
/// percent (`mape`, `nmae`, `wape`), `coverage_80` is a fraction, all else is in the unit of the
/// series; what cannot be had is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The name of the model.
    pub model: String,
    /// Targets that were scored.
    pub n: u64,
    /// Mean absolute percentage error, %.
    pub mape: Option<f64>,
    /// Mean absolute error.
    pub mae: Option<f64>,
    /// Root mean squared error.
    pub rmse: Option<f64>,
    /// Mean absolute error over capacity, or over the largest value, %.
    pub nmae: Option<f64>,
    /// Sum of absolute errors over sum of absolute values, %.
    pub wape: Option<f64>,
    /// Mean pinball loss over all levels.
    pub pinball: Option<f64>,
    /// Mean continuous ranked probability score.
    pub crps: Option<f64>,
    /// Share of targets within P10 to P90.
    pub coverage_80: Option<f64>,
    /// The same by lead, ascending.
    pub by_horizon: Vec<LeadSummary>,
    /// Coverage by month `YYYY-MM`, ascending.
    pub coverage_by_month: BTreeMap<String, Option<f64>>,
}

/// Scores of one lead; units as in [`Summary`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadSummary {
    /// Target less origin, in milliseconds.
    pub lead_ms: i64,
    /// Targets that were scored.
    pub n: u64,
    /// Mean absolute percentage error, %; absent where the whole series has none.
    pub mape: Option<f64>,
    /// Mean absolute error.
    pub mae: Option<f64>,
    /// Root mean squared error.
    pub rmse: Option<f64>,
    /// Mean pinball loss over all levels.
    pub pinball: Option<f64>,
    /// Share of targets within P10 to P90.
    pub coverage_80: Option<f64>,
}

impl Board {
    /// A board for quantiles at `levels`, ascending strictly between 0 and 1.
    ///
    /// # Errors
    ///
    /// [`ScoreError::LevelOrder`] where they do not.
    pub fn new(levels: &[f64]) -> Result<Self, ScoreError> {
        let total = Cell::new(levels)?;
        let (by_lead, by_month) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { levels: levels.to_vec(), total, by_lead, by_month })
    }

    /// Scores a forecast for `target_ms` (milliseconds since the epoch on the clock of the series)
    /// made `lead_ms` before: `point` is its one number, `quantiles` one for each level.
    ///
    /// # Errors
    ///
    /// [`ScoreError::Levels`] where there are not as many quantiles as levels.
    pub fn observe(
        &mut self,
        target_ms: i64,
        lead_ms: i64,
        actual: f64,
        point: f64,
        quantiles: &[f64],
    ) -> Result<(), ScoreError> {
        self.total.observe(actual, point, quantiles)?;
        if self.by_lead.len() < LEADS_MAX || self.by_lead.contains_key(&lead_ms) {
            let cell = entry(&mut self.by_lead, lead_ms, &self.levels)?;
            cell.observe(actual, point, quantiles)?;
        }
        if let Some(month) = month_of(target_ms) {
            entry(&mut self.by_month, month, &self.levels)?.observe(actual, point, quantiles)?;
            self.forget_months();
        }
        Ok(())
    }

    /// Adds another board of the same series and model; any order gives the same bits as long as
    /// no more than [`LEADS_MAX`] leads and [`MONTHS_MAX`] months are scored.
    ///
    /// # Errors
    ///
    /// [`ScoreError::Levels`] where its levels are others.
    pub fn merge(&mut self, other: &Self) -> Result<(), ScoreError> {
        self.total.merge(&other.total)?;
        for (lead, cell) in &other.by_lead {
            if self.by_lead.len() < LEADS_MAX || self.by_lead.contains_key(lead) {
                entry(&mut self.by_lead, *lead, &self.levels)?.merge(cell)?;
            }
        }
        for (month, cell) in &other.by_month {
            entry(&mut self.by_month, *month, &self.levels)?.merge(cell)?;
        }
        self.forget_months();
        Ok(())
    }

    fn forget_months(&mut self) {
        while self.by_month.len() > MONTHS_MAX {
            self.by_month.pop_first();
        }
    }

    /// Scores of the point forecast over all targets.
    #[must_use]
    pub fn point(&self) -> &PointScore {
        &self.total.point
    }

    /// Scores of the quantiles over all targets.
    #[must_use]
    pub fn quantile(&self) -> &QuantileScore {
        &self.total.quantile
    }

    /// Both at one lead, where it was scored.
    #[must_use]
    pub fn at_lead(&self, lead_ms: i64) -> Option<(&PointScore, &QuantileScore)> {
        self.by_lead.get(&lead_ms).map(|cell| (&cell.point, &cell.quantile))
    }

    /// Both in one month (1 to 12) of the clock of the series, where it is kept.
    #[must_use]
    pub fn in_month(&self, year: i32, month: u32) -> Option<(&PointScore, &QuantileScore)> {
        let key = year * 12 + month as i32 - 1;
        self.by_month.get(&key).map(|cell| (&cell.point, &cell.quantile))
    }

    /// The board in the shape of the command's output; `capacity` (unit of the series) divides
    /// nMAE where it is known.
    #[must_use]
    pub fn summary(&self, model: &str, capacity: Option<f64>) -> Summary {
        let percent = |share: Option<f64>| share.map(|share| 100.0 * share);
        let Cell { point, quantile } = &self.total;
        let with_mape = point.mape().is_some();
        let by_horizon = self.by_lead.iter().map(|(lead_ms, cell)| LeadSummary {
            lead_ms: *lead_ms,
            n: cell.point.n(),
            mape: percent(cell.point.mape()).filter(|_| with_mape),
            mae: cell.point.mae(),
            rmse: cell.point.rmse(),
            pinball: cell.quantile.pinball(),
            coverage_80: cell.quantile.coverage_80().share(),
        });
        let by_month = self.by_month.iter().map(|(month, cell)| {
            let name = format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
            (name, cell.quantile.coverage_80().share())
        });
        Summary {
            model: model.to_owned(),
            n: point.n(),
            mape: percent(point.mape()),
            mae: point.mae(),
            rmse: point.rmse(),
            nmae: percent(point.nmae(capacity)),
            wape: percent(point.wape()),
            pinball: quantile.pinball(),
            crps: quantile.crps(),
            coverage_80: quantile.coverage_80().share(),
            by_horizon: by_horizon.collect(),
            coverage_by_month: by_month.collect(),
        }
    }
}

impl Cell {
    fn new(levels: &[f64]) -> Result<Self, ScoreError> {
        Ok(Self { point: PointScore::default(), quantile: QuantileScore::new(levels)? })
    }

    fn observe(&mut self, actual: f64, point: f64, quantiles: &[f64]) -> Result<(), ScoreError> {
        self.quantile.observe(actual, quantiles)?;
        self.point.observe(actual, point);
        Ok(())
    }

    fn merge(&mut self, other: &Self) -> Result<(), ScoreError> {
        self.quantile.merge(&other.quantile)?;
        self.point.merge(&other.point);
        Ok(())
    }
}

fn entry<'a, K: Ord + Copy>(
    cells: &'a mut BTreeMap<K, Cell>,
    key: K,
    levels: &[f64],
) -> Result<&'a mut Cell, ScoreError> {
    match cells.entry(key) {
        Entry::Occupied(cell) => Ok(cell.into_mut()),
        Entry::Vacant(place) => Ok(place.insert(Cell::new(levels)?)),
    }
}

/// Months since the year 0; absent beyond what the calendar knows.
fn month_of(at_ms: i64) -> Option<i32> {
    let date = DateTime::from_timestamp_millis(at_ms)?;
    Some(date.year() * 12 + date.month0() as i32)
}
