//! The judgement of [`short`](super): keeps quarters, and issues as each ends.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use forecast::ridge::Factor;
use forecast::short::QUARTER_MS;
use schemas::decision::ShortForecast;
use schemas::relation;
use schemas::relation::Relation;
use schemas::state::NodeQuarter;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::feeder::Feeder;
use super::rows::FeederQuarter;
use super::rows::QuarterOutlook;
use super::series::HOURS_AHEAD;
use crate::error::RestoreError;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;

relation! {
    /// What was forecast of an hour: all of `forecasts` that quarters are made of.
    pub struct HourSaid in "forecasts" {
        /// What it is of.
        pub scope: String,
        /// The bus, feeder, zone or plant; of the system, `system`.
        pub subject_id: String,
        /// The feeder it belongs to.
        pub feeder_id: String,
        /// The tick that issued it.
        pub issued_at: Timestamp,
        /// Start of the hour.
        pub target_at: Timestamp,
        /// Mean kW that one outcome in ten lies below.
        pub p10_kw: f64,
        /// Mean kW that half of the outcomes lie below.
        pub p50_kw: f64,
        /// Mean kW that nine outcomes in ten lie below.
        pub p90_kw: f64,
    }
}

impl HourSaid {
    /// What came of the hours that quarters are drawn from; of the day that is issued, only those
    /// are decoded.
    pub(super) fn near(at: Timestamp, forecasts: &Change) -> Vec<HourSaid> {
        let Some(targets) = forecasts.batch.column_by_name("target_at") else { return Vec::new() };
        let targets = targets.as_primitive::<TimestampMillisecondType>();
        let present = at.0 / HOUR_MS;
        let near = |row: &usize| {
            let hour = targets.value(*row) as u64 / HOUR_MS;
            forecasts.diffs[*row] > 0 && (present..present + HOURS_AHEAD).contains(&hour)
        };
        let rows = (0..forecasts.diffs.len()).filter(near);
        let rows = HourSaid::from_rows(&forecasts.batch, rows);
        rows.expect("the host gives the declared columns")
    }
}

/// Issues forecasts of the next hour by quarters, of nodes and feeders; see [`super`].
pub struct ShortKernel {
    settings: Settings,

    feeders: BTreeMap<String, Feeder>,
    /// Room to solve in; nothing is kept there.
    factor: Factor,
}

impl ShortKernel {
    /// One without a past.
    pub fn new(settings: Settings) -> ShortKernel {
        ShortKernel { settings, feeders: BTreeMap::new(), factor: Factor::default() }
    }

    /// Notes quarters that are over. A row that only goes was let go by its view's retention; it
    /// stays here.
    fn hear(&mut self, at: Timestamp, quarters: &Change) {
        for row in quarters.events::<NodeQuarter>() {
            let over = row.quarter_at.plus(QUARTER_MS) <= at;
            if over && row.net_load_kw.is_finite() {
                let feeder = self.feeders.entry(row.feeder_id).or_default();
                feeder.hear(row.bus_id, (row.quarter_at.0 / QUARTER_MS) as i64, row.net_load_kw);
            }
        }
    }

    /// Notes what is forecast of the hours that quarters are drawn from.
    fn expect(&mut self, at: Timestamp, forecasts: &Change) {
        for row in HourSaid::near(at, forecasts) {
            let node = match row.scope.as_str() {
                "node" => true,
                "feeder" if row.subject_id == row.feeder_id => false,
                _ => continue,
            };
            let feeder = self.feeders.entry(row.feeder_id.clone()).or_default();
            feeder.expect(at, node, &row);
        }
    }
}

impl Kernel for ShortKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![InputSpec::by_feeder::<NodeQuarter>(), InputSpec::by_feeder::<HourSaid>()]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![
            OutputSpec::of::<ShortForecast>(),
            OutputSpec::of::<QuarterOutlook>(),
            OutputSpec::of::<FeederQuarter>(),
        ]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        self.hear(at, &changes[0]);
        self.expect(at, &changes[1]);
        let (mut rows, mut told) = (Vec::new(), Vec::new());
        // The first tick at or after each quarter, whatever the step.
        if at.0 % QUARTER_MS < self.settings.step_ms {
            for (feeder_id, feeder) in &mut self.feeders {
                feeder.advance(at, &mut self.factor);
                feeder.issue(at, feeder_id, &mut rows);
                let row = |(quarter, kw)| FeederQuarter::new(feeder_id, quarter, kw);
                told.extend(feeder.take_told().map(row));
            }
            self.feeders.retain(|_, feeder| !feeder.forget());
        }
        let of_feeders = rows.iter().filter(|row| row.scope == "feeder");
        let outlooks: Vec<QuarterOutlook> = of_feeders.map(QuarterOutlook::of).collect();
        vec![
            ShortForecast::to_batch(&rows),
            QuarterOutlook::to_batch(&outlooks),
            FeederQuarter::to_batch(&told),
        ]
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
