//! The judgement of what lies above feeders, in one place: see [`above`](super).

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use forecast::ridge::Factor;
use forecast::short::QUARTER_MS;
use schemas::decision::ShortForecast;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use super::Above;
use super::Outlooks;
use super::SYSTEM_ID;
use crate::error::RestoreError;
use crate::forecast::rows::FeederPlace;
use crate::forecast::short::kernel::HourSaid;
use crate::forecast::short::rows::FeederQuarter;
use crate::forecast::short::rows::QuarterOutlook;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;

/// Issues forecasts of the next hour by quarters, of zones and the system; see [`super`].
pub struct AboveKernel {
    above: Above,
    /// Room to solve in; nothing is kept there.
    factor: Factor,
}

impl AboveKernel {
    /// One without a past; it has no settings.
    pub fn new(_: Settings) -> AboveKernel {
        AboveKernel { above: Above::default(), factor: Factor::default() }
    }

    /// Takes in where feeders lie, what is forecast of hours, and quarters that are over.
    fn learn(&mut self, at: Timestamp, changes: &[Change]) {
        for row in changes[0].gone::<FeederPlace>() {
            self.above.place(row, false);
        }
        for row in changes[0].events::<FeederPlace>() {
            self.above.place(row, true);
        }
        for row in HourSaid::near(at, &changes[1]) {
            self.above.expect(&row);
        }
        for row in changes[3].events::<FeederQuarter>() {
            let kw = row.net_load_kw.unwrap_or(f64::NAN);
            self.above.note(&row.feeder_id, (row.quarter_at.0 / QUARTER_MS) as i64, kw);
        }
    }

    /// A quarter of the own series of a zone or the system.
    #[cfg(test)]
    pub(crate) fn quarter_kw(&self, scope: &str, id: &str, quarter: i64) -> f32 {
        self.above.quarter_kw(scope, id, quarter)
    }
}

impl Kernel for AboveKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::in_one_place::<FeederPlace>(),
            InputSpec::in_one_place::<HourSaid>(),
            InputSpec::in_one_place::<QuarterOutlook>(),
            InputSpec::in_one_place::<FeederQuarter>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<ShortForecast>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        self.learn(at, changes);
        let mut outlooks = Outlooks::new();
        for row in changes[2].events::<QuarterOutlook>() {
            outlooks.entry(row.feeder_id.clone()).or_default().push(row);
        }
        outlooks.values_mut().for_each(|rows| rows.sort_by_key(|row| row.target_at));
        let rows = match outlooks.is_empty() {
            true => Vec::new(),
            false => self.above.issue(at, &outlooks, &mut self.factor),
        };
        vec![ShortForecast::to_batch(&rows)]
    }

    // Whoever says something upwards is heard at the tick at which it is due.
    fn needs_every_tick(&self) -> bool {
        false
    }

    fn save(&self) -> Memory {
        save_by_key(&BTreeMap::from([(SYSTEM_ID.to_owned(), &self.above)]))
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError> {
        let mut kept = BTreeMap::new();
        restore_by_key(&mut kept, memory)?;
        if let Some(above) = kept.remove(SYSTEM_ID) {
            self.above = above;
        }
        Ok(())
    }
}
