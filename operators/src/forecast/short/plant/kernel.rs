//! The judgement of [`plant`](super): keeps quarters of plants, and issues as each ends.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use forecast::ridge::Factor;
use forecast::short::QUARTER_MS;
use schemas::decision::ShortForecast;
use schemas::reference::Asset;
use schemas::relation::Relation;
use schemas::state::PlantQuarter;
use schemas::time::Timestamp;

use super::Plants;
use crate::error::RestoreError;
use crate::forecast::plant::kernel::plant;
use crate::forecast::short::kernel::HourSaid;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;

/// Issues forecasts of the next hour by quarters, of plants; see [`super`].
pub struct PlantQuarterKernel {
    settings: Settings,

    feeders: BTreeMap<String, Plants>,
    /// Room to solve in; nothing is kept there.
    factor: Factor,
}

impl PlantQuarterKernel {
    /// One without a past.
    pub fn new(settings: Settings) -> PlantQuarterKernel {
        PlantQuarterKernel { settings, feeders: BTreeMap::new(), factor: Factor::default() }
    }

    /// Takes in which plants there are, what is forecast of their hours, and quarters that are
    /// over.
    fn learn(&mut self, at: Timestamp, changes: &[Change]) {
        let next = (at.0 / QUARTER_MS) as i64;
        for row in changes[0].gone::<Asset>().filter(|row| plant(row).is_some()) {
            let plants = self.feeders.entry(row.feeder_id).or_default();
            plants.list(&row.asset_id, next, None);
        }
        for row in changes[0].events::<Asset>() {
            if let Some((_, rated_kw)) = plant(&row) {
                let plants = self.feeders.entry(row.feeder_id).or_default();
                plants.list(&row.asset_id, next, Some(rated_kw));
            }
        }
        for row in HourSaid::near(at, &changes[1]).iter().filter(|row| row.scope == "plant") {
            if let Some(plants) = self.feeders.get_mut(&row.feeder_id) {
                plants.expect(row);
            }
        }
        // A row that only goes was let go by its view's retention; it stays here.
        for row in changes[2].events::<PlantQuarter>() {
            let over = row.quarter_at.plus(QUARTER_MS) <= at;
            if let Some(plants) = self.feeders.get_mut(&row.feeder_id).filter(|_| over) {
                plants.hear(&row.asset_id, (row.quarter_at.0 / QUARTER_MS) as i64, row.power_kw);
            }
        }
    }
}

impl Kernel for PlantQuarterKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::by_feeder::<Asset>(),
            InputSpec::by_feeder::<HourSaid>(),
            InputSpec::by_feeder::<PlantQuarter>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<ShortForecast>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        self.learn(at, changes);
        let mut rows = Vec::new();
        // The first tick at or after each quarter, whatever the step.
        if at.0 % QUARTER_MS < self.settings.step_ms {
            self.feeders.retain(|_, plants| !plants.forget());
            for (feeder_id, plants) in &mut self.feeders {
                rows.extend(plants.issue(at, feeder_id, &mut self.factor));
            }
        }
        vec![ShortForecast::to_batch(&rows)]
    }

    fn needs_every_tick(&self) -> bool {
        true
    }

    fn save(&self) -> Memory {
        save_by_key(&self.feeders)
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError> {
        restore_by_key(&mut self.feeders, memory)
    }
}
