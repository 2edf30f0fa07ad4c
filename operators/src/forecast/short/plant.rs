//! PV and wind plants by quarters: what is forecast of their hours, and what the newest quarters of
//! their telemetry know better.
//!
//! Each plant has a series of its own, as a node has ([`series`](super::series)), within 0 and its
//! rated power ([`Short::bind`](forecast::short::Short::bind)). Injection is positive. By night,
//! where the hour is forecast to be 0 for sure, so are its quarters. Plants stand beside nodes and
//! feeders, and are not added to them ([`forecast::plant`](super::super::plant)); dispatch is not
//! told of them.
//!
//! Where no hour is forecast yet, the newest quarter stays, and after an hour of silence nothing is
//! said.
//!
//! # What is not learned from
//!
//! A quarter that is no power of this plant is missing, and what it draws itself while it stands
//! still is nothing ([`forecast::plant::unit`]). One that is frozen or an outlier
//! ([`forecast::quality`]) is missing too, and the hour's forecast stands as after any silence. It
//! takes two hours to know a reading that hangs; until then it is followed. Nothing, and rated
//! power, are not judged: by night, in a calm and at the bound of an inverter power repeats by
//! nature, and a plant that broke down gives nothing in the next hour.
//!
//! # Bounds
//!
//! 4 kB a plant, up to 43 kB for what its quarters are judged by, and the quarters that are not
//! over or not taken in, or set aside: [`KEPT`] at most.

use std::collections::BTreeMap;

use forecast::plant::unit::is_power;
use forecast::plant::unit::without_own_use;
use forecast::quality::Quality;
use forecast::ridge::Factor;
use forecast::short::KEPT;
use forecast::short::QUARTER_MS;
use schemas::decision::ShortForecast;
use schemas::relation::Relation;
use schemas::state::PlantQuarter;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::kernel::HourSaid;
use super::open::Open;
use super::series::Series;

pub mod kernel;

pub use self::kernel::PlantQuarterKernel;

/// A plant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plant {
    /// Its rated power in kW, while the assets hold it.
    rated_kw: Option<f64>,

    series: Series,
    /// Quarters that are over and not yet in the series.
    open: Open,
    #[serde(default = "quality")]
    quality: Quality,
    /// What was set aside, in kW.
    #[serde(default)]
    aside: BTreeMap<i64, f64>,
}

fn quality() -> Quality {
    Quality::new(QUARTER_MS as i64)
}

/// The plants of a feeder. See [`self`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plants(BTreeMap<String, Plant>);

/// What was measured, as it counts.
fn counted(kw: f64, rated_kw: f64) -> f64 {
    if is_power(kw, rated_kw) { without_own_use(kw, rated_kw) } else { f64::NAN }
}

impl Plants {
    /// What the table of assets says of a plant; `None`: it is none any more.
    pub fn list(&mut self, asset_id: &str, next: i64, rated_kw: Option<f64>) {
        let plant = self.0.entry(asset_id.to_owned()).or_insert_with(|| Plant::new(next));
        plant.rated_kw = rated_kw;
        if let Some(rated_kw) = rated_kw {
            plant.series.short.bind(0.0, rated_kw);
        }
    }

    /// A quarter of a plant that is over.
    pub fn hear(&mut self, asset_id: &str, quarter: i64, kw: f64) {
        let Some(plant) = self.0.get_mut(asset_id) else { return };
        let Some(rated_kw) = plant.rated_kw else { return };
        let kw = counted(kw, rated_kw);
        if !plant.series.short.is_empty() && quarter < plant.series.short.end() {
            plant.restate(quarter, kw, rated_kw);
        } else {
            plant.open.hear(quarter, kw);
        }
    }

    /// What is forecast of an hour of a plant.
    pub fn expect(&mut self, row: &HourSaid) {
        if let Some(plant) = self.0.get_mut(&row.subject_id) {
            plant.series.expect(row);
        }
    }

    /// Takes in the quarters that are over at `at`, learns, and says what comes, in the order of
    /// the plants.
    pub fn issue(
        &mut self,
        at: Timestamp,
        feeder_id: &str,
        factor: &mut Factor,
    ) -> Vec<ShortForecast> {
        let next = (at.0 / QUARTER_MS) as i64;
        let mut rows = Vec::new();
        for (asset_id, plant) in &mut self.0 {
            plant.advance(next, factor);
            plant.series.forget_before(at.0 / HOUR_MS);
            if plant.rated_kw.is_some() {
                let subject = ("plant", asset_id.as_str());
                let answer = plant.series.answer(at, subject, PlantQuarter::NAME, None);
                rows.extend(answer.rows(at, feeder_id));
            }
        }
        rows
    }

    /// Forgets what is no asset any more; `true` where none is left.
    pub fn forget(&mut self) -> bool {
        self.0.retain(|_, plant| plant.rated_kw.is_some());
        self.0.is_empty()
    }
}

/// Whether a reading can be told from one that repeats by nature.
fn is_judged(kw: f64, rated_kw: f64) -> bool {
    kw != 0.0 && kw < rated_kw
}

impl Plant {
    fn new(next: i64) -> Plant {
        let (series, open, aside) = (Series::new(next), Open::default(), BTreeMap::new());
        Plant { rated_kw: None, series, open, quality: quality(), aside }
    }

    fn advance(&mut self, next: i64, factor: &mut Factor) {
        let first = self.open.first().unwrap_or(next);
        let Plant { rated_kw, series, open, quality, aside } = self;
        let rated_kw = rated_kw.unwrap_or(0.0);
        open.flow_into(series, (first, next), factor, |_, quarter, kw| {
            let Some(kw) = kw.filter(|kw| kw.is_finite()) else { return f64::NAN };
            let judged = is_judged(kw, rated_kw);
            if judged && !quality.observe(quarter * QUARTER_MS as i64, Some(kw)).learns() {
                aside.insert(quarter, kw);
                return f64::NAN;
            }
            kw
        });
        self.aside = self.aside.split_off(&(next - KEPT));
    }

    /// A quarter that the series has is otherwise now. One that is told again as it was set aside
    /// stays so.
    fn restate(&mut self, quarter: i64, kw: f64, rated_kw: f64) {
        if self.aside.get(&quarter) == Some(&kw) {
            return;
        }
        self.aside.remove(&quarter);
        let at_ms = |quarter: i64| quarter * QUARTER_MS as i64;
        let short = &mut self.series.short;
        let before = (short.end() - KEPT..quarter).rev();
        let before = before.map(|quarter| (at_ms(quarter), f64::from(short.at(quarter))));
        let before = before.filter(|(_, kw)| kw.is_finite() && is_judged(*kw, rated_kw));
        let judged = kw.is_finite() && is_judged(kw, rated_kw);
        if judged && !self.quality.judge_again(at_ms(quarter), kw, before).learns() {
            self.aside.insert(quarter, kw);
            short.restate(quarter, f64::NAN);
        } else {
            short.restate(quarter, kw);
        }
    }
}
