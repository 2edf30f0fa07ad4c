//! The judgement of the top of the tree, in one place: see [`zones`](super).

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use forecast::calendar::Holidays;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::event::ModelOrder;
use schemas::relation::Relation;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::ABOVE;
use super::Outlooks;
use super::SYSTEM_ID;
use super::Said;
use super::Zones;
use crate::error::RestoreError;
use crate::forecast::rows::FeederHour;
use crate::forecast::rows::FeederMove;
use crate::forecast::rows::FeederPlace;
use crate::forecast::rows::Outlook;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;

/// Issues forecasts of zones and the system, and says by how much feeders move; see [`super`].
pub struct ZoneKernel {
    settings: Settings,
    holidays: Holidays,

    zones: Zones,
}

impl ZoneKernel {
    /// One without a past.
    pub fn new(settings: Settings) -> ZoneKernel {
        let holidays = settings.holidays();
        ZoneKernel { settings, holidays, zones: Zones::default() }
    }

    /// Takes in what changed.
    fn learn(&mut self, at: Timestamp, changes: &[Change]) {
        for row in changes[0].gone::<FeederPlace>() {
            self.zones.place(row, false);
        }
        for row in changes[0].events::<FeederPlace>() {
            self.zones.place(row, true);
        }
        for row in changes[1].events::<WeatherHour>() {
            self.zones.hear(&row.feeder_id, &row.station_id, |weather| weather.see(at, &row));
        }
        for row in changes[2].events::<WeatherAhead>() {
            let station = &row.station_id;
            self.zones.hear(&row.feeder_id, station, |weather| weather.expect(at, &row));
        }
        for row in changes[5].events::<FeederHour>() {
            let kw = row.net_load_kw.unwrap_or(f64::NAN);
            self.zones.note(&row.feeder_id, row.hour_at.0 / HOUR_MS, kw);
        }
    }

    /// Does what people order; gives what is told of it.
    fn obey(&mut self, at: Timestamp, orders: &Change) -> Vec<ModelVersion> {
        let mut orders: Vec<ModelOrder> = orders.events().collect();
        orders.retain(|order| ABOVE.contains(&order.scope.as_str()));
        orders.sort_by_cached_key(|row| (row.ordered_at, row.order_id.clone()));
        orders.iter().flat_map(|order| self.zones.order(at, order)).collect()
    }

    /// An hour of the own series of a zone or the system.
    #[cfg(test)]
    pub(crate) fn hour_kw(&self, scope: &str, id: &str, hour: u64) -> f32 {
        self.zones.whole(scope, id).series().at(hour)
    }

    /// The weather that a zone or the system hears.
    #[cfg(test)]
    pub(crate) fn quantities(&self, scope: &str, id: &str) -> Vec<String> {
        let quantities = self.zones.whole(scope, id).weather().quantities();
        quantities.into_iter().map(|quantity| quantity.name).collect()
    }
}

impl Kernel for ZoneKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::in_one_place::<FeederPlace>(),
            InputSpec::in_one_place::<WeatherHour>(),
            InputSpec::in_one_place::<WeatherAhead>(),
            InputSpec::in_one_place::<ModelOrder>(),
            InputSpec::in_one_place::<Outlook>(),
            InputSpec::in_one_place::<FeederHour>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![
            OutputSpec::of::<Forecast>(),
            OutputSpec::of::<FeederMove>(),
            OutputSpec::of::<Alarm>(),
            OutputSpec::of::<ModelVersion>(),
        ]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        self.learn(at, changes);
        let mut outlooks = Outlooks::new();
        for row in changes[4].events::<Outlook>() {
            let of_feeder = outlooks.entry(row.feeder_id.clone()).or_default();
            of_feeder.insert(row.target_at.0 / HOUR_MS, row);
        }
        let said = if outlooks.is_empty() {
            Said::default()
        } else if self.settings.issues_at(at) {
            self.zones.issue(at, &outlooks, &self.holidays)
        } else {
            self.zones.restate(at, &outlooks)
        };
        let mut versions = said.news.versions;
        // As by feeder, not before what is issued.
        versions.extend(self.obey(at, &changes[3]));
        vec![
            Forecast::to_batch(&said.forecasts),
            FeederMove::to_batch(&said.moves),
            Alarm::to_batch(&said.news.alarms),
            ModelVersion::to_batch(&versions),
        ]
    }

    // Whoever says something upwards is heard at the tick at which it is due.
    fn needs_every_tick(&self) -> bool {
        false
    }

    fn save(&self) -> Memory {
        save_by_key(&BTreeMap::from([(SYSTEM_ID.to_owned(), &self.zones)]))
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError> {
        let mut kept = BTreeMap::new();
        restore_by_key(&mut kept, memory)?;
        if let Some(zones) = kept.remove(SYSTEM_ID) {
            self.zones = zones;
            self.zones.keep_holidays(&self.holidays);
        }
        Ok(())
    }
}
