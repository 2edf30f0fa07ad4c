//! The loop, scored: what was said beside what came.

use std::collections::BTreeMap;

use chrono::Datelike;

use crate::backtest::Frame;
use crate::backtest::RunError;
use crate::backtest::run;
use crate::calendar::Civil;
use crate::model::LEVELS;
use crate::model::Model;
use crate::model::Outlook;
use crate::model::P10;
use crate::model::P90;
use crate::score::Board;
use crate::score::Coverage;
use crate::score::PointScore;

/// A forecast beside what came, to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The target's index.
    pub index: i64,
    /// The index of the newest reading when it was said.
    pub origin: i64,
    /// What came; NaN where it is missing.
    pub actual: f64,
    /// What was said, in the series' unit.
    pub value: f64,
    /// P10; NaN where no quantiles are given.
    pub low: f64,
    /// P90; NaN where no quantiles are given.
    pub high: f64,
}

/// How often P10 to P90 held what came, of the targets at which something was uncertain.
///
/// At night a photovoltaic plant makes nothing, and both ends of the band say so: such targets are
/// always held, and would hide that the days are not. A target with no width between P10 and P90
/// that is held is [`sure`](Held::sure) and counted apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Over all targets.
    pub total: Coverage,
    /// By lead in milliseconds.
    pub by_lead: BTreeMap<i64, Coverage>,
    /// By year and month (1 to 12) of the series' clock.
    pub by_month: BTreeMap<(i32, u32), Coverage>,
    /// Targets that were held by a band of no width.
    pub sure: u64,
}

impl Held {
    fn take(&mut self, target_ms: i64, lead_ms: i64, actual: f64, quantiles: &[f64; 11]) {
        let (low, high) = (quantiles[P10], quantiles[P90]);
        if low == high && actual == low {
            self.sure += 1;
            return;
        }
        self.total.observe(actual, low, high);
        self.by_lead.entry(lead_ms).or_default().observe(actual, low, high);
        let date = Civil::at(target_ms).date;
        let month = self.by_month.entry((date.year(), date.month())).or_default();
        month.observe(actual, low, high);
    }
}

/// What a model scored in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Its name.
    pub name: String,
    /// Over all targets, by lead and by month.
    pub board: Board,
    /// How often its band held what came.
    pub held: Held,
    /// By hour of the target's day on the series' clock; 24 of them.
    pub by_hour: Vec<PointScore>,
    /// A forecast of every step of the window, or nearly: those of the first origin, of the first
    /// one after its last target, and so on.
    pub shown: Vec<Shown>,
}

impl Scored {
    fn new(name: &str) -> Scored {
        let board = Board::new(&LEVELS).expect("the levels ascend between 0 and 1");
        let by_hour = vec![PointScore::default(); 24];
        let held = Held::default();
        Scored { name: name.to_owned(), board, held, by_hour, shown: Vec::new() }
    }

    /// Takes one forecast of all targets of an origin.
    fn take(&mut self, frame: &Frame, origin: i64, said: &[(f64, [f64; 11])]) {
        let step_ms = frame.setup.step_ms;
        let draws = self.shown.last().is_none_or(|shown| shown.index <= origin);
        for (index, (value, quantiles)) in (origin + 1..).zip(said) {
            let actual = frame.reading(index);
            let (target_ms, lead_ms) = (index * step_ms, (index - origin) * step_ms);
            let scored = self.board.observe(target_ms, lead_ms, actual, *value, quantiles);
            scored.expect("as many quantiles as levels");
            self.held.take(target_ms, lead_ms, actual, quantiles);
            let hour = index.rem_euclid(frame.day()) * 24 / frame.day();
            self.by_hour[hour as usize].observe(actual, *value);
            if draws {
                let (low, high) = (quantiles[P10], quantiles[P90]);
                self.shown.push(Shown { index, origin, actual, value: *value, low, high });
            }
        }
    }
}

/// Tells `model` the history of `frame` and scores what it says: the model as a whole under `name`
/// first, then each model it is made of ([`Outlook::models`]), which give no quantiles, by name.
/// `told` is called after each reading with how many have been told.
///
/// # Errors
///
/// The frame is not sound, or the model answers for other steps than was asked.
pub fn evaluate(
    frame: &Frame,
    name: &str,
    model: &mut dyn Model,
    told: &mut dyn FnMut(u64),
) -> Result<Vec<Scored>, RunError> {
    let mut whole = Scored::new(name);
    let mut parts: BTreeMap<String, Scored> = BTreeMap::new();
    run(frame, model, told, &mut |outlook: &Outlook| {
        let all = outlook.points.iter().map(|point| (point.value, point.quantiles));
        let mut all: Vec<_> = all.collect();
        // What was not said is skipped, not forgotten: another model said it.
        all.resize(frame.setup.horizon, (f64::NAN, [f64::NAN; 11]));
        whole.take(frame, outlook.origin, &all);
        for (part, values) in &outlook.models {
            let alone: Vec<_> = values.iter().map(|value| (*value, [f64::NAN; 11])).collect();
            let scored = parts.entry(part.clone()).or_insert_with(|| Scored::new(part));
            scored.take(frame, outlook.origin, &alone);
        }
    })?;
    Ok(std::iter::once(whole).chain(parts.into_values()).collect())
}
