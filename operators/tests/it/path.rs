//! The decision path without a dataflow: kernels stepped by hand, in the order that `control` wires
//! them.

use std::collections::BTreeMap;

use operators::detect::DetectKernel;
use operators::dispatch::DispatchKernel;
use operators::dispatch::kernel::QuarterSaid;
use operators::emit::EmitKernel;
use operators::emit::kernel::AssetSaid;
use operators::forecast::ForecastKernel;
use operators::forecast::SpreadKernel;
use operators::forecast::ZoneKernel;
use operators::forecast::plant::PlantKernel;
use operators::forecast::rows::FeederPlace;
use operators::forecast::short::AboveKernel;
use operators::forecast::short::PlantQuarterKernel;
use operators::forecast::short::ShortKernel;
use operators::forecast::short::kernel::HourSaid;
use operators::guard::GuardKernel;
use operators::kernel::Change;
use operators::kernel::Kernel;
use operators::request::RequestKernel;
use operators::request::kernel::AssetPlace;
use operators::settings::Settings;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::decision::ShortForecast;
use schemas::event::Command;
use schemas::event::LoadAnnotation;
use schemas::event::ModelOrder;
use schemas::event::Setpoint;
use schemas::reference::Asset;
use schemas::reference::LoadHistory;
use schemas::relation::Relation;
use schemas::state::AssetState;
use schemas::state::BusVoltage;
use schemas::state::FeederNow;
use schemas::state::NodeHour;
use schemas::state::NodeQuarter;
use schemas::state::PlantHour;
use schemas::state::PlantQuarter;
use schemas::state::SensorListed;
use schemas::state::SharedMeterHour;
use schemas::state::StaleSensor;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::Timestamp;

/// A view that is restated whole at each tick; gives what changed.
pub(crate) struct Shown<R> {
    key: fn(&R) -> String,
    rows: BTreeMap<String, R>,
}

impl<R: Relation + Clone + PartialEq> Shown<R> {
    pub(crate) fn new(key: fn(&R) -> String) -> Shown<R> {
        Shown { key, rows: BTreeMap::new() }
    }

    /// The changes from the rows shown last to these; keys that are not named stay as they were.
    pub(crate) fn show(&mut self, rows: impl IntoIterator<Item = R>) -> Change {
        let (mut changed, mut diffs) = (Vec::new(), Vec::new());
        for row in rows {
            let before = self.rows.insert((self.key)(&row), row.clone());
            if before.as_ref() == Some(&row) {
                continue;
            }
            for (row, diff) in before.map(|row| (row, -1)).into_iter().chain([(row, 1)]) {
                changed.push(row);
                diffs.push(diff);
            }
        }
        Change::of(&changed, diffs)
    }
}

/// Takes a change over into the rows as they stand.
pub(crate) fn apply<R: Relation + PartialEq>(rows: &mut Vec<R>, change: &Change) {
    for row in change.gone::<R>() {
        let at = rows.iter().position(|known| *known == row);
        rows.remove(at.expect("what goes was there"));
    }
    rows.extend(change.events::<R>());
}

/// Rows that came.
pub(crate) fn came<R: Relation>(rows: &[R]) -> Change {
    Change::of(rows, vec![1; rows.len()])
}

/// The three agents that forecast, in the order in which they are wired.
pub(crate) struct Foresight {
    forecast: ForecastKernel,
    zones: ZoneKernel,
    spread: SpreadKernel,
}

impl Foresight {
    pub(crate) fn new(settings: &Settings) -> Foresight {
        Foresight {
            forecast: ForecastKernel::new(settings.clone()),
            zones: ZoneKernel::new(settings.clone()),
            spread: SpreadKernel::new(settings.clone()),
        }
    }

    /// Forecasts of nodes and feeders, then of zones and the system; and what is told of models.
    pub(crate) fn step(
        &mut self,
        at: Timestamp,
        places: &Change,
        history: &Change,
        hours: &Change,
    ) -> ([Vec<Forecast>; 2], Vec<ModelVersion>) {
        let [sky, ahead] = [nothing::<WeatherHour>(), nothing::<WeatherAhead>()];
        let [notes, orders] = [nothing::<LoadAnnotation>(), nothing::<ModelOrder>()];
        let (history, hours) = (history.clone(), hours.clone());
        let meters = nothing::<SharedMeterHour>();
        let changes = [history, hours, sky.clone(), ahead.clone(), notes, orders.clone(), meters];
        let below = self.forecast.step(at, &changes);
        let [outlooks, ended] = [3, 4].map(|output| Change::came(below[output].clone()));
        let changes = [places.clone(), sky, ahead, orders, outlooks, ended];
        let above = self.zones.step(at, &changes);
        let changes = [Change::came(below[0].clone()), Change::came(above[1].clone())];
        let down = self.spread.step(at, &changes);
        let mut versions = rows::<ModelVersion>(&below[2]);
        versions.extend(rows::<ModelVersion>(&above[3]));
        ([rows(&down[0]), rows(&above[0])], versions)
    }
}

/// What is told to the path at a tick.
pub(crate) struct Told {
    pub(crate) feeders: Change,
    pub(crate) feeder_now: Change,
    pub(crate) asset_state: Change,
    pub(crate) load_history: Change,
    pub(crate) node_hour: Change,
    pub(crate) node_quarter: Change,
    pub(crate) assets: Change,
    pub(crate) plant_hour: Change,
    pub(crate) plant_quarter: Change,
    pub(crate) bus_voltage: Change,
    pub(crate) stale_sensors: Change,
    pub(crate) sensor_listed: Change,
    pub(crate) commands: Vec<Command>,
}

/// What the path says at a tick.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) forecasts: Vec<Forecast>,
    pub(crate) short: Vec<ShortForecast>,
    pub(crate) actions: Vec<Action>,
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) setpoints: Vec<Setpoint>,
}

/// All kernels.
pub(crate) struct Path {
    forecast: Foresight,
    short: ShortKernel,
    short_above: AboveKernel,
    short_plants: PlantQuarterKernel,
    plants: PlantKernel,
    dispatch: DispatchKernel,
    request: RequestKernel,
    guard: GuardKernel,
    emit: EmitKernel,
    detect: DetectKernel,
    /// Whether dispatch is told the quarters.
    pub(crate) by_quarter: bool,
}

impl Path {
    pub(crate) fn new(settings: &Settings) -> Path {
        Path {
            forecast: Foresight::new(settings),
            short: ShortKernel::new(settings.clone()),
            short_above: AboveKernel::new(settings.clone()),
            short_plants: PlantQuarterKernel::new(settings.clone()),
            plants: PlantKernel::new(settings.clone()),
            dispatch: DispatchKernel::new(settings.clone()),
            request: RequestKernel::new(settings.clone()),
            guard: GuardKernel::new(settings.clone()),
            emit: EmitKernel::new(settings.clone()),
            detect: DetectKernel::new(settings.clone()),
            by_quarter: true,
        }
    }

    pub(crate) fn step(&mut self, at: Timestamp, told: &Told) -> Said {
        let Told { feeder_now, asset_state, load_history, node_hour, commands, .. } = told;
        let ([mut forecasts, above], _) =
            self.forecast.step(at, &told.feeders, load_history, node_hour);
        let (assets, ended) = (told.assets.clone(), told.plant_hour.clone());
        let weather = (nothing::<WeatherHour>(), nothing::<WeatherAhead>());
        let changes = [assets, ended, weather.0, weather.1, nothing::<ModelOrder>()];
        let out_of_plants = self.plants.step(at, &changes).remove(0);
        let out = self.short.step(at, &[told.node_quarter.clone(), hours(&forecasts)]);
        let mut short = rows::<ShortForecast>(&out[0]);
        let [outlooks, ended] = [1, 2].map(|output| Change::came(out[output].clone()));
        let changes = [told.feeders.clone(), hours(&above), outlooks, ended];
        let out_above = self.short_above.step(at, &changes).remove(0);
        let of_plants = hours(&rows::<Forecast>(&out_of_plants));
        let changes = [told.assets.clone(), of_plants, told.plant_quarter.clone()];
        let out_plants = self.short_plants.step(at, &changes).remove(0);
        let told_short = if self.by_quarter { &short[..] } else { &[] };
        let quarters = narrow(&came(told_short), |row: ShortForecast| QuarterSaid {
            scope: row.scope,
            feeder_id: row.feeder_id,
            issued_at: row.issued_at,
            target_at: row.target_at,
            p90_kw: row.p90_kw,
        });
        let inputs = [feeder_now.clone(), asset_state.clone(), came(&forecasts), quarters];
        let mut proposed = rows::<Action>(&self.dispatch.step(at, &inputs)[0]);
        let places = narrow(asset_state, |row: AssetState| AssetPlace {
            asset_id: row.asset_id,
            feeder_id: row.feeder_id,
        });
        let out = self.request.step(at, &[came(commands), places]);
        proposed.extend(rows::<Action>(&out[0]));
        let inputs = [came(&proposed), feeder_now.clone(), asset_state.clone()];
        let out = self.guard.step(at, &inputs);
        let (judged, mut alarms) = (rows::<Action>(&out[0]), rows::<Alarm>(&out[1]));
        let said = narrow(asset_state, |row: AssetState| AssetSaid {
            asset_id: row.asset_id,
            feeder_id: row.feeder_id,
            measured_at: row.measured_at,
            active_power_kw: row.active_power_kw,
        });
        let out = self.emit.step(at, &[came(&judged), said]);
        let setpoints = rows::<Setpoint>(&out[1]);
        let mut actions = proposed;
        actions.extend(judged);
        actions.extend(rows::<Action>(&out[0]));
        forecasts.extend(rows::<Forecast>(&out_of_plants));
        let limits = [
            told.bus_voltage.clone(),
            feeder_now.clone(),
            told.stale_sensors.clone(),
            told.sensor_listed.clone(),
        ];
        let out = self.detect.step(at, &limits);
        alarms.extend(rows::<Alarm>(&out[0]));
        forecasts.extend(above);
        short.extend(rows::<ShortForecast>(&out_above));
        short.extend(rows::<ShortForecast>(&out_plants));
        Said { forecasts, short, actions, alarms, setpoints }
    }
}

fn rows<R: Relation>(batch: &arrow_array::RecordBatch) -> Vec<R> {
    R::from_batch(batch).unwrap()
}

/// What the agents of quarters are told of hours.
fn hours(forecasts: &[Forecast]) -> Change {
    narrow(&came(forecasts), |row: Forecast| HourSaid {
        scope: row.scope,
        subject_id: row.subject_id,
        feeder_id: row.feeder_id,
        issued_at: row.issued_at,
        target_at: row.target_at,
        p10_kw: row.p10_kw,
        p50_kw: row.p50_kw,
        p90_kw: row.p90_kw,
    })
}

fn narrow<A: Relation, B: Relation>(change: &Change, to: fn(A) -> B) -> Change {
    let (rows, diffs): (Vec<B>, Vec<i64>) =
        change.rows::<A>().map(|(row, diff)| (to(row), diff)).unzip();
    Change::of(&rows, diffs)
}

/// Nothing of a relation.
pub(crate) fn nothing<R: Relation>() -> Change {
    Change::none(R::schema())
}

/// The views' empty changes.
pub(crate) fn silence() -> Told {
    Told {
        feeders: nothing::<FeederPlace>(),
        feeder_now: nothing::<FeederNow>(),
        asset_state: nothing::<AssetState>(),
        load_history: nothing::<LoadHistory>(),
        node_hour: nothing::<NodeHour>(),
        node_quarter: nothing::<NodeQuarter>(),
        assets: nothing::<Asset>(),
        plant_hour: nothing::<PlantHour>(),
        plant_quarter: nothing::<PlantQuarter>(),
        bus_voltage: nothing::<BusVoltage>(),
        stale_sensors: nothing::<StaleSensor>(),
        sensor_listed: nothing::<SensorListed>(),
        commands: Vec::new(),
    }
}
