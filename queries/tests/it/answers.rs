//! The oracle on small data: answers whose rows can be told by eye, and what views show through it.

use std::collections::BTreeMap;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use expect_test::expect;
use expect_test::expect_file;
use queries::batch;
use queries::batch::Rows;
use queries::table;
use schemas::catalog::Catalog;
use schemas::contract::Failing;
use schemas::decision::Forecast;
use schemas::event::AssetTelemetry;
use schemas::event::MeterReading;
use schemas::event::Price;
use schemas::event::ScadaMeasurement;
use schemas::event::WeatherObservation;
use schemas::reference::Asset;
use schemas::reference::Bus;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::reference::Sensor;
use schemas::relation::Relation;
use schemas::time::Timestamp;

/// 24 August 2016, 00:00 UTC.
const START: Timestamp = Timestamp(1_471_996_800_000);

fn reading(meter: &str, after_s: u64, kw: f64, revision: i64) -> MeterReading {
    MeterReading {
        meter_id: meter.to_owned(),
        measured_at: START.plus(after_s * 1_000),
        active_power_kw: kw,
        energy_import_kwh: None,
        energy_export_kwh: None,
        quality: "good".to_owned(),
        revision,
    }
}

fn meter(meter: &str, bus: &str) -> Meter {
    Meter {
        meter_id: meter.to_owned(),
        bus_id: bus.to_owned(),
        feeder_id: "f1".to_owned(),
        origin: "measured".to_owned(),
    }
}

fn price(start_h: u64, published_h: u64, per_mwh: f64) -> Price {
    let hour = 3_600_000;
    Price {
        zone_id: "z1".to_owned(),
        product: "tariff".to_owned(),
        published_at: START.plus(published_h * hour),
        delivery_start_at: START.plus(start_h * hour),
        delivery_end_at: START.plus((start_h + 1) * hour),
        price_per_mwh: per_mwh,
    }
}

const HEAD: &str = "head_active_power_kw";

fn bus(bus: &str) -> Bus {
    Bus {
        bus_id: bus.to_owned(),
        feeder_id: "f1".to_owned(),
        nominal_kv: 0.4,
        voltage_pu_min: 0.9,
        voltage_pu_max: 1.1,
    }
}

fn sensor(sensor: &str, bus: &str, quantity: &str) -> Sensor {
    Sensor {
        sensor_id: sensor.to_owned(),
        bus_id: bus.to_owned(),
        feeder_id: "f1".to_owned(),
        quantity: quantity.to_owned(),
        stale_after_ms: 7_200_000,
    }
}

fn measurement(sensor: &str, after_s: u64, value: f64, bits: i64) -> ScadaMeasurement {
    ScadaMeasurement {
        sensor_id: sensor.to_owned(),
        measured_at: START.plus(after_s * 1_000),
        value,
        quality_bits: bits,
    }
}

/// A forecast for a node, 2 kW wide.
fn forecast(bus: &str, target_h: u64, p50_kw: f64) -> Forecast {
    Forecast {
        scope: "node".to_owned(),
        subject_id: bus.to_owned(),
        feeder_id: "f1".to_owned(),
        issued_at: START,
        target_at: START.plus(target_h * 3_600_000),
        p10_kw: p50_kw - 1.0,
        p50_kw,
        p90_kw: p50_kw + 1.0,
        model_version: "by hand".to_owned(),
        because: String::new(),
        saw: String::new(),
    }
}

/// A battery at b1 whose name plate says that 0.95 survives one way.
fn battery(asset: &str) -> Asset {
    Asset {
        asset_id: asset.to_owned(),
        kind: "battery".to_owned(),
        bus_id: "b1".to_owned(),
        feeder_id: "f1".to_owned(),
        power_kw_min: -5.0,
        power_kw_max: 5.0,
        ramp_kw_max: 10.0,
        energy_kwh_max: 6.4,
        efficiency: 0.95,
    }
}

/// Every relation of the catalog, most of them empty, and the shipped views computed one from the
/// other.
fn grid(now: Timestamp) -> BTreeMap<String, Rows> {
    let mut tables: BTreeMap<String, Rows> = Catalog::built_in()
        .iter()
        .map(|(name, info)| {
            (name.to_owned(), Rows { schema: info.schema.clone(), batches: vec![] })
        })
        .collect();
    let mut put = |name: &str, batch: RecordBatch| {
        tables.insert(name.to_owned(), Rows::of(batch));
    };
    put("meters", Meter::to_batch(&[meter("m1", "b1"), meter("m2", "b1"), meter("m3", "b2")]));
    put(
        "meter_readings",
        MeterReading::to_batch(&[
            reading("m1", 0, 1.0, 0),
            reading("m1", 5, 2.0, 0),
            reading("m1", 5, 2.5, 1),
            reading("m2", 5, 3.0, 0),
            reading("m3", 3_600, 4.0, 0),
        ]),
    );
    put("assets", Asset::to_batch(&[battery("a1")]));
    let telemetry = AssetTelemetry {
        asset_id: "a1".to_owned(),
        measured_at: START.plus(5_000),
        active_power_kw: 0.5,
        state_of_charge_kwh: Some(3.2),
    };
    put("asset_telemetry", AssetTelemetry::to_batch(&[telemetry]));
    let feeder = Feeder {
        feeder_id: "f1".to_owned(),
        zone_id: "z1".to_owned(),
        head_branch_id: "t1".to_owned(),
        limit_kw: 114.0,
    };
    put("feeders", Feeder::to_batch(&[feeder]));
    put("buses", Bus::to_batch(&[bus("b1"), bus("b2"), bus("b3")]));
    put("sensors", Sensor::to_batch(&[sensor("v1", "b1", "voltage_pu"), sensor("h1", "b3", HEAD)]));
    let measured = [
        measurement("v1", 5, 0.98, 0),
        measurement("v1", 10, 7.0, 128),
        measurement("h1", 5, 9.5, 0),
    ];
    put("scada_measurements", ScadaMeasurement::to_batch(&measured));
    let weather = WeatherObservation {
        station_id: "w1".to_owned(),
        observed_at: START,
        temperature_c: 21.0,
        humidity_percent: None,
        diffuse_w_per_m2: None,
        direct_w_per_m2: None,
        wind_m_per_s: None,
    };
    put("weather_observations", WeatherObservation::to_batch(&[weather]));
    let above = |(scope, id): (&str, &str)| Forecast {
        scope: scope.to_owned(),
        feeder_id: String::new(),
        ..forecast(id, 0, 6.0)
    };
    let mut issued = vec![forecast("b1", 0, 4.0), forecast("b1", 1, 4.0), forecast("b2", 1, 4.0)];
    issued.extend([("zone", "z1"), ("zone", "z2"), ("system", "system")].map(above));
    put("forecasts", Forecast::to_batch(&issued));
    put("prices", Price::to_batch(&[price(0, 0, 100.0), price(1, 0, 200.0), price(0, 1, 120.0)]));
    for plan in crate::shipped::plans() {
        let rows = batch::query(&tables, &plan.sql, now).unwrap_or_else(|e| {
            panic!("{}: {}", plan.name, e.full());
        });
        for (planned, found) in plan.root.schema.fields().iter().zip(rows.schema().fields()) {
            assert_eq!(planned.name(), found.name(), "{}", plan.name);
            assert_eq!(planned.data_type(), found.data_type(), "{}.{}", plan.name, planned.name());
        }
        let rows = Rows { schema: rows.schema(), batches: vec![rows] };
        tables.insert(plan.name.clone(), rows);
    }
    tables
}

#[test]
fn each_question_has_its_answer() {
    let now = START.plus(3_605_000);
    let tables = grid(now);
    crate::golden::check(&expect_file!["./answers.txt"], include_str!("answers.txt"), |sql| {
        let answer = table::ask(&tables, &BTreeMap::new(), sql, now)
            .unwrap_or_else(|e| panic!("{}", e.full()));
        pretty_format_batches(&answer.batches).expect("it prints").to_string()
    });
}

/// The meters that forecasts are made of, with these assets.
#[track_caller]
fn check_shared(assets: &[Asset], after_s: u64, expected: &[&str]) {
    let (mut tables, now) = (grid(START), START.plus(after_s * 1_000));
    tables.insert("assets".to_owned(), Rows::of(Asset::to_batch(assets)));
    for plan in crate::shipped::plans() {
        let rows = batch::query(&tables, &plan.sql, now).expect("a view that ships");
        tables.insert(plan.name.clone(), Rows { schema: rows.schema(), batches: vec![rows] });
    }
    let sql = "SELECT meter_id FROM shared_meter_hour ORDER BY 1";
    let answer = table::ask(&tables, &BTreeMap::new(), sql, now).expect("it is asked");
    let found: Vec<&str> = answer
        .batches
        .iter()
        .flat_map(|b| b.column(0).as_string::<i32>().iter().flatten())
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn meters_that_share_a_bus_are_told_when_the_hour_is_over_and_no_battery_works_there() {
    check_shared(&[], 3_600, &["m1", "m2"]);
    check_shared(&[], 3_595, &[]);
    check_shared(&[battery("a1")], 3_600, &[]);
    let roof = Asset { kind: "pv".to_owned(), ..battery("a1") };
    check_shared(&[roof], 3_600, &["m1", "m2"]);
}

/// A quarter of an hour of a store at this power, of which `kept` survives one way.
fn quarter(asset: &str, quarter: u64, kw: f64, kept: f64) -> Vec<AssetTelemetry> {
    let row = |second: u64| AssetTelemetry {
        asset_id: asset.to_owned(),
        measured_at: START.plus((900 * quarter + second) * 1_000),
        active_power_kw: kw,
        state_of_charge_kwh: Some(
            3.0 - kw * if kw < 0.0 { kept } else { 1.0 / kept } * second as f64 / 3_600.0,
        ),
    };
    (0..900).step_by(5).map(row).collect()
}

#[test]
fn a_store_that_loses_more_than_its_name_plate_says_is_found_out() {
    let mut tables = grid(START);
    let named = |name: &str, batch: RecordBatch| (name.to_owned(), Rows::of(batch));
    let batteries = ["a1", "a2", "a3"].map(battery);
    // a1 idles. a2 charges, discharges, and is in the middle of a third quarter. a3 has only begun.
    let told: Vec<AssetTelemetry> = [
        quarter("a1", 0, 0.0, 0.8),
        quarter("a2", 0, -3.0, 0.8),
        quarter("a2", 1, 2.0, 0.8),
        quarter("a2", 2, 2.0, 0.1),
        quarter("a3", 2, -3.0, 0.8),
    ]
    .concat();
    tables.extend([
        named("assets", Asset::to_batch(&batteries)),
        named("asset_telemetry", AssetTelemetry::to_batch(&told)),
    ]);
    let (_, view) =
        queries::shipped().iter().find(|(name, _)| *name == "asset_efficiency").unwrap();
    let select = &view[view.find("SELECT").unwrap()..].trim_end().trim_end_matches(';');
    let now = START.plus(2_695_000);
    let sql = format!(
        "SELECT asset_id, nameplate, round(measured_kwh, 6) AS measured_kwh,
           round(efficiency, 6) AS efficiency,
           round((efficiency * (6.4 + measured_kwh) - nameplate * 6.4) / measured_kwh, 6) AS learned
         FROM ({select}) v ORDER BY asset_id"
    );
    let answer = table::ask(&tables, &BTreeMap::new(), &sql, now).unwrap();
    let found = pretty_format_batches(&answer.batches).unwrap().to_string();
    expect![[r#"
        +----------+-----------+--------------+------------+---------+
        | asset_id | nameplate | measured_kwh | efficiency | learned |
        +----------+-----------+--------------+------------+---------+
        | a1       | 0.95      |              | 0.95       |         |
        | a2       | 0.95      | 1.375        | 0.923473   | 0.8     |
        | a3       | 0.95      |              | 0.95       |         |
        +----------+-----------+--------------+------------+---------+"#]]
    .assert_eq(&found);
}

#[test]
fn a_negative_zero_is_a_zero() {
    let mut tables = grid(START);
    let zeros = [reading("m1", 0, 0.0, 0), reading("m2", 0, -0.0, 0)];
    tables.insert("meter_readings".to_owned(), Rows::of(MeterReading::to_batch(&zeros)));
    let sql = "SELECT count(*) AS n FROM meter_readings a \
               JOIN meter_readings b ON a.active_power_kw = b.active_power_kw";
    let answer = table::ask(&tables, &BTreeMap::new(), sql, START).unwrap();
    let n = pretty_format_batches(&answer.batches).unwrap().to_string();
    assert!(n.contains("| 4 |"), "{n}");
}

#[test]
fn schemas_are_tables_with_a_dot() {
    let mut tables = grid(START);
    let meters = tables["meters"].clone();
    tables.insert("audit.actions".to_owned(), meters);
    let ask = |sql: &str| table::ask(&tables, &BTreeMap::new(), sql, START);
    let answer = ask("SELECT count(*) AS n FROM audit.actions").unwrap();
    assert_eq!(answer.batches[0].num_rows(), 1);
    let wrong = |sql: &str| ask(sql).expect_err("wrong").full();
    let errors = [
        wrong("SELECT * FROM audit.action"),
        wrong("SELECT meter FROM meters"),
        wrong("DELETE FROM meters"),
        wrong("SELECT * FROM"),
    ];
    expect![[r#"
        there is no relation audit.action (line 1, column 15); hint: did you mean audit.actions?
        there is no column meter (line 1, column 8); hint: did you mean meter_id?
        expected SELECT, found DELETE FROM; hint: views are files, streams are configuration
        Expected: identifier, found: EOF"#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn a_failing_view_is_refused_by_whatever_way_it_is_named() {
    let tables = grid(START);
    let of = |view: &str| {
        let (view, of) = (view.to_owned(), "node_load".to_owned());
        (view.clone(), Failing { view, of, rows: 2 })
    };
    let failing = BTreeMap::from([of("node_load"), of("grid_state")]);
    let ask = |sql: &str| table::ask(&tables, &failing, sql, START).map_err(|e| e.full());
    let told = ask("SELECT * FROM node_load").unwrap_err();
    for wanted in [
        "node_load cannot be read: 2 rows of node_load cannot be computed, and node_load has ",
        "on_error = 'fail' (line 1, column 15); hint: ",
        "hint: SELECT * FROM view_errors WHERE view = 'node_load'",
    ] {
        assert!(told.contains(wanted), "{wanted} is not in {told}");
    }
    for sql in [
        "SELECT bus_id FROM buses WHERE bus_id IN (SELECT bus_id FROM grid_state)",
        "WITH l AS (SELECT * FROM node_load) SELECT count(*) FROM l",
        "SELECT * FROM public.grid_state",
        "EXPLAIN ANALYZE SELECT * FROM node_load",
        // What no check of names finds is not there.
        "WITH node_load AS (SELECT * FROM node_load) SELECT * FROM node_load",
        "TABLE node_load",
    ] {
        assert!(ask(sql).is_err(), "{sql}");
    }
    ask("SELECT * FROM buses JOIN bus_voltage USING (bus_id)").unwrap();
}
