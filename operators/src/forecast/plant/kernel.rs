//! The judgement of [`forecast::plant`](super): keeps plants, and issues when an hour is over.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use forecast::model::Kind;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::event::ModelOrder;
use schemas::reference::Asset;
use schemas::relation::Relation;
use schemas::state::PlantHour;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::fleet::Fleet;
use super::fleet::SCOPE;
use crate::adapt;
use crate::error::RestoreError;
use crate::forecast::feeder::Hour;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;

/// Issues forecasts of plants; see [`super`].
pub struct PlantKernel {
    settings: Settings,

    fleets: BTreeMap<String, Fleet>,
}

/// What an asset is to be forecast as: a PV or a wind plant, with its rated power in kW. One that
/// can give nothing is none.
pub(in crate::forecast) fn plant(asset: &Asset) -> Option<(Kind, f64)> {
    let kind = match asset.kind.as_str() {
        "pv" => Kind::Pv,
        "wind" => Kind::Wind,
        _ => return None,
    };
    let rated_kw = asset.power_kw_max;
    (rated_kw.is_finite() && rated_kw > 0.0).then_some((kind, rated_kw))
}

impl PlantKernel {
    /// A forecaster without a past.
    pub fn new(settings: Settings) -> PlantKernel {
        PlantKernel { settings, fleets: BTreeMap::new() }
    }

    fn fleet(&mut self, feeder_id: &str) -> &mut Fleet {
        if !self.fleets.contains_key(feeder_id) {
            self.fleets.insert(feeder_id.to_owned(), Fleet::default());
        }
        self.fleets.get_mut(feeder_id).expect("it was just made")
    }

    /// Takes in what changed; gives what is told of orders.
    fn learn(&mut self, at: Timestamp, changes: &[Change]) -> Vec<ModelVersion> {
        for row in changes[0].gone::<Asset>().filter(|row| plant(row).is_some()) {
            self.fleet(&row.feeder_id).unlist(&row.asset_id);
        }
        for row in changes[0].events::<Asset>() {
            if let Some(asset) = plant(&row) {
                self.fleet(&row.feeder_id).plant_mut(&row.asset_id).list(Some(asset));
            }
        }
        // A row that only goes was let go by its view's retention; it stays here.
        for row in changes[1].events::<PlantHour>() {
            if row.hour_at < at && row.power_kw.is_finite() {
                let hour = Hour { kw: row.power_kw, measured: row.origin == "measured" };
                let plant = self.fleet(&row.feeder_id).plant_mut(&row.asset_id);
                plant.note(row.hour_at.0 / HOUR_MS, hour);
            }
        }
        for row in changes[2].events::<WeatherHour>() {
            self.fleet(&row.feeder_id).weather_mut().see(at, &row);
        }
        for row in changes[3].events::<WeatherAhead>() {
            self.fleet(&row.feeder_id).weather_mut().expect(at, &row);
        }
        let mut orders: Vec<ModelOrder> = changes[4].events().collect();
        orders.retain(|order| order.scope == SCOPE);
        orders.sort_by_cached_key(|row| (row.ordered_at, row.order_id.clone()));
        let obey = |order: &ModelOrder| match self.fleets.get_mut(&order.feeder_id) {
            Some(fleet) => fleet.order(at, order),
            None => adapt::obey(at, order, None),
        };
        orders.iter().flat_map(obey).collect()
    }
}

impl Kernel for PlantKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::by_feeder::<Asset>(),
            InputSpec::by_feeder::<PlantHour>(),
            InputSpec::by_feeder::<WeatherHour>(),
            InputSpec::by_feeder::<WeatherAhead>(),
            InputSpec::by_feeder::<ModelOrder>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![
            OutputSpec::of::<Forecast>(),
            OutputSpec::of::<ModelVersion>(),
            OutputSpec::of::<Alarm>(),
        ]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        let mut versions = self.learn(at, changes);
        let present = at.0 / HOUR_MS;
        // The first tick at or after each quarter, whatever the step.
        let due = at.0 % self.settings.issue_every_ms < self.settings.step_ms;
        if due {
            self.fleets.retain(|_, fleet| !fleet.forget(present));
        }
        let (mut forecasts, mut alarms) = (Vec::new(), Vec::new());
        for (feeder_id, fleet) in &mut self.fleets {
            if due {
                fleet.advance(present);
            }
            let (told, raised) = fleet.work(at, feeder_id);
            versions.extend(told);
            alarms.extend(raised);
            let restate_kw = self.settings.forecast_restate_kw;
            forecasts.extend(fleet.issue(at, due, restate_kw, feeder_id));
        }
        vec![
            Forecast::to_batch(&forecasts),
            ModelVersion::to_batch(&versions),
            Alarm::to_batch(&alarms),
        ]
    }

    fn needs_every_tick(&self) -> bool {
        true
    }

    fn save(&self) -> Memory {
        save_by_key(&self.fleets)
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError> {
        restore_by_key(&mut self.fleets, memory)
    }
}
