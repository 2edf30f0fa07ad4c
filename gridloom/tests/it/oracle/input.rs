//! Random input by seed: what arrives at each tick, and what is taken away.
//!
//! Readings come on time, late, corrected, repeated, and some with values that nobody can sum.
//! Rows of reference tables come, go and change all the time, so that both sides of every join
//! restate history. Powers and prices are multiples of 2^-10 up to 2^20; the wind is any double.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use schemas::catalog::Catalog;
use schemas::decision::Action;
use schemas::decision::Forecast;
use schemas::decision::ShortForecast;
use schemas::event::AssetTelemetry;
use schemas::event::MeterReading;
use schemas::event::Price;
use schemas::event::ScadaMeasurement;
use schemas::event::SwitchPosition;
use schemas::event::WeatherForecast;
use schemas::event::WeatherObservation;
use schemas::reference::Asset;
use schemas::reference::Bus;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::reference::Point;
use schemas::reference::Sensor;
use schemas::reference::Switch;
use schemas::reference::Zone;
use schemas::relation::Relation;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

/// 31 August 2016, 20:00.
const BEGIN_MS: u64 = 1_472_673_600_000;
/// Long steps, so that a few dozen ticks span several retentions.
pub(crate) const STEP_MS: u64 = 300_000;
const RETAIN_MS: u64 = HOUR_MS;
/// Shorter than what is retained, so that groups are settled for some ticks before they go.
const LATENESS_MS: u64 = 20 * 60_000;

/// What no sum takes.
const TOO_LARGE: f64 = 1e300;

/// Changes of one relation at one tick: the rows, and whether they come or go.
pub(crate) type Change = (String, RecordBatch, i64);

/// The built-in relations, with short retention.
pub(crate) fn catalog() -> Catalog {
    let built_in = Catalog::built_in();
    let mut catalog = built_in.clone();
    for stream in built_in.streams() {
        let mut stream = stream.clone();
        (stream.lateness_ms, stream.retain_ms) = (LATENESS_MS, RETAIN_MS);
        catalog.add_stream(stream);
    }
    catalog
}

/// The whole input by tick.
pub(crate) fn input(seed: u64, ticks: u64) -> Vec<(u64, Vec<Change>)> {
    let mut random = Random(seed);
    let mut tables = Tables::default();
    let mut wrong = Vec::new();
    let mut input = Vec::new();
    for n in 1..=ticks {
        let tick = BEGIN_MS + n * STEP_MS;
        let mut changes = if n == 1 { tables.all() } else { tables.some(&mut random) };
        changes.push(readings(&mut random, tick, &mut wrong));
        changes.push(scada(&mut random, tick));
        changes.push(telemetry(&mut random, tick));
        changes.push(switches(&mut random, tick));
        changes.push(weather(&mut random, tick));
        changes.push(prices(&mut random, tick));
        changes.push(weather_ahead(&mut random, tick));
        changes.push(forecasts(&mut random, tick));
        changes.push(actions(&mut random, tick));
        changes.push(short_forecasts(&mut Random(seed ^ tick), tick));
        changes.retain(|(_, rows, _)| rows.num_rows() > 0);
        input.push((tick, changes));
    }
    input
}

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

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    /// A multiple of 2^-10 between -2^20 and 2^20.
    fn kw(&mut self) -> f64 {
        self.below(1 << 31) as f64 / 1_024.0 - 1_048_576.0
    }

    /// Any double between -10^6 and 10^6, of any magnitude.
    fn double(&mut self) -> f64 {
        let x = self.next() as f64 / u64::MAX as f64 - 0.5;
        x * 2.0 * 10f64.powi(self.below(9) as i32 - 2)
    }

    /// An event time: mostly within the tick that ends at `tick`, sometimes as late as may be.
    fn time(&mut self, tick: u64) -> Timestamp {
        let late = LATENESS_MS / 1_000;
        let back = if self.chance(15) { self.below(late) } else { self.below(STEP_MS / 1_000) };
        Timestamp(tick - 1_000 - back * 1_000)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers make the rows in the call")]
fn change<R: Relation>(rows: Vec<R>) -> Change {
    (R::NAME.to_owned(), R::to_batch(&rows), 1)
}

/// The reference tables: of each row, what it may be, and what it is if it is there.
struct Tables(BTreeMap<&'static str, Vec<Choices>>);

/// What a row may be, and which of these it is if it is there.
type Choices = (Vec<RecordBatch>, Option<usize>);

impl Default for Tables {
    fn default() -> Tables {
        let mut tables = Tables(BTreeMap::new());
        tables.add(4, |i, other| Bus {
            bus_id: format!("bus-{i}"),
            feeder_id: format!("feeder-{}", (i + other) % 2),
            nominal_kv: 0.4,
            voltage_pu_min: 0.9,
            voltage_pu_max: 1.1,
        });
        tables.add(2, |i, other| Feeder {
            feeder_id: format!("feeder-{i}"),
            zone_id: format!("zone-{}", (i + other) % 2),
            head_branch_id: format!("head-{i}"),
            limit_kw: 10.0 + ((i + other) % 2) as f64,
        });
        tables.add(5, |i, other| Meter {
            meter_id: format!("meter-{i}"),
            bus_id: format!("bus-{}", (i + other) % 4),
            feeder_id: format!("feeder-{}", (i + other) % 2),
            origin: "measured".to_owned(),
        });
        tables.add(4, |i, other| Sensor {
            sensor_id: format!("sensor-{i}"),
            bus_id: format!("bus-{}", (i + other) % 4),
            feeder_id: format!("feeder-{}", i % 2),
            quantity: ["voltage_pu", "head_active_power_kw"][(i / 2 + other) % 2].to_owned(),
            stale_after_ms: 900_000 + 90_000 * other as i64,
        });
        tables.add(4, |i, other| Point {
            point_id: [format!("meter-{i}"), format!("sensor-{i}")][(i + other) % 2].clone(),
            feeder_id: format!("feeder-{}", (i + other) % 2),
            element: "bus".to_owned(),
            element_id: format!("bus-{i}"),
            side: None,
            quantity: "voltage_pu".to_owned(),
            scale: 1.0,
            sigma: 0.005,
            drift_per_s: 0.0,
            averaged_over_ms: 0,
            stale_after_ms: 30_000,
            sigma_share: None,
            value_min: None,
            value_max: None,
        });
        tables.add(3, |i, other| Asset {
            asset_id: format!("battery-{i}"),
            kind: if i == 2 { "pv" } else { "battery" }.to_owned(),
            bus_id: format!("bus-{}", i + other),
            feeder_id: format!("feeder-{}", i % 2),
            power_kw_min: -5.0,
            power_kw_max: 5.0,
            ramp_kw_max: if i == 2 { 0.0 } else { 5.0 },
            energy_kwh_max: 6.4,
            efficiency: 0.95,
        });
        tables.add(2, |i, other| Zone {
            zone_id: format!("zone-{i}"),
            name: format!("Zone {}", i + 2 * other),
            currency: "USD".to_owned(),
        });
        tables.add(2, |i, other| Switch {
            switch_id: format!("switch-{i}"),
            branch_id: format!("branch-{i}"),
            feeder_id: format!("feeder-{}", i % 2),
            normal_position: ["closed", "open"][other].to_owned(),
        });
        tables
    }
}

impl Tables {
    /// Adds a table of so many rows, each of which may be one of two.
    fn add<R: Relation>(&mut self, rows: usize, row: impl Fn(usize, usize) -> R) {
        let either = |i: usize| (0..2).map(|other| R::to_batch(&[row(i, other)])).collect();
        self.0.insert(R::NAME, (0..rows).map(|i| (either(i), None)).collect());
    }

    /// Every row comes.
    fn all(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (name, rows) in &mut self.0 {
            for (either, there) in rows {
                *there = Some(0);
                changes.push(((*name).to_owned(), either[0].clone(), 1));
            }
        }
        changes
    }

    /// One row in eight goes if it is there, or becomes the other one; what is not there comes.
    fn some(&mut self, random: &mut Random) -> Vec<Change> {
        let mut changes = Vec::new();
        for (name, rows) in &mut self.0 {
            for (either, there) in rows {
                if !random.chance(12) {
                    continue;
                }
                let next = match *there {
                    Some(_) if random.chance(50) => None,
                    Some(one) => Some(1 - one),
                    None => Some(random.below(2) as usize),
                };
                let mut change = |one: usize, diff| {
                    changes.push(((*name).to_owned(), either[one].clone(), diff));
                };
                there.iter().for_each(|one| change(*one, -1));
                next.iter().for_each(|one| change(*one, 1));
                *there = next;
            }
        }
        changes
    }
}

/// Readings of five meters; `wrong` are those with values that are too large, some of which are
/// corrected a tick later.
fn readings(random: &mut Random, tick: u64, wrong: &mut Vec<MeterReading>) -> Change {
    let mut readings = Vec::new();
    for mut reading in wrong.drain(..) {
        if random.chance(50) {
            (reading.active_power_kw, reading.revision) = (random.kw(), 1);
            readings.push(reading);
        }
    }
    for i in 0..5 {
        for _ in 0..1 + random.below(2) {
            if random.chance(80) {
                let measured_at = random.time(tick);
                readings.push(reading(random, i, measured_at));
            }
        }
    }
    if random.chance(20) {
        readings.extend(readings.last().cloned());
    }
    for i in 0..5 {
        if random.chance(4) {
            // At a time of its own: of what is left out no other revision may take the place.
            let mut reading = reading(random, i, Timestamp(tick - 500));
            (reading.active_power_kw, reading.revision) = (random.of(&[TOO_LARGE, -1e14]), 0);
            readings.push(reading.clone());
            wrong.push(reading);
        }
    }
    change(readings)
}

fn reading(random: &mut Random, meter: usize, measured_at: Timestamp) -> MeterReading {
    let import = [Some(random.kw()), Some(random.kw()), None, Some(1e9), Some(TOO_LARGE)];
    let export = [None, Some(0.5), Some(1.25), Some(3.0)];
    // Fits its decimal, but a mean of it does not.
    let export_kwh = if random.chance(2) { Some(9e26) } else { random.of(&export) };
    MeterReading {
        meter_id: format!("meter-{meter}"),
        measured_at,
        active_power_kw: random.kw(),
        energy_import_kwh: random.of(&import),
        energy_export_kwh: export_kwh,
        quality: random.of(&["good", "good", "estimated", "suspect"]).to_owned(),
        revision: random.below(3) as i64,
    }
}

/// Measurements, some of which say that they are invalid.
fn scada(random: &mut Random, tick: u64) -> Change {
    let mut scada = Vec::new();
    for i in 0..4 {
        if random.chance(60) {
            scada.push(ScadaMeasurement {
                sensor_id: format!("sensor-{i}"),
                measured_at: random.time(tick),
                value: random.below(4_096) as f64 / 1_024.0,
                quality_bits: random.of(&[0, 0, 0, 16, 64, 128, 192]),
            });
        }
    }
    change(scada)
}

fn telemetry(random: &mut Random, tick: u64) -> Change {
    let mut telemetry = Vec::new();
    for i in 0..3 {
        if random.chance(60) {
            telemetry.push(AssetTelemetry {
                asset_id: format!("battery-{i}"),
                measured_at: random.time(tick),
                active_power_kw: if random.chance(8) { TOO_LARGE } else { random.kw() },
                state_of_charge_kwh: random
                    .chance(90)
                    .then(|| random.below(6_144) as f64 / 1_024.0),
            });
        }
    }
    change(telemetry)
}

fn switches(random: &mut Random, tick: u64) -> Change {
    let mut switches = Vec::new();
    if random.chance(30) {
        switches.push(SwitchPosition {
            switch_id: "switch-0".to_owned(),
            changed_at: random.time(tick),
            position: random.of(&["open", "closed"]).to_owned(),
        });
    }
    change(switches)
}

fn weather(random: &mut Random, tick: u64) -> Change {
    let mut weather = Vec::new();
    for i in 0..2 {
        if random.chance(60) {
            weather.push(WeatherObservation {
                station_id: format!("station-{i}"),
                observed_at: random.time(tick),
                temperature_c: temperature(random),
                humidity_percent: None,
                diffuse_w_per_m2: None,
                direct_w_per_m2: Some(if random.chance(50) { random.kw() } else { 512.0 }),
                wind_m_per_s: random.chance(90).then(|| random.below(1 << 16) as f64 / 1_024.0),
            });
        }
    }
    change(weather)
}

/// One that there is, one that there is not, one that no sum takes.
fn temperature(random: &mut Random) -> f64 {
    match random.below(10) {
        0 => TOO_LARGE,
        1..4 => random.kw(),
        _ => random.below(1 << 16) as f64 / 1_024.0 - 20.0,
    }
}

/// What is expected of the weather, said again and again.
fn weather_ahead(random: &mut Random, tick: u64) -> Change {
    let mut weather = Vec::new();
    if random.chance(40) {
        let hour = (tick / HOUR_MS + random.below(3)) * HOUR_MS;
        weather.push(WeatherForecast {
            station_id: format!("station-{}", random.below(2)),
            issued_at: random.time(tick),
            target_at: Timestamp(hour + 900_000 * random.below(4)),
            temperature_c: random.double(),
            global_w_per_m2: random.chance(50).then(|| random.double()),
            wind_m_per_s: None,
        });
    }
    change(weather)
}

/// Setpoints that left, and what became of them.
fn actions(random: &mut Random, tick: u64) -> Change {
    let mut actions = Vec::new();
    for state in ["sent", "confirmed", "failed", "superseded"] {
        if random.chance(50) {
            actions.push(Action {
                action_id: format!("action-{}", random.below(12)),
                tick_at: Timestamp(tick),
                asset_id: format!("battery-{}", random.below(3)),
                state: state.to_owned(),
                ..Action::example()
            });
        }
    }
    change(actions)
}

/// Prices, published again and again.
fn prices(random: &mut Random, tick: u64) -> Change {
    let mut prices = Vec::new();
    for zone in 0..2 {
        if random.chance(40) {
            let hour = (tick / HOUR_MS + random.below(3)) * HOUR_MS - HOUR_MS;
            prices.push(Price {
                zone_id: format!("zone-{zone}"),
                product: random.of(&["tariff", "tariff", "day-ahead"]).to_owned(),
                published_at: random.time(tick),
                delivery_start_at: Timestamp(hour),
                delivery_end_at: Timestamp(hour + HOUR_MS),
                price_per_mwh: random.below(1_024) as f64 / 4.0 - 20.0,
            });
        }
    }
    change(prices)
}

/// Of a quarter that is over or under way; a feeder and a plant beside each bus.
fn short_forecasts(random: &mut Random, tick: u64) -> Change {
    const QUARTER_MS: u64 = HOUR_MS / 4;
    let target = tick / QUARTER_MS * QUARTER_MS - random.below(4) * QUARTER_MS;
    let said = ShortForecast {
        scope: "node".to_owned(),
        subject_id: format!("bus-{}", random.below(4)),
        feeder_id: "feeder-0".to_owned(),
        issued_at: Timestamp(tick),
        target_at: Timestamp(target),
        p10_kw: -400_000.0,
        p50_kw: random.kw(),
        p90_kw: 400_000.0,
        model_version: "test".to_owned(),
        saw: String::new(),
    };
    let beside = [("feeder", "feeder-0"), ("zone", "zone-1"), ("plant", "battery-2")];
    let other = |(scope, id): (&str, &str)| ShortForecast {
        scope: scope.to_owned(),
        subject_id: id.to_owned(),
        ..said.clone()
    };
    let others = beside.map(other);
    change([said].into_iter().chain(others).collect())
}

fn forecasts(random: &mut Random, tick: u64) -> Change {
    let mut forecasts = Vec::new();
    if random.chance(40) {
        let hour = tick / HOUR_MS * HOUR_MS - random.below(2) * HOUR_MS;
        forecasts.push(Forecast {
            scope: "node".to_owned(),
            subject_id: format!("bus-{}", random.below(4)),
            feeder_id: "feeder-0".to_owned(),
            issued_at: Timestamp(tick),
            target_at: Timestamp(hour),
            p10_kw: -400_000.0,
            p50_kw: random.kw(),
            p90_kw: 400_000.0,
            model_version: "test".to_owned(),
            because: String::new(),
            saw: String::new(),
        });
        if random.chance(50) {
            let of = forecasts[0].clone();
            let (scope, subject_id) = ("plant".to_owned(), "battery-2".to_owned());
            forecasts.push(Forecast { scope, subject_id, ..of });
        }
    }
    change(forecasts)
}
