//! The oracle on small data: answers whose rows can be told by eye, and what views show through it.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use expect_test::Expect;
use expect_test::expect;
use queries::batch;
use queries::batch::Rows;
use queries::table;
use schemas::catalog::Catalog;
use schemas::event::AssetTelemetry;
use schemas::event::MeterReading;
use schemas::event::Price;
use schemas::reference::Asset;
use schemas::reference::Feeder;
use schemas::reference::Meter;
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
    let asset = Asset {
        asset_id: "a1".to_owned(),
        kind: "battery".to_owned(),
        bus_id: "b1".to_owned(),
        feeder_id: "f1".to_owned(),
        power_kw_min: -5.0,
        power_kw_max: 5.0,
        ramp_kw_max: 10.0,
        energy_kwh_max: 6.4,
        efficiency: 0.95,
    };
    put("assets", Asset::to_batch(&[asset]));
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
    put("prices", Price::to_batch(&[price(0, 0, 100.0), price(1, 0, 200.0), price(0, 1, 120.0)]));
    let (_, plans) = crate::shipped::shipped();
    for plan in plans {
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

#[track_caller]
fn check(sql: &str, expected: Expect) {
    let now = START.plus(3_605_000);
    let answer = table::ask(&grid(now), sql, now).unwrap_or_else(|e| panic!("{}", e.full()));
    expected.assert_eq(&pretty_format_batches(&answer.batches).unwrap().to_string());
}

#[test]
fn the_latest_reading_is_the_latest_revision() {
    check(
        "SELECT meter_id, measured_at, active_power_kw, revision FROM meter_latest ORDER BY 1",
        expect![[r#"
            +----------+----------------------+-----------------+----------+
            | meter_id | measured_at          | active_power_kw | revision |
            +----------+----------------------+-----------------+----------+
            | m1       | 2016-08-24T00:00:05Z | 2.5             | 1        |
            | m2       | 2016-08-24T00:00:05Z | 3.0             | 0        |
            | m3       | 2016-08-24T01:00:00Z | 4.0             | 0        |
            +----------+----------------------+-----------------+----------+"#]],
    );
}

#[test]
fn the_load_of_a_node_leaves_its_battery_out() {
    check(
        "SELECT * FROM node_load ORDER BY bus_id",
        expect![[r#"
        +--------+-----------+----------------------+----------+------------+-------------+
        | bus_id | feeder_id | measured_at          | meter_kw | battery_kw | net_load_kw |
        +--------+-----------+----------------------+----------+------------+-------------+
        | b1     | f1        | 2016-08-24T00:00:05Z | 5.5      | 0.5        | 6.0         |
        | b2     | f1        | 2016-08-24T01:00:00Z | 4.0      | 0.0        | 4.0         |
        +--------+-----------+----------------------+----------+------------+-------------+"#]],
    );
    check(
        "SELECT * FROM node_hour ORDER BY bus_id, hour_at",
        expect![[r#"
        +--------+-----------+----------------------+-------------------+
        | bus_id | feeder_id | hour_at              | net_load_kw       |
        +--------+-----------+----------------------+-------------------+
        | b1     | f1        | 2016-08-24T00:00:00Z | 5.333333333333333 |
        | b2     | f1        | 2016-08-24T01:00:00Z | 4.0               |
        +--------+-----------+----------------------+-------------------+"#]],
    );
}

#[test]
fn a_lost_reading_does_not_look_like_a_drop() {
    check(
        "SELECT * FROM feeder_load ORDER BY bin_seconds, bin_at",
        expect![[r#"
        +-----------+-------------+----------------------+------+---+
        | feeder_id | bin_seconds | bin_at               | kw   | n |
        +-----------+-------------+----------------------+------+---+
        | f1        | 5           | 2016-08-24T00:00:00Z | 3.0  | 1 |
        | f1        | 5           | 2016-08-24T00:00:05Z | 7.5  | 3 |
        | f1        | 5           | 2016-08-24T01:00:00Z | 12.0 | 1 |
        | f1        | 60          | 2016-08-24T00:00:00Z | 5.25 | 4 |
        | f1        | 60          | 2016-08-24T01:00:00Z | 12.0 | 1 |
        +-----------+-------------+----------------------+------+---+"#]],
    );
}

#[test]
fn each_bin_costs_what_its_period_cost() {
    check(
        "SELECT bin_at, kw, price_per_mwh, cost FROM feeder_cost ORDER BY bin_at",
        expect![[r#"
        +----------------------+------+---------------+-----------------------+
        | bin_at               | kw   | price_per_mwh | cost                  |
        +----------------------+------+---------------+-----------------------+
        | 2016-08-24T00:00:00Z | 3.0  | 120.0         | 0.0005                |
        | 2016-08-24T00:00:05Z | 7.5  | 120.0         | 0.0012500000000000002 |
        | 2016-08-24T01:00:00Z | 12.0 | 200.0         | 0.0033333333333333335 |
        +----------------------+------+---------------+-----------------------+"#]],
    );
    check(
        "SELECT delivery_start_at, price_per_mwh FROM price_now",
        expect![[r#"
        +----------------------+---------------+
        | delivery_start_at    | price_per_mwh |
        +----------------------+---------------+
        | 2016-08-24T01:00:00Z | 200.0         |
        +----------------------+---------------+"#]],
    );
}

#[test]
fn who_is_silent_is_stale() {
    check(
        "SELECT * FROM stale_sensors ORDER BY sensor_id",
        expect![[r#"
        +-----------+-----------+----------------------+----------------+
        | sensor_id | feeder_id | last_seen_at         | stale_after_ms |
        +-----------+-----------+----------------------+----------------+
        | a1        | f1        | 2016-08-24T00:00:05Z | 60000          |
        | m1        | f1        | 2016-08-24T00:00:05Z | 60000          |
        | m2        | f1        | 2016-08-24T00:00:05Z | 60000          |
        +-----------+-----------+----------------------+----------------+"#]],
    );
}

#[test]
fn a_question_may_be_more_than_a_view() {
    check(
        "SELECT meter_id, rank() OVER (ORDER BY active_power_kw DESC) AS place, \
         now() - measured_at AS age FROM meter_latest ORDER BY place",
        expect![[r#"
            +----------+-------+---------+
            | meter_id | place | age     |
            +----------+-------+---------+
            | m3       | 1     | PT5S    |
            | m2       | 2     | PT3600S |
            | m1       | 3     | PT3600S |
            +----------+-------+---------+"#]],
    );
}

#[test]
fn schemas_are_tables_with_a_dot() {
    let mut tables = grid(START);
    let meters = tables["meters"].clone();
    tables.insert("audit.actions".to_owned(), meters);
    let answer = table::ask(&tables, "SELECT count(*) AS n FROM audit.actions", START).unwrap();
    assert_eq!(answer.batches[0].num_rows(), 1);
    let wrong = |sql: &str| table::ask(&tables, sql, START).expect_err("wrong").full();
    let errors = [
        wrong("SELECT * FROM audit.action"),
        wrong("SELECT meter FROM meters"),
        wrong("DELETE FROM meters"),
        wrong("SELECT * FROM"),
    ];
    expect![[r#"
        there is no relation audit.action (line 1, column 15); hint: did you mean audit.actions?
        there is no column meter (line 1, column 8); hint: did you mean meter_id?
        expected SELECT, found DELETE FROM; hint: views are made by files in the views folder, streams by the configuration
        Expected: identifier, found: EOF"#]].assert_eq(&errors.join("\n"));
}
