//! The judgement of [`estimate`](super): feeds each feeder and gathers what moved.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_select::filter::filter_record_batch;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::estimate::EstimateCorrection;
use schemas::estimate::EstimateObservability;
use schemas::estimate::EstimateResidual;
use schemas::estimate::EstimatedBranch;
use schemas::estimate::EstimatedBus;
use schemas::reference::Asset;
use schemas::reference::Branch;
use schemas::reference::Bus;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::reference::Point;
use schemas::reference::Transformer;
use schemas::state::PointValue;
use schemas::state::SwitchState;
use schemas::time::Timestamp;

use super::feeder::FeederState;
use super::feeder::Saved;
use super::feeder::Tick;
use super::plan::Tables;
use super::shown::Outs;
use crate::error::RestoreError;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;
use crate::table::InFeeder;

/// The inputs that are reference tables come first, as [`Tables::apply`] takes them; then these.
const VALUES: usize = 8;
const FORECASTS: usize = 9;

/// The scope of a forecast that speaks of a bus.
const NODE: &str = "node";

/// Estimates every feeder; see [`super`].
pub struct EstimateKernel {
    settings: Settings,

    tables: Tables,
    feeders: BTreeMap<String, FeederState>,
}

impl EstimateKernel {
    /// One that has seen nothing.
    pub fn new(settings: Settings) -> EstimateKernel {
        EstimateKernel { settings, tables: Tables::default(), feeders: BTreeMap::new() }
    }

    /// Takes what came; nothing is estimated yet.
    fn take(&mut self, at: Timestamp, changes: &[Change]) {
        let step_ms = self.settings.step_ms;
        let (feeders, switches) = self.tables.apply(changes);
        for feeder in feeders {
            self.feeders.entry(feeder).or_default().rebuild();
        }
        for key in switches {
            self.switched(at, &key);
        }
        for row in changes[VALUES].events::<PointValue>() {
            let key = (row.feeder_id.clone(), row.point_id.clone());
            let lasts_ms = self.tables.lasts_ms(&key);
            let feeder = self.feeders.entry(row.feeder_id.clone()).or_default();
            if let Some(inverted) = self.tables.inverted(&key) {
                // Anything but 0 and 1 is no position: a switch on its way, or a fault.
                if row.value == 0.0 || row.value == 1.0 {
                    let stands = ((row.value == 1.0) != inverted, row.measured_at.0);
                    feeder.position(at, &row.point_id, stands, step_ms);
                }
                continue;
            }
            feeder.value(at, &row, lasts_ms, step_ms);
        }
        for row in changes[FORECASTS].events::<Forecast>() {
            if row.scope == NODE {
                let feeder = self.feeders.entry(row.feeder_id.clone()).or_default();
                feeder.forecast(&row);
            }
        }
    }

    /// Takes where a switch stands now; one that is new or gone changes the plan.
    fn switched(&mut self, at: Timestamp, key: &InFeeder) {
        let (feeder_id, switch_id) = key;
        let feeder = self.feeders.entry(feeder_id.clone()).or_default();
        match self.tables.switch(key) {
            Some((branch_id, closed, since_ms)) => {
                let stands = (closed, since_ms);
                feeder.position(at, switch_id, stands, self.settings.step_ms);
                if !feeder.has_switch(switch_id, branch_id) {
                    feeder.rebuild();
                }
            }
            None => feeder.rebuild(),
        }
    }
}

impl Kernel for EstimateKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::by_feeder::<Bus>(),
            InputSpec::by_feeder::<Branch>(),
            InputSpec::by_feeder::<Transformer>(),
            InputSpec::by_feeder::<Feeder>(),
            InputSpec::by_feeder::<Meter>(),
            InputSpec::by_feeder::<Asset>(),
            InputSpec::by_feeder::<Point>(),
            InputSpec::by_feeder::<SwitchState>(),
            InputSpec::by_feeder::<PointValue>(),
            InputSpec::by_feeder::<Forecast>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![
            OutputSpec::of::<EstimatedBranch>(),
            OutputSpec::of::<EstimatedBus>(),
            OutputSpec::of::<EstimateCorrection>(),
            OutputSpec::of::<EstimateObservability>(),
            OutputSpec::of::<EstimateResidual>(),
            OutputSpec::of::<Alarm>(),
        ]
    }

    /// The rows that came, without those that went.
    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        let came = |change: Change| {
            let came = change.diffs.iter().map(|diff| Some(*diff > 0)).collect();
            filter_record_batch(&change.batch, &came).expect("one difference a row")
        };
        self.step_changing(at, changes).into_iter().map(came).collect()
    }

    fn step_changing(&mut self, at: Timestamp, changes: &[Change]) -> Vec<Change> {
        self.take(at, changes);
        let mut out = Outs::default();
        let EstimateKernel { settings, tables, feeders } = self;
        for (feeder_id, feeder) in feeders {
            feeder.step(&Tick { at, feeder_id, tables, settings }, &mut out);
        }
        out.changes()
    }

    fn needs_every_tick(&self) -> bool {
        true
    }

    fn save(&self) -> Memory {
        let saved = self.feeders.iter().map(|(id, feeder)| (id.clone(), feeder.save()));
        save_by_key(&saved.collect::<BTreeMap<String, Saved>>())
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError> {
        let mut saved: BTreeMap<String, Saved> = BTreeMap::new();
        restore_by_key(&mut saved, memory)?;
        let restored = saved.into_iter().map(|(id, saved)| (id, FeederState::restored(saved)));
        self.feeders.extend(restored);
        Ok(())
    }
}
