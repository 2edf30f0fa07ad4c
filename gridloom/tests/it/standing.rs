//! What counts for longer than its stream retains: prices until their delivery is over, silence
//! until it is broken.
//!
//! A small grid in ticks of an hour, with the retention that ships: days pass in seconds.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use gridloom::wiring::views;
use operators::settings::Settings;
use pipeline::flow::Flow;
use pipeline::ingest::IngestSettings;
use pipeline::instance::Done;
use pipeline::instance::Instance;
use pipeline::instance::InstanceSettings;
use pipeline::instance::Parts;
use pipeline::log::InstanceId;
use pipeline::log::Options;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::contract::ViewReader;
use schemas::event::MeterReading;
use schemas::event::Price;
use schemas::reference::Bus;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::reference::Sensor;
use schemas::reference::Zone;
use schemas::relation::Relation;
use schemas::time::Clock;
use schemas::time::HOUR_MS;
use schemas::time::Step;
use schemas::time::Timestamp;

/// 24 August 2016, 00:00.
const START: Timestamp = Timestamp(1_471_996_800_000);

const STREAMS: [&str; 2] = [MeterReading::NAME, Price::NAME];

fn hour(n: u64) -> Timestamp {
    START.plus(n * HOUR_MS)
}

/// A grid of one feeder with two meters and a sensor that never speaks.
struct Small {
    instance: Instance,
    positions: BTreeMap<&'static str, Position>,
    hour: u64,
}

impl Small {
    fn open(data_dir: &Path) -> Small {
        let catalog = Catalog::built_in();
        let texts: Vec<&str> = queries::shipped().iter().map(|(_, text)| *text).collect();
        let plans = views::plan(&catalog, &texts).unwrap_or_else(|failed| panic!("{failed:?}"));
        let step = Step::from_millis(HOUR_MS).unwrap();
        let agents = Settings { step_ms: HOUR_MS, ..Settings::default() };
        let settings = InstanceSettings {
            instance: InstanceId::new("small").unwrap(),
            data_dir: data_dir.to_owned(),
            workers: 1,
            ticks_in_flight: 1,
            snapshot_every: u64::MAX,
            ingest: IngestSettings { step, patience_ms: None, ..IngestSettings::default() },
            log: Options::default(),
            clock: Clock::Wall,
        };
        let parts = Parts {
            flow: Flow::over(&catalog, plans, Some(agents), step),
            catalog,
            tables: tables(),
            partitions: STREAMS.map(|stream| (PartitionId::new("small", stream), 0)).into(),
            stated: BTreeMap::new(),
            indexes: Vec::new(),
            outbox: None,
            hook: None,
        };
        let instance = Instance::open(settings, parts).unwrap();
        Small { instance, positions: BTreeMap::new(), hour: 0 }
    }

    /// The next hour, in which these speak and this is published.
    fn hour(&mut self, meters: &[&str], prices: &[Price]) -> Done {
        let reading = |meter: &&str| MeterReading {
            meter_id: (*meter).to_owned(),
            measured_at: hour(self.hour + 1).minus(30_000),
            active_power_kw: 2.0,
            energy_import_kwh: None,
            energy_export_kwh: None,
            quality: "good".to_owned(),
            revision: 0,
        };
        let readings: Vec<MeterReading> = meters.iter().map(reading).collect();
        self.hour += 1;
        self.give(MeterReading::NAME, MeterReading::to_batch(&readings));
        self.give(Price::NAME, Price::to_batch(prices));
        loop {
            let done = self.instance.turn(std::time::Duration::from_secs(1)).unwrap().pop();
            if let Some(done) = done {
                assert_eq!(done.tick, hour(self.hour));
                return done;
            }
        }
    }

    fn give(&mut self, stream: &'static str, rows: RecordBatch) {
        let partition = PartitionId::new("small", stream);
        let position = self.positions.entry(stream).or_default();
        let next = *position + rows.num_rows() as Position;
        if rows.num_rows() > 0 {
            let fetched = Fetched::of_rows(partition.clone(), stream, rows, *position);
            self.instance.take(Polled::Batch(fetched));
        }
        *position = next + 1;
        let mark = Polled::Mark { partition, at: hour(self.hour), position: *position };
        self.instance.take(mark);
    }

    /// The answer's rows, columns with `|` between.
    fn ask(&self, sql: &str) -> Vec<String> {
        let views = self.instance.views();
        let tables: BTreeMap<String, Rows> = (views.views().into_iter())
            .map(|(name, _)| {
                let snapshot = views.snapshot(&name).unwrap();
                assert_eq!(snapshot.faults, [], "{name}");
                (name, Rows::of(snapshot.rows))
            })
            .collect();
        let answer = queries::table::ask(&tables, &BTreeMap::new(), sql, hour(self.hour));
        let answer = answer.unwrap_or_else(|error| panic!("{}", error.full()));
        answer.batches.iter().flat_map(lines).collect()
    }
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let shown = |column| ArrayFormatter::try_new(column, &options).unwrap();
    let columns: Vec<_> = batch.columns().iter().map(|c| shown(c.as_ref())).collect();
    let line =
        |row: usize| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(line).collect()
}

fn tables() -> Vec<(String, RecordBatch)> {
    fn one<R: Relation>(rows: &[R]) -> (String, RecordBatch) {
        (R::NAME.to_owned(), R::to_batch(rows))
    }
    let text = str::to_owned;
    let meter = |id: &str| Meter {
        meter_id: text(id),
        bus_id: text("b"),
        feeder_id: text("f"),
        origin: text("measured"),
    };
    let bus = Bus {
        bus_id: text("b"),
        feeder_id: text("f"),
        nominal_kv: 0.4,
        voltage_pu_min: 0.9,
        voltage_pu_max: 1.1,
    };
    let feeder = Feeder {
        feeder_id: text("f"),
        zone_id: text("z"),
        head_branch_id: text("t"),
        limit_kw: 114.0,
    };
    let sensor = Sensor {
        sensor_id: text("v"),
        bus_id: text("b"),
        feeder_id: text("f"),
        quantity: text("voltage_pu"),
        stale_after_ms: 30_000,
    };
    let zone = Zone { zone_id: text("z"), name: text("Zone"), currency: text("USD") };
    vec![
        one(&[bus]),
        one(&[feeder]),
        one(&[meter("m1"), meter("m2")]),
        one(&[sensor]),
        one(&[zone]),
    ]
}

/// A price for the hours `delivery`, published at an hour.
fn price(product: &str, published: u64, delivery: std::ops::Range<u64>, per_mwh: f64) -> Price {
    Price {
        zone_id: "z".to_owned(),
        product: product.to_owned(),
        published_at: hour(published),
        delivery_start_at: hour(delivery.start),
        delivery_end_at: hour(delivery.end),
        price_per_mwh: per_mwh,
    }
}

#[test]
fn a_price_counts_for_its_delivery_however_long_ago_it_was_published() {
    let folder = tempfile::tempdir().unwrap();
    let mut grid = Small::open(folder.path());
    grid.hour(&["m1", "m2"], &[price("tariff", 0, 0..24, 50.0), price("tariff", 0, 24..96, 80.0)]);
    (1..73).for_each(|_| drop(grid.hour(&["m1", "m2"], &[])));
    // Three days on, the tariff of the first hour still is the price of every bin that is kept.
    assert_eq!(grid.ask("SELECT price_per_mwh FROM price_now"), ["80.0"]);
    let unpriced = "SELECT count(*) FROM feeder_bin b LEFT JOIN feeder_cost c \
                    ON c.bin_at = b.bin_at WHERE c.bin_at IS NULL";
    assert_eq!(grid.ask("SELECT count(*) FROM feeder_bin"), ["48"]);
    assert_eq!(grid.ask(unpriced), ["0"]);
    assert_eq!(grid.ask("SELECT DISTINCT price_per_mwh FROM feeder_cost"), ["80.0"]);
    // The first day's is gone with the last of its bins.
    let known = "SELECT product, price_per_mwh FROM price_latest ORDER BY 1, 2";
    assert_eq!(grid.ask(known), ["tariff|80.0"]);
    // A source comes to tell three days late.
    let done = grid.hour(&["m1"], &[price("day-ahead", 0, 72..75, 30.0)]);
    assert_eq!((done.refused, done.rows), (0, 2));
    assert_eq!(grid.ask(known), ["day-ahead|30.0", "tariff|80.0"]);
    let cost = "SELECT product, bin_at, price_per_mwh FROM feeder_cost \
                WHERE product = 'day-ahead' ORDER BY bin_at";
    assert_eq!(
        grid.ask(cost),
        ["day-ahead|2016-08-27T00:59:30Z|30.0", "day-ahead|2016-08-27T01:59:30Z|30.0"]
    );
}

#[test]
fn a_price_whose_period_was_cut_short_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut grid = Small::open(folder.path());
    grid.hour(&["m1"], &[price("tariff", 0, 0..60, 50.0)]);
    grid.hour(&["m1"], &[price("tariff", 1, 0..10, 50.0), price("tariff", 1, 10..60, 70.0)]);
    let known = "SELECT delivery_end_at, price_per_mwh FROM price_latest ORDER BY 1";
    let both = ["2016-08-24T10:00:00Z|50.0", "2016-08-26T12:00:00Z|70.0"];
    assert_eq!(grid.ask(known), both);
    while grid.hour < 58 {
        grid.hour(&["m1"], &[]);
    }
    assert_eq!(grid.ask(known), both);
    // 49 h after its end the shortened period goes, and with it what it was before.
    while grid.hour < 70 {
        grid.hour(&["m1"], &[]);
        let expected = if grid.hour < 59 { &both[..] } else { &both[1..] };
        assert_eq!(grid.ask(known), expected, "hour {}", grid.hour);
    }
}

#[test]
fn a_dead_meters_alarm_stays_open_until_it_speaks_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut grid = Small::open(folder.path());
    let stale = "SELECT sensor_id, bus_id, last_seen_at FROM stale_sensors ORDER BY 1";
    let mut told = Vec::new();
    let mut hours = |grid: &mut Small, meters: &[&str], until: u64| {
        while grid.hour < until {
            let alarms = grid.hour(meters, &[]).said.alarms.into_iter();
            let alarms =
                alarms.filter(|alarm| alarm.kind == "stale-sensor" && alarm.subject == "m1");
            told.extend(alarms.map(|a| format!("{} {}: {}", grid.hour, a.state, a.reason)));
        }
        std::mem::take(&mut told)
    };
    assert_eq!(hours(&mut grid, &["m1", "m2"], 1), [""; 0]);
    let raised = hours(&mut grid, &["m2"], 48);
    assert_eq!(raised, ["2 raised: silent since 2016-08-24T00:59:30Z"]);
    assert_eq!(grid.ask(stale), ["m1|b|2016-08-24T00:59:30Z", "v|b|NULL"]);
    // Its last word is forgotten; its silence is not.
    assert_eq!(hours(&mut grid, &["m2"], 60), [""; 0]);
    assert_eq!(grid.ask(stale), ["m1|b|NULL", "v|b|NULL"]);
    assert_eq!(grid.ask("SELECT sensor_id FROM sensor_listed ORDER BY 1"), ["m1", "m2", "v"]);
    assert_eq!(hours(&mut grid, &["m1", "m2"], 61), ["61 cleared: it speaks again"]);
    assert_eq!(grid.ask(stale), ["v|b|NULL"]);
}

#[test]
fn meters_that_share_a_bus_have_forecasts_and_errors_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut grid = Small::open(folder.path());
    let mut said = Vec::new();
    for _ in 0..28 {
        said = grid.hour(&["m1", "m2"], &[]).said.forecasts;
    }
    let next = |scope: &str| -> Vec<(String, f64)> {
        let of = said.iter().filter(|row| row.scope == scope && row.target_at == hour(28));
        of.map(|row| (row.subject_id.clone(), row.p50_kw)).collect()
    };
    assert_eq!(next("meter"), [("m1".to_owned(), 2.0), ("m2".to_owned(), 2.0)]);
    assert_eq!(next("node"), [("b".to_owned(), 4.0)]);
    let errors = "SELECT subject_id, model_version, mae_kw FROM forecast_error \
                  WHERE scope = 'meter' ORDER BY 1";
    assert_eq!(grid.ask(errors), ["m1|seasonal-naive-1|0.0", "m2|seasonal-naive-1|0.0"]);
    let shared = "SELECT count(*) FROM shared_meter_hour";
    assert_eq!(grid.ask(shared), ["56"], "all hours are over");
}
