//! Every shipped view, maintained, against the same SQL asked once in batch DataFusion over the
//! input so far: at every tick, with one, two and three workers.
//!
//! The input is random by seed: readings on time, late, corrected, repeated; a meter that moves to
//! another feeder (a retraction in a reference table, which restates history); prices published
//! twice; rows that grow older than
//! `retain`. Powers are multiples of 2^-10 kW below 2^20, so sums and means must be equal bit for
//! bit; what is computed from quotients is compared to 1e-9.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimestampMillisecondType;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use gridloom::wiring::views;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::views::store::Views;
use pipeline::workers::TickInput;
use pipeline::workers::Workers;
use proptest::prelude::ProptestConfig;
use proptest::prelude::any;
use proptest::proptest;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;
use schemas::contract::ViewReader;
use schemas::decision::Forecast;
use schemas::event::AssetTelemetry;
use schemas::event::MeterReading;
use schemas::event::Price;
use schemas::event::ScadaMeasurement;
use schemas::event::SwitchPosition;
use schemas::event::WeatherObservation;
use schemas::plan::Expiry;
use schemas::plan::ViewPlan;
use schemas::reference::Asset;
use schemas::reference::Bus;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::reference::Sensor;
use schemas::reference::Switch;
use schemas::reference::Zone;
use schemas::relation::Relation;
use schemas::time::HOUR_MS;
use schemas::time::Step;
use schemas::time::Timestamp;

/// 31 August 2016, 20:00.
const BEGIN_MS: u64 = 1_472_673_600_000;
/// Long steps, so that a few dozen ticks span several retentions.
const STEP_MS: u64 = 300_000;
const RETAIN_MS: u64 = HOUR_MS;

/// Changes of one relation at one tick: the rows, and whether they come or go.
pub(crate) type Change = (String, RecordBatch, i64);

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A multiple of 2^-10 between -8 and 8.
    fn kw(&mut self) -> f64 {
        self.below(16_384) as f64 / 1_024.0 - 8.0
    }

    /// An event time: mostly within the tick that ends at `tick`, sometimes up to 40 minutes
    /// before.
    fn time(&mut self, tick: u64) -> Timestamp {
        let back = if self.chance(15) { self.below(2_400) } else { self.below(STEP_MS / 1_000) };
        Timestamp(tick - 1_000 - back * 1_000)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers make the rows in the call")]
fn change<R: Relation>(rows: Vec<R>) -> Change {
    (R::NAME.to_owned(), R::to_batch(&rows), 1)
}

fn tables() -> Vec<Change> {
    let text = str::to_owned;
    let bus = |i: usize| Bus {
        bus_id: format!("bus-{i}"),
        feeder_id: format!("feeder-{}", i % 2),
        nominal_kv: 0.4,
        voltage_pu_min: 0.9,
        voltage_pu_max: 1.1,
    };
    let feeder = |i: usize| Feeder {
        feeder_id: format!("feeder-{i}"),
        zone_id: format!("zone-{i}"),
        head_branch_id: format!("head-{i}"),
        limit_kw: 10.0 + i as f64,
    };
    let sensor = |i: usize, quantity: &str| Sensor {
        sensor_id: format!("sensor-{i}"),
        bus_id: format!("bus-{}", i % 4),
        feeder_id: format!("feeder-{}", i % 2),
        quantity: text(quantity),
        stale_after_ms: 900_000,
    };
    let asset = |i: usize| Asset {
        asset_id: format!("battery-{i}"),
        kind: text(if i == 2 { "pv" } else { "battery" }),
        bus_id: format!("bus-{i}"),
        feeder_id: format!("feeder-{}", i % 2),
        power_kw_min: -5.0,
        power_kw_max: 5.0,
        ramp_kw_max: if i == 2 { 0.0 } else { 5.0 },
        energy_kwh_max: 6.4,
        efficiency: 0.95,
    };
    let zone = |i: usize| Zone {
        zone_id: format!("zone-{i}"),
        name: format!("Zone {i}"),
        currency: text("USD"),
    };
    let switch = |i: usize| Switch {
        switch_id: format!("switch-{i}"),
        branch_id: format!("branch-{i}"),
        feeder_id: format!("feeder-{}", i % 2),
        normal_position: text("closed"),
    };
    vec![
        change((0..4).map(bus).collect()),
        change((0..2).map(feeder).collect()),
        change((0..5).map(|i| meter(i, i % 2)).collect()),
        change(vec![
            sensor(0, "voltage_pu"),
            sensor(1, "voltage_pu"),
            sensor(2, "head_active_power_kw"),
            sensor(3, "head_active_power_kw"),
        ]),
        change((0..3).map(asset).collect()),
        change((0..2).map(zone).collect()),
        change((0..2).map(switch).collect()),
    ]
}

fn meter(i: usize, feeder: usize) -> Meter {
    Meter {
        meter_id: format!("meter-{i}"),
        bus_id: format!("bus-{}", i % 4),
        feeder_id: format!("feeder-{feeder}"),
        origin: "measured".to_owned(),
    }
}

/// What arrives at one tick.
fn arrivals(random: &mut Random, tick: u64) -> Vec<Change> {
    let mut readings = Vec::new();
    for i in 0..5 {
        for _ in 0..1 + random.below(2) {
            if random.chance(80) {
                readings.push(MeterReading {
                    meter_id: format!("meter-{i}"),
                    measured_at: random.time(tick),
                    active_power_kw: random.kw(),
                    energy_import_kwh: random.chance(50).then(|| random.kw()),
                    energy_export_kwh: None,
                    quality: "good".to_owned(),
                    revision: random.below(2) as i64,
                });
            }
        }
    }
    if random.chance(20) {
        readings.extend(readings.first().cloned());
    }
    let mut scada = Vec::new();
    for i in 0..4 {
        if random.chance(60) {
            scada.push(ScadaMeasurement {
                sensor_id: format!("sensor-{i}"),
                measured_at: random.time(tick),
                value: random.below(4_096) as f64 / 1_024.0,
                quality_bits: 0,
            });
        }
    }
    let mut telemetry = Vec::new();
    for i in 0..3 {
        if random.chance(60) {
            telemetry.push(AssetTelemetry {
                asset_id: format!("battery-{i}"),
                measured_at: random.time(tick),
                active_power_kw: random.kw(),
                state_of_charge_kwh: random
                    .chance(90)
                    .then(|| random.below(6_144) as f64 / 1_024.0),
            });
        }
    }
    let mut switches = Vec::new();
    if random.chance(30) {
        switches.push(SwitchPosition {
            switch_id: "switch-0".to_owned(),
            changed_at: random.time(tick),
            position: ["open", "closed"][random.below(2) as usize].to_owned(),
        });
    }
    let mut weather = Vec::new();
    if random.chance(40) {
        weather.push(WeatherObservation {
            station_id: "station-1".to_owned(),
            observed_at: random.time(tick),
            temperature_c: random.kw(),
            humidity_percent: None,
            diffuse_w_per_m2: None,
            direct_w_per_m2: Some(random.kw()),
            wind_m_per_s: None,
        });
    }
    let mut prices = Vec::new();
    for zone in 0..2 {
        if random.chance(40) {
            let hour = (tick / HOUR_MS + random.below(3)) * HOUR_MS - HOUR_MS;
            prices.push(Price {
                zone_id: format!("zone-{zone}"),
                product: "tariff".to_owned(),
                published_at: random.time(tick),
                delivery_start_at: Timestamp(hour),
                delivery_end_at: Timestamp(hour + HOUR_MS),
                price_per_mwh: random.below(1_024) as f64 / 4.0,
            });
        }
    }
    let mut forecasts = Vec::new();
    if random.chance(40) {
        let hour = tick / HOUR_MS * HOUR_MS - random.below(2) * HOUR_MS;
        forecasts.push(Forecast {
            scope: "node".to_owned(),
            subject_id: format!("bus-{}", random.below(4)),
            feeder_id: "feeder-0".to_owned(),
            issued_at: Timestamp(tick),
            target_at: Timestamp(hour),
            p10_kw: -4.0,
            p50_kw: random.kw(),
            p90_kw: 4.0,
            model_version: "test".to_owned(),
        });
    }
    let mut changes = vec![
        change(readings),
        change(scada),
        change(telemetry),
        change(switches),
        change(weather),
        change(prices),
        change(forecasts),
    ];
    changes.retain(|(_, rows, _)| rows.num_rows() > 0);
    changes
}

/// The whole input by tick. Half-way a meter moves to the other feeder, and its history with it.
fn input(seed: u64, ticks: u64) -> Vec<(u64, Vec<Change>)> {
    let mut random = Random(seed);
    let mut input = Vec::new();
    for n in 1..=ticks {
        let tick = BEGIN_MS + n * STEP_MS;
        let mut changes = if n == 1 { tables() } else { Vec::new() };
        if n == ticks / 2 {
            let (name, old, _) = change(vec![meter(1, 1)]);
            changes.push((name, old, -1));
            changes.push(change(vec![meter(1, 0)]));
        }
        changes.extend(arrivals(&mut random, tick));
        input.push((tick, changes));
    }
    input
}

fn catalog() -> Catalog {
    let built_in = Catalog::built_in();
    let mut catalog = built_in.clone();
    for stream in built_in.streams() {
        let mut stream = stream.clone();
        (stream.lateness_ms, stream.retain_ms) = (RETAIN_MS, RETAIN_MS);
        catalog.add_stream(stream);
    }
    catalog
}

fn plans(catalog: &Catalog) -> Vec<ViewPlan> {
    let texts: Vec<&str> = queries::shipped().iter().map(|(_, text)| *text).collect();
    views::plan(catalog, &texts).unwrap_or_else(|failed| panic!("{failed:?}"))
}

/// The views after each tick, maintained by `workers` workers.
fn maintained(
    workers: usize,
    catalog: &Catalog,
    input: &[(u64, Vec<Change>)],
) -> Vec<BTreeMap<String, RecordBatch>> {
    let step = Step::from_millis(STEP_MS).unwrap();
    let mut flow = views::flow(catalog, plans(catalog), None, step);
    let decisions = [(Forecast::NAME.to_owned(), Forecast::schema())];
    flow.inputs.extend(decisions);
    let store = Views::new(&flow.published()).unwrap();
    let mut running = Workers::start(&flow, workers).unwrap();
    let mut after = Vec::new();
    for (tick, changes) in input {
        let mut deltas = Vec::new();
        for (name, batch, diff) in changes {
            if let Some(index) = flow.inputs.iter().position(|(input, _)| input == name) {
                let (batch, diffs) = (batch.clone(), Diffs::All(*diff));
                deltas.push((index, DeltaBatch { time: *tick, batch, diffs }));
            }
        }
        running.submit(TickInput { tick: Timestamp(*tick), deltas }).unwrap();
        let output = loop {
            if let Some(output) = running.finished(Duration::from_secs(10)).unwrap() {
                break output;
            }
        };
        store.apply(output.tick, output.published);
        let rows = |(name, _): (String, SchemaRef)| {
            let snapshot = store.snapshot(&name).unwrap();
            assert!(snapshot.faults.is_empty(), "{name}: {:?}", snapshot.faults);
            (name, snapshot.rows)
        };
        after.push(store.views().into_iter().map(rows).collect());
    }
    after
}

/// The rows of a relation that its retention has not taken yet.
fn retained(catalog: &Catalog, name: &str, rows: &RecordBatch, tick: u64) -> RecordBatch {
    let (column, retain_ms) = match &catalog.get(name).unwrap().kind {
        RelationKind::Stream(s) => {
            (rows.schema().index_of(&s.def.event_time).unwrap(), s.retain_ms)
        }
        _ => return rows.clone(),
    };
    if retain_ms == 0 {
        return rows.clone();
    }
    let expiry = Expiry { column, retain_ms };
    let times = rows.column(column).as_primitive::<TimestampMillisecondType>();
    let stands = |at: i64| expiry.at(Timestamp(at as u64)).0 > tick;
    let keep = times.values().iter().map(|at| Some(stands(*at))).collect();
    filter_record_batch(rows, &keep).unwrap()
}

/// The views after each tick, asked once over everything so far.
pub(crate) fn asked(
    catalog: &Catalog,
    input: &[(u64, Vec<Change>)],
) -> Vec<BTreeMap<String, RecordBatch>> {
    let plans = plans(catalog);
    let mut so_far: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
    let mut after = Vec::new();
    for (tick, changes) in input {
        for (name, batch, diff) in changes {
            let rows = so_far.entry(name.clone()).or_default();
            if *diff > 0 {
                rows.push(batch.clone());
            } else {
                // Only a single meter is ever taken away.
                let gone = batch.column(0).as_string::<i32>().value(0).to_owned();
                for rows in rows.iter_mut() {
                    let names = rows.column(0).as_string::<i32>();
                    let keep = names.iter().map(|name| Some(name != Some(&gone))).collect();
                    *rows = filter_record_batch(rows, &keep).unwrap();
                }
            }
        }
        let mut tables: BTreeMap<String, Rows> = BTreeMap::new();
        for (name, info) in catalog.iter() {
            let pieces = so_far.get(name).cloned().unwrap_or_default();
            let rows = concat_batches(&info.schema, &pieces).unwrap();
            let rows = retained(catalog, name, &rows, *tick);
            tables.insert(name.to_owned(), Rows::of(rows));
        }
        let mut views = BTreeMap::new();
        for plan in &plans {
            let rows = queries::batch::query(&tables, &plan.sql, Timestamp(*tick));
            let rows = rows.unwrap_or_else(|e| panic!("{}: {e}", plan.name));
            let rows = if rows.num_columns() == 0 {
                RecordBatch::new_empty(plan.root.schema.clone())
            } else {
                rows
            };
            tables.insert(plan.name.clone(), Rows::of(rows.clone()));
            views.insert(plan.name.clone(), rows);
        }
        after.push(views);
    }
    after
}

/// The rows as text for what must be equal and as numbers for what may differ in the last digits.
fn comparable(rows: &RecordBatch) -> Vec<(String, Vec<Option<f64>>)> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<&Arc<dyn Array>> = rows.columns().iter().collect();
    let mut all: Vec<(String, Vec<Option<f64>>)> = (0..rows.num_rows())
        .map(|row| {
            let (mut text, mut numbers) = (String::new(), Vec::new());
            for column in &columns {
                if *column.data_type() == DataType::Float64 {
                    let floats = column.as_primitive::<Float64Type>();
                    numbers.push(floats.is_valid(row).then(|| floats.value(row) + 0.0));
                } else {
                    let shown = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
                    text.push_str(&shown.value(row).to_string());
                    text.push('|');
                }
            }
            (text, numbers)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| format!("{:?}", a.1).cmp(&format!("{:?}", b.1))));
    all
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-9 * (a.abs() + b.abs() + 1.0),
        (a, b) => a.is_none() && b.is_none(),
    }
}

#[track_caller]
pub(crate) fn check_equal(what: &str, maintained: &RecordBatch, asked: &RecordBatch) {
    let (maintained, asked) = (comparable(maintained), comparable(asked));
    let texts = |rows: &[(String, Vec<Option<f64>>)]| {
        rows.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&maintained), texts(&asked), "{what}");
    for (m, a) in maintained.iter().zip(&asked) {
        let equal = m.1.len() == a.1.len() && m.1.iter().zip(&a.1).all(|(m, a)| close(*m, *a));
        assert!(equal, "{what}: maintained {m:?}, asked {a:?}");
    }
}

fn check_all(seed: u64, ticks: u64) {
    let (catalog, input) = (catalog(), input(seed, ticks));
    let asked = asked(&catalog, &input);
    let mut rows = BTreeMap::<&str, usize>::new();
    for workers in 1..=3 {
        let maintained = maintained(workers, &catalog, &input);
        for (n, (maintained, asked)) in maintained.iter().zip(&asked).enumerate() {
            for (view, asked) in asked {
                let what = format!("seed {seed}, {workers} workers, tick {}, {view}", n + 1);
                check_equal(&what, &maintained[view], asked);
                *rows.entry(view).or_default() += asked.num_rows();
            }
        }
    }
    // An oracle that compares nothing with nothing proves nothing.
    if ticks >= 30 {
        let empty: Vec<_> = rows.iter().filter(|(_, n)| **n == 0).collect();
        assert!(empty.is_empty(), "views without a single row in the whole run: {empty:?}");
    }
}

#[test]
fn shipped_views_equal_batch_40_ticks_3_workers() {
    check_all(7, 40);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn shipped_views_equal_batch_random_3_workers(seed in any::<u64>(), ticks in 1u64..20) {
        check_all(seed, ticks);
    }
}
