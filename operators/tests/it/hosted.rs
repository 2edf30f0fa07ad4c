//! The path in the dataflow says what the kernels say by hand, for any number of workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use arrow_array::ArrayRef;
use arrow_array::Float64Array;
use arrow_array::RecordBatch;
use arrow_schema::Field;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;
use differential_dataflow::input::Input;
use differential_dataflow::input::InputSession;
use operators::control;
use operators::error::HostError;
use operators::host::HostInput;
use operators::host::Rows;
use operators::kernel::Change;
use operators::settings::Settings;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::decision::ShortForecast;
use schemas::event::Command;
use schemas::event::LoadAnnotation;
use schemas::event::ModelOrder;
use schemas::event::Setpoint;
use schemas::reference::Asset;
use schemas::reference::Branch;
use schemas::reference::Bus;
use schemas::reference::Feeder;
use schemas::reference::LoadHistory;
use schemas::reference::Meter;
use schemas::reference::Point;
use schemas::reference::Transformer;
use schemas::relation::Relation;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::state::AssetState;
use schemas::state::BusVoltage;
use schemas::state::FeederNow;
use schemas::state::NodeHour;
use schemas::state::NodeQuarter;
use schemas::state::PlantHour;
use schemas::state::PlantQuarter;
use schemas::state::PointValue;
use schemas::state::SensorListed;
use schemas::state::SharedMeterHour;
use schemas::state::StaleSensor;
use schemas::state::SwitchState;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;

use crate::path::Path;
use crate::path::Shown;
use crate::path::Told;
use crate::path::came;
use crate::path::silence;
use crate::plant::Chance;
use crate::plant::DAY_AT;
use crate::plant::STEP_MS;

const FEEDERS: usize = 5;
const BATTERIES: usize = 3;
const TICKS: u64 = 80;

/// The tick at which the first quarter of the day is over.
const QUARTER_OVER: u64 = 12;

/// The tick after which nothing more is told.
fn end() -> Timestamp {
    first().plus(TICKS * STEP_MS)
}

/// The first tick: so that a quarter of an hour ends within the run.
fn first() -> Timestamp {
    DAY_AT.plus(14 * 60_000)
}

/// What is told at each tick; ticks without anything have no entry.
fn story(seed: u64) -> BTreeMap<Timestamp, Told> {
    let mut chance = Chance::new(seed);
    let mut heads = Shown::new(|row: &FeederNow| row.feeder_id.clone());
    let mut assets = Shown::new(|row: &AssetState| row.asset_id.clone());
    let mut voltages = Shown::new(|row: &BusVoltage| row.bus_id.clone());
    let mut story = BTreeMap::new();
    for n in 0..TICKS {
        let at = first().plus(n * STEP_MS);
        // Now and then nobody says anything, and each feeder is silent at times.
        if n % 13 == 7 {
            continue;
        }
        let mut told = silence();
        let speaks: Vec<usize> = (0..FEEDERS).filter(|_| chance.even() < 0.8).collect();
        let measured_at = at.minus(1_500);
        told.feeder_now = heads.show(speaks.iter().map(|f| FeederNow {
            feeder_id: format!("feeder-{f}"),
            measured_at,
            head_kw: 85.0 + 30.0 * chance.even(),
            limit_kw: 100.0,
        }));
        told.bus_voltage = voltages.show(speaks.iter().map(|f| BusVoltage {
            bus_id: format!("bus-{f}"),
            feeder_id: format!("feeder-{f}"),
            measured_at,
            voltage_pu: 0.88 + 0.05 * chance.even(),
            voltage_pu_min: 0.9,
            voltage_pu_max: 1.1,
        }));
        let mut said = Vec::new();
        for f in &speaks {
            for b in 0..BATTERIES {
                if chance.even() < 0.9 {
                    said.push(battery(*f, b, measured_at, &mut chance));
                }
            }
        }
        told.asset_state = assets.show(said);
        if chance.even() < 0.3 {
            told.commands.push(Command {
                command_id: format!("c-{n}"),
                actor: "trader".to_owned(),
                asset_id: format!("battery-{}-{}", n as usize % 7, n % 3),
                requested_at: measured_at,
                active_power_kw: 12.0 * chance.even() - 6.0,
            });
        }
        if n == 40 {
            told.stale_sensors = came(&(0..FEEDERS).map(|f| silent(f, at)).collect::<Vec<_>>());
            told.sensor_listed = came(&(0..FEEDERS).map(listed).collect::<Vec<_>>());
        }
        told.node_hour = came(&[NodeHour {
            bus_id: "bus-0".to_owned(),
            feeder_id: "feeder-0".to_owned(),
            hour_at: DAY_AT,
            net_load_kw: n as f64,
        }]);
        // A quarter is over; a minute and a half later one feeder's is corrected.
        if n == QUARTER_OVER || n == QUARTER_OVER + 18 {
            let feeders = if n == QUARTER_OVER { 0..FEEDERS } else { 1..2 };
            (told.node_quarter, told.plant_quarter) = ended(feeders, n);
        }
        if n == 2 {
            told.assets = came(&(0..FEEDERS).map(roof).collect::<Vec<_>>());
            told.plant_hour = came(&(0..FEEDERS).flat_map(given).collect::<Vec<_>>());
        }
        story.insert(at, told);
    }
    story
}

fn quarter(feeder: usize, n: u64) -> NodeQuarter {
    NodeQuarter {
        bus_id: format!("bus-{feeder}"),
        feeder_id: format!("feeder-{feeder}"),
        quarter_at: DAY_AT,
        net_load_kw: 40.0 + feeder as f64 + n as f64 / 8.0,
    }
}

fn roof(feeder: usize) -> Asset {
    Asset {
        asset_id: format!("pv-{feeder}"),
        kind: "pv".to_owned(),
        bus_id: format!("bus-{feeder}"),
        feeder_id: format!("feeder-{feeder}"),
        power_kw_min: 0.0,
        power_kw_max: 6.0,
        ramp_kw_max: 0.0,
        energy_kwh_max: 0.0,
        efficiency: 1.0,
    }
}

/// A quarter of feeders and of their roofs.
fn ended(feeders: std::ops::Range<usize>, n: u64) -> (Change, Change) {
    let of_roofs: Vec<PlantQuarter> = feeders.clone().map(|f| lit(f, n)).collect();
    (came(&feeders.map(|f| quarter(f, n)).collect::<Vec<_>>()), came(&of_roofs))
}

fn lit(feeder: usize, n: u64) -> PlantQuarter {
    PlantQuarter {
        asset_id: format!("pv-{feeder}"),
        feeder_id: format!("feeder-{feeder}"),
        quarter_at: DAY_AT,
        power_kw: 0.5 * feeder as f64 + n as f64 / 32.0,
    }
}

/// Sixteen days of a roof: enough for a model.
fn given(feeder: usize) -> Vec<PlantHour> {
    let row = |hour: u64| PlantHour {
        asset_id: format!("pv-{feeder}"),
        feeder_id: format!("feeder-{feeder}"),
        hour_at: Timestamp(DAY_AT.0 - hour * HOUR_MS),
        origin: "history".to_owned(),
        power_kw: ((hour % 24) as f64 - 8.0).clamp(0.0, 5.0)
            * (0.5 + (hour * hour % 7) as f64 / 14.0),
    };
    (1..=16 * 24).map(row).collect()
}

fn silent(feeder: usize, at: Timestamp) -> StaleSensor {
    StaleSensor {
        sensor_id: format!("sensor-{feeder}"),
        feeder_id: format!("feeder-{feeder}"),
        last_seen_at: Some(at.minus(60_000)),
        stale_after_ms: 30_000,
    }
}

fn listed(feeder: usize) -> SensorListed {
    SensorListed { sensor_id: format!("sensor-{feeder}"), feeder_id: format!("feeder-{feeder}") }
}

fn battery(feeder: usize, n: usize, measured_at: Timestamp, chance: &mut Chance) -> AssetState {
    AssetState {
        asset_id: format!("battery-{feeder}-{n}"),
        feeder_id: format!("feeder-{feeder}"),
        kind: "battery".to_owned(),
        power_kw_min: -5.0,
        power_kw_max: 5.0,
        ramp_kw_max: 8.0,
        energy_kwh_max: 6.4,
        efficiency: 0.95,
        measured_at: Some(measured_at),
        active_power_kw: Some(4.0 * chance.even() - 2.0),
        state_of_charge_kwh: Some(6.4 * chance.even()),
    }
}

fn history() -> Vec<LoadHistory> {
    let row = |feeder: usize, hour: u64| LoadHistory {
        bus_id: format!("bus-{feeder}"),
        feeder_id: format!("feeder-{feeder}"),
        hour_at: Timestamp(DAY_AT.0 - hour * HOUR_MS),
        net_load_kw: (feeder as u64 * 31 + hour * hour % 53) as f64,
    };
    (0..FEEDERS).flat_map(|feeder| (1..=168).map(move |hour| row(feeder, hour))).collect()
}

/// Where the feeders lie: two zones, and one feeder in none.
fn feeders() -> Vec<Feeder> {
    let row = |(feeder, zone): (usize, &str)| Feeder {
        feeder_id: format!("feeder-{feeder}"),
        zone_id: zone.to_owned(),
        ..Feeder::example()
    };
    ["a", "a", "b", "b", ""].into_iter().enumerate().map(row).collect()
}

/// What was said, as text by tick and relation, in an order of its own.
pub(crate) type Said = Vec<(u64, &'static str, String)>;

pub(crate) fn texts<R: Relation + std::fmt::Debug>(at: u64, rows: Vec<R>, said: &mut Said) {
    said.extend(rows.into_iter().map(|row| (at, R::NAME, format!("{row:?}"))));
}

/// The kernels by hand, stepped at every tick from the first.
fn by_hand(story: &BTreeMap<Timestamp, Told>) -> Said {
    let mut path = Path::new(&Settings::default());
    let mut said = Said::new();
    for n in 0..TICKS {
        let at = first().plus(n * STEP_MS);
        let quiet = silence();
        let mut told = quiet;
        if let Some(tick) = story.get(&at) {
            told = Told {
                commands: tick.commands.clone(),
                load_history: told.load_history,
                ..copy(tick)
            };
        }
        if n == 0 {
            told.load_history = came(&history());
            told.feeders = came(&feeders());
        }
        let out = path.step(at, &told);
        texts(at.0, out.forecasts, &mut said);
        texts(at.0, out.short, &mut said);
        texts(at.0, out.actions, &mut said);
        texts(at.0, out.alarms, &mut said);
        texts(at.0, out.setpoints, &mut said);
    }
    said.sort();
    said
}

fn copy(told: &Told) -> Told {
    Told {
        feeders: told.feeders.clone(),
        feeder_now: told.feeder_now.clone(),
        asset_state: told.asset_state.clone(),
        load_history: told.load_history.clone(),
        node_hour: told.node_hour.clone(),
        node_quarter: told.node_quarter.clone(),
        assets: told.assets.clone(),
        plant_hour: told.plant_hour.clone(),
        plant_quarter: told.plant_quarter.clone(),
        bus_voltage: told.bus_voltage.clone(),
        stale_sensors: told.stale_sensors.clone(),
        sensor_listed: told.sensor_listed.clone(),
        commands: told.commands.clone(),
    }
}

/// A view with its columns reversed and one more that nobody asked for.
pub(crate) fn as_view(batch: &RecordBatch) -> RecordBatch {
    let extra: ArrayRef =
        Arc::new((0..batch.num_rows()).map(|n| Some(n as f64)).collect::<Float64Array>());
    let schema = view_schema(&batch.schema());
    let mut columns: Vec<ArrayRef> = batch.columns().iter().rev().cloned().collect();
    columns.push(extra);
    RecordBatch::try_new(schema, columns).unwrap()
}

pub(crate) fn view_schema(relation: &SchemaRef) -> SchemaRef {
    let loose = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    let mut fields: Vec<Field> = relation.fields().iter().rev().map(loose).collect();
    fields.push(Field::new("extra", arrow_schema::DataType::Float64, true));
    Arc::new(Schema::new(fields))
}

/// The changes of a story by view: what to give at which time.
pub(crate) type Feed = BTreeMap<&'static str, Vec<(u64, Row, i64)>>;

fn feed(story: &BTreeMap<Timestamp, Told>) -> Feed {
    let mut feed = Feed::new();
    let mut add = |name: &'static str, at: u64, change: &Change| {
        let view = as_view(&change.batch);
        let rows = RowCodec::new(view.schema()).unwrap().rows(&view).unwrap();
        let updates = rows.into_iter().zip(&change.diffs).map(|(row, diff)| (at, row, *diff));
        feed.entry(name).or_default().extend(updates);
    };
    add(LoadHistory::NAME, 0, &came(&history()));
    add(Feeder::NAME, 0, &came(&feeders()));
    for (at, told) in story {
        add(FeederNow::NAME, at.0, &told.feeder_now);
        add(AssetState::NAME, at.0, &told.asset_state);
        add(NodeHour::NAME, at.0, &told.node_hour);
        add(NodeQuarter::NAME, at.0, &told.node_quarter);
        add(Asset::NAME, at.0, &told.assets);
        add(PlantHour::NAME, at.0, &told.plant_hour);
        add(PlantQuarter::NAME, at.0, &told.plant_quarter);
        add(BusVoltage::NAME, at.0, &told.bus_voltage);
        add(StaleSensor::NAME, at.0, &told.stale_sensors);
        add(SensorListed::NAME, at.0, &told.sensor_listed);
        add(Command::NAME, at.0, &came(&told.commands));
    }
    feed
}

pub(crate) fn schemas() -> BTreeMap<&'static str, SchemaRef> {
    BTreeMap::from([
        (LoadHistory::NAME, LoadHistory::schema()),
        (FeederNow::NAME, FeederNow::schema()),
        (AssetState::NAME, AssetState::schema()),
        (NodeHour::NAME, NodeHour::schema()),
        (NodeQuarter::NAME, NodeQuarter::schema()),
        (BusVoltage::NAME, BusVoltage::schema()),
        (StaleSensor::NAME, StaleSensor::schema()),
        (SensorListed::NAME, SensorListed::schema()),
        (Command::NAME, Command::schema()),
        // The estimator is hosted with them, and has nothing to estimate.
        (Asset::NAME, Asset::schema()),
        (Branch::NAME, Branch::schema()),
        (Bus::NAME, Bus::schema()),
        (Feeder::NAME, Feeder::schema()),
        (Meter::NAME, Meter::schema()),
        (Point::NAME, Point::schema()),
        (PlantHour::NAME, PlantHour::schema()),
        (PlantQuarter::NAME, PlantQuarter::schema()),
        (PointValue::NAME, PointValue::schema()),
        (SwitchState::NAME, SwitchState::schema()),
        (Transformer::NAME, Transformer::schema()),
        (LoadAnnotation::NAME, LoadAnnotation::schema()),
        (ModelOrder::NAME, ModelOrder::schema()),
        (SharedMeterHour::NAME, SharedMeterHour::schema()),
        (WeatherAhead::NAME, WeatherAhead::schema()),
        (WeatherHour::NAME, WeatherHour::schema()),
    ])
}

/// Collects an output as text.
pub(crate) fn collect<'s, R: Relation + std::fmt::Debug + 'static>(
    rows: &Rows<'s>,
    into: &Arc<Mutex<Said>>,
    probe: &ProbeHandle<u64>,
) {
    let into = into.clone();
    let codec = RowCodec::new(R::schema()).unwrap();
    let tell = move |(row, at, diff): &(Row, u64, i64)| {
        assert_eq!(*diff, 1, "what was decided is not taken back");
        let batch = codec.decode([row.as_bytes()].into_iter()).unwrap();
        texts::<R>(*at, R::from_batch(&batch).unwrap(), &mut into.lock().unwrap());
    };
    rows.clone().inspect(tell).probe_with(probe);
}

/// Gives a worker its share of the rows, whatever feeder they are of, and lets the inputs' clock
/// stop at these times.
pub(crate) fn drive(
    worker: &mut Worker,
    sessions: &mut BTreeMap<&str, InputSession<u64, Row, i64>>,
    feed: &Feed,
    probe: &ProbeHandle<u64>,
    stops: impl Iterator<Item = u64>,
) {
    for (name, updates) in feed {
        let session = sessions.get_mut(name).unwrap();
        for (n, (at, row, diff)) in updates.iter().enumerate() {
            if n % worker.peers() == worker.index() {
                session.update_at(row.clone(), *at, *diff);
            }
        }
    }
    for until in stops {
        for session in sessions.values_mut() {
            session.advance_to(until);
            session.flush();
        }
        while probe.less_than(&until) {
            worker.step();
        }
    }
}

/// The path hosted by workers. `jump`: the inputs' clock goes to the end at once, without a stop at
/// each tick.
fn hosted(story: &BTreeMap<Timestamp, Told>, workers: usize, jump: bool) -> Said {
    let said = Arc::new(Mutex::new(Said::new()));
    let (feed, into) = (feed(story), said.clone());
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let probe = ProbeHandle::new();
        let mut sessions: BTreeMap<&str, InputSession<u64, Row, i64>> = BTreeMap::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let mut views = BTreeMap::new();
            for (name, relation) in schemas() {
                let (session, rows) = scope.new_collection::<Row, i64>();
                sessions.insert(name, session);
                let schema = view_schema(&relation);
                views.insert(name.to_owned(), HostInput { rows, schema });
            }
            let out = control::build(scope, &views, &Settings::default(), None).unwrap();
            collect::<Forecast>(&out.forecasts, &into, &probe);
            collect::<ShortForecast>(&out.short, &into, &probe);
            collect::<Action>(&out.actions, &into, &probe);
            collect::<Alarm>(&out.alarms, &into, &probe);
            collect::<Setpoint>(&out.setpoints, &into, &probe);
        });
        let stops = if jump { TICKS..=TICKS } else { 0..=TICKS };
        let stops = stops.map(|n| first().plus(n * STEP_MS).0);
        drive(worker, &mut sessions, &feed, &probe, stops);
    });
    guards.unwrap().join().into_iter().for_each(|worker| worker.unwrap());
    let mut said = std::mem::take(&mut *said.lock().unwrap());
    said.sort();
    said
}

#[test]
fn one_two_and_three_workers_say_what_the_kernels_say_80_ticks_5_feeders() {
    let story = story(7);
    let expected = by_hand(&story);
    for relation in [Forecast::NAME, ShortForecast::NAME, Action::NAME, Alarm::NAME, Setpoint::NAME]
    {
        assert!(expected.iter().any(|(_, of, _)| *of == relation), "the story has no {relation}");
    }
    for scope in ["plant", "zone", "system"] {
        let word = format!("scope: \"{scope}\"");
        let mut quarters = expected.iter().filter(|(_, of, _)| *of == ShortForecast::NAME);
        assert!(quarters.any(|(_, _, text)| text.contains(&word)), "no quarters of a {scope}");
    }
    assert!(expected.iter().any(|(_, _, text)| text.contains("plant")), "no forecast of a plant");
    assert!(expected.iter().all(|(at, _, _)| *at < end().0));
    for workers in 1..=3 {
        for jump in [false, true] {
            let said = hosted(&story, workers, jump);
            assert_eq!(said.len(), expected.len(), "{workers} workers, jump {jump}");
            for (got, wanted) in said.iter().zip(&expected) {
                assert_eq!(got, wanted, "{workers} workers, jump {jump}");
            }
        }
    }
}

#[test]
fn a_missing_view_is_named() {
    timely::execute_directly(|worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let views = BTreeMap::new();
            let error = control::build(scope, &views, &Settings::default(), None).err().unwrap();
            let (agent, view) = ("forecast".to_owned(), "load_history".to_owned());
            assert_eq!(error, HostError::View { agent, view });
        });
    });
}
