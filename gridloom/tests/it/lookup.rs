//! Lookups: rows of a stream with a table as it was when they came, while the table changes.
//!
//! What a row meets is asked of batch at the tick of the row, over the rows of that tick and the
//! tables of that tick; those answers, as far as the stream retains them, are what the views must
//! show at every tick.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMillisecondArray;
use arrow::compute::concat_batches;
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimestampMillisecondType;
use arrow::util::pretty::pretty_format_batches;
use gridloom::wiring::views;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::flow::Flow;
use pipeline::views::store::Views;
use pipeline::workers::TickInput;
use pipeline::workers::Workers;
use queries::Planner;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::catalog::StreamSettings;
use schemas::contract::Engine;
use schemas::contract::ViewReader;
use schemas::event::Envelope;
use schemas::event::StreamDef;
use schemas::plan::Expiry;
use schemas::relation::timestamp_type;
use schemas::time::Step;
use schemas::time::Timestamp;

use crate::index::settle_indexes;
use crate::live::create;
use crate::live::settle;
use crate::live::text;
use crate::restart::notes;
use crate::restart::tick;
use crate::restart::with_workers;

/// 31 August 2016, 20:00.
const BEGIN_MS: u64 = 1_472_673_600_000;
/// Long, so that few ticks span what the stream retains.
const STEP_MS: u64 = 10 * 60_000;
const RETAIN_MS: u64 = 60 * 60_000;
const TICKS: u64 = 24;

const INNER: &str = "SELECT r.k, r.x, r.at, m.area FROM r \
                     JOIN m FOR SYSTEM_TIME AS OF now() m ON m.k = r.k";
const LEFT: &str = "SELECT r.k, r.at, n.area FROM r \
                    LEFT JOIN m FOR SYSTEM_TIME AS OF now() AS n ON n.k = r.k + 1 WHERE r.x > 2.0";
/// The time does not come out, and a lookup is by what another one found.
const TWICE: &str = "SELECT r.k, a.zone FROM r JOIN m FOR SYSTEM_TIME AS OF now() ON m.k = r.k \
                     JOIN a FOR SYSTEM_TIME AS OF now() ON a.area = m.area";
/// The same with what groups need.
const ZONES: &str = "SELECT a.zone, date_bin(INTERVAL '30 minutes', r.at) AS bin, r.x, r.at FROM r \
                     JOIN m FOR SYSTEM_TIME AS OF now() ON m.k = r.k \
                     LEFT JOIN a FOR SYSTEM_TIME AS OF now() ON a.area = m.area";
const GROUPED: &str = "SELECT zone, bin, count(*) AS n, sum(x) AS x";

fn stream() -> SchemaRef {
    let fields = [
        Field::new("k", DataType::Int64, true),
        Field::new("x", DataType::Float64, false),
        Field::new("at", timestamp_type(), false),
    ];
    Arc::new(Schema::new(fields.to_vec()))
}

fn pairs(names: [&str; 2], first: DataType) -> SchemaRef {
    let fields = [Field::new(names[0], first, true), Field::new(names[1], DataType::Utf8, true)];
    Arc::new(Schema::new(fields.to_vec()))
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let def = StreamDef {
        name: "r".to_owned(),
        schema: stream(),
        event_time: "at".to_owned(),
        key: Vec::new(),
        envelope: Envelope::Append,
    };
    catalog.add_stream(StreamSettings { def, lateness_ms: STEP_MS * 4, retain_ms: RETAIN_MS });
    for (name, schema) in [
        ("m", pairs(["k", "area"], DataType::Int64)),
        ("a", pairs(["area", "zone"], DataType::Utf8)),
    ] {
        catalog.add(name, RelationInfo { schema, kind: RelationKind::Table });
    }
    catalog
}

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What comes at one tick: readings, and now and then other tables.
struct Tick {
    at: Timestamp,
    readings: RecordBatch,
    /// The tables from this tick on.
    tables: [RecordBatch; 2],
}

fn readings(random: &mut Random, n: u64) -> RecordBatch {
    let rows = 1 + random.below(40);
    let (mut k, mut x, mut at) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        k.push(Some(random.below(9) as i64).filter(|k| *k < 8));
        x.push(random.below(64) as f64 / 16.0);
        // Up to four steps late.
        let late = random.below(4) * STEP_MS + random.below(STEP_MS);
        at.push((BEGIN_MS + (n + 1) * STEP_MS - late.min(n * STEP_MS)) as i64 - 1);
    }
    let at = TimestampMillisecondArray::from(at).with_timezone("UTC");
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(k)), Arc::new(Float64Array::from(x)), Arc::new(at)];
    RecordBatch::try_new(stream(), columns).unwrap()
}

/// Keys that are there once, twice or not at all, and areas that are unknown.
fn tables(random: &mut Random) -> [RecordBatch; 2] {
    let areas = ["north", "south", "east"];
    let (mut k, mut area) = (Vec::new(), Vec::new());
    for key in 0..9 {
        for _ in 0..[0, 1, 1, 1, 2][random.below(5) as usize] {
            k.push(Some(key).filter(|key| *key < 8));
            area.push(Some(areas[random.below(3) as usize]).filter(|_| random.below(6) > 0));
        }
    }
    let zones = areas.iter().take(2 + random.below(2) as usize);
    let (of, zone): (Vec<&str>, Vec<String>) =
        zones.map(|area| (*area, format!("{area}-{}", random.below(3)))).unzip();
    let m: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(k)), Arc::new(StringArray::from(area))];
    let a: Vec<ArrayRef> = vec![Arc::new(StringArray::from(of)), Arc::new(StringArray::from(zone))];
    let m = RecordBatch::try_new(pairs(["k", "area"], DataType::Int64), m).unwrap();
    [m, RecordBatch::try_new(pairs(["area", "zone"], DataType::Utf8), a).unwrap()]
}

fn history(seed: u64) -> Vec<Tick> {
    let mut random = Random(seed);
    let mut tables = [(); 1].map(|()| self::tables(&mut random));
    let ticks = (0..TICKS).map(|n| {
        if n > 0 && random.below(4) == 0 {
            tables = [self::tables(&mut random)];
        }
        let at = Timestamp(BEGIN_MS + (n + 1) * STEP_MS);
        Tick { at, readings: readings(&mut random, n), tables: tables[0].clone() }
    });
    ticks.collect()
}

/// What the rows of one tick meet at that tick, by batch.
fn met(tick: &Tick, sql: &str) -> RecordBatch {
    let [m, a] = &tick.tables;
    let tables = BTreeMap::from([
        ("r".to_owned(), Rows::of(tick.readings.clone())),
        ("m".to_owned(), Rows::of(m.clone())),
        ("a".to_owned(), Rows::of(a.clone())),
    ]);
    queries::batch::query(&tables, sql, tick.at).unwrap()
}

/// The rows that the stream still retains, by their last column.
fn retained(rows: &RecordBatch, tick: Timestamp) -> RecordBatch {
    let column = rows.num_columns() - 1;
    let expiry = Expiry { column, retain_ms: RETAIN_MS, lateness_ms: None };
    let times = rows.column(column).as_primitive::<TimestampMillisecondType>();
    let stands = |at: &i64| Some(expiry.at(Timestamp(*at as u64)) > tick);
    filter_record_batch(rows, &times.values().iter().map(stands).collect()).unwrap()
}

/// Rows as lines in order.
fn lines(rows: &RecordBatch) -> Vec<String> {
    let text = pretty_format_batches(std::slice::from_ref(rows)).unwrap().to_string();
    let mut lines: Vec<String> = text.lines().skip(3).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What each view must show at each tick.
fn expected(history: &[Tick]) -> Vec<[Vec<String>; 4]> {
    let left = LEFT.replace("r.at, n.area", "n.area, r.at");
    let inner = INNER.replace("r.at, m.area", "m.area, r.at");
    let twice = TWICE.replace("a.zone FROM", "a.zone, r.at FROM");
    let texts = [&*inner, &*left, &*twice, ZONES];
    let mut all: Vec<Vec<RecordBatch>> = vec![Vec::new(); texts.len()];
    let at_tick = |tick: &Tick| {
        let stands: Vec<RecordBatch> = (texts.iter().zip(&mut all))
            .map(|(sql, all)| {
                all.push(met(tick, sql));
                retained(&concat_batches(&all[0].schema(), &*all).unwrap(), tick.at)
            })
            .collect();
        let of = |rows: &RecordBatch, sql: &str| {
            let tables = BTreeMap::from([("met".to_owned(), Rows::of(rows.clone()))]);
            lines(&queries::batch::query(&tables, sql, tick.at).unwrap())
        };
        [
            of(&stands[0], "SELECT k, x, at, area FROM met"),
            of(&stands[1], "SELECT k, at, area FROM met"),
            of(&stands[2], "SELECT k, zone FROM met"),
            of(&stands[3], &format!("{GROUPED} FROM met GROUP BY zone, bin")),
        ]
    };
    history.iter().map(at_tick).collect()
}

/// A tick's changes: tables go and come as they do at a start.
fn deltas(flow: &[(String, SchemaRef)], before: Option<&Tick>, tick: &Tick) -> TickInput {
    let input = |name: &str| flow.iter().position(|(input, _)| input == name).unwrap();
    let delta = |batch: &RecordBatch, diff| {
        let (batch, diffs) = (batch.clone(), Diffs::All(diff));
        DeltaBatch { time: tick.at.0, batch, diffs }
    };
    let mut deltas = vec![(input("r"), delta(&tick.readings, 1))];
    for (table, name) in ["m", "a"].into_iter().enumerate() {
        let (old, new) = (before.map(|tick| &tick.tables[table]), &tick.tables[table]);
        if old != Some(new) {
            deltas.extend(old.map(|old| (input(name), delta(old, -1))));
            deltas.push((input(name), delta(new, 1)));
        }
    }
    TickInput { tick: tick.at, deltas }
}

#[test]
fn a_lookup_is_as_the_tables_were_on_arrival_24_ticks_3_workers() {
    let grouped = format!("{GROUPED} FROM ({ZONES}) z GROUP BY zone, bin");
    let texts: Vec<String> = [INNER, LEFT, TWICE, &grouped]
        .iter()
        .zip(["inner_of", "left_of", "twice", "grouped"])
        .map(|(sql, name)| format!("CREATE MATERIALIZED VIEW {name} AS {sql}"))
        .collect();
    let catalog = catalog();
    let mut forgotten = 0;
    for seed in [3, 41, 592] {
        let history = history(seed);
        let changes = history.windows(2).filter(|pair| pair[0].tables != pair[1].tables).count();
        assert!(changes > 2, "{changes} changes of tables prove little");
        let expected = expected(&history);
        for workers in 1..=3 {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let plans = views::plan(&catalog, &texts).unwrap();
            let flow = Flow::over(&catalog, plans, None, Step::from_millis(STEP_MS).unwrap());
            let store = Views::new(&flow.views).unwrap();
            let mut running = Workers::start(&flow, workers).unwrap();
            for (n, tick) in history.iter().enumerate() {
                let before = n.checked_sub(1).map(|n| &history[n]);
                running.submit(deltas(&flow.inputs, before, tick)).unwrap();
                let output = running.finished(Duration::from_secs(60)).unwrap().unwrap();
                store.apply(output.tick, output.published);
                for (view, expected) in
                    ["inner_of", "left_of", "twice", "grouped"].iter().zip(&expected[n])
                {
                    let shown = store.snapshot(view).unwrap();
                    assert_eq!(shown.faults, [], "{view}");
                    let what = format!("{view}, {workers} workers, tick {}, seed {seed}", n + 1);
                    assert_eq!(&lines(&shown.rows), expected, "{what}");
                    forgotten += usize::from(expected.len() < 40);
                }
            }
        }
    }
    assert!(forgotten > 0, "nothing was ever forgotten");
}

#[test]
fn a_lookup_keeps_nothing_of_readings_that_are_grouped() {
    let planner = Planner::new(catalog());
    let explained = |sql: &str| planner.select(sql).unwrap().explain();
    let grouped = explained(&format!("{GROUPED} FROM ({ZONES}) z GROUP BY zone, bin"));
    assert_eq!(grouped.matches("Lookup").count(), 1, "two tables, one lookup\n{grouped}");
    assert!(!grouped.contains("arranges left by (k)"), "{grouped}");
    assert!(!grouped.contains("keeps what it put out"), "{grouped}");
    let rows = explained(INNER);
    assert!(rows.contains("keeps what it put out, bound: 2 h of event time"), "{rows}");
    assert!(rows.contains("arranges right by (k) on every worker, bound: rows of m"), "{rows}");
}

#[test]
fn a_lookup_made_late_knows_what_was_known() {
    let known = |name: &str| {
        format!(
            "CREATE MATERIALIZED VIEW {name} AS SELECT r.measured_at, n.remark \
             FROM meter_readings r JOIN notes FOR SYSTEM_TIME AS OF now() n \
             ON n.meter_id = r.meter_id"
        )
    };
    for workers in 1..=2 {
        let folder = tempfile::tempdir().unwrap();
        let mut instance = with_workers(folder.path(), notes(&["a", "b"]), None, workers);
        create(&instance.handle(), &known("early"), false).unwrap();
        settle(&mut instance);
        (0..3).for_each(|n| tick(&mut instance, n));
        instance.stop().unwrap();
        // The table is another one from the fourth tick on.
        let mut instance = with_workers(folder.path(), notes(&["c"]), None, workers);
        (3..6).for_each(|n| tick(&mut instance, n));
        let handle = instance.handle();
        // An index has no past, so it does not serve.
        let index = "CREATE INDEX notes_of ON notes (meter_id)";
        let index =
            queries::index::index(&handle.catalog(), index).unwrap_or_else(|e| panic!("{e}"));
        handle.create_index(index.plan, "anna").unwrap();
        settle_indexes(&mut instance);
        create(&handle, &known("late"), false).unwrap();
        settle(&mut instance);
        tick(&mut instance, 6);
        let [early, late] = ["early", "late"].map(|view| text(&handle, view, None));
        assert_eq!(early, late);
        let counts = ["| a ", "| b ", "| c "].map(|remark| late.matches(remark).count());
        assert_eq!(counts, [3, 3, 4], "{late}");
    }
}
