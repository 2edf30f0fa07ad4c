//! An instance stopped and opened again, in process: tables of the user's own, and what the log
//! remembers of settings and views.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use gridloom::audit_tables;
use gridloom::wiring::open::stated_indexes;
use gridloom::wiring::open::stated_sources;
use gridloom::wiring::open::with_stated;
use gridloom::wiring::views;
use operators::settings::Settings;
use pipeline::emit::definitions::stated_in;
use pipeline::flow::Flow;
use pipeline::ingest::IngestSettings;
use pipeline::instance::Instance;
use pipeline::instance::InstanceSettings;
use pipeline::instance::Parts;
use pipeline::log::InstanceId;
use pipeline::log::Options;
use queries::batch::Rows;
use schemas::audit::Kind;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::contract::ViewReader;
use schemas::event::MeterReading;
use schemas::relation::Relation;
use schemas::time::Clock;
use schemas::time::Timestamp;

pub(crate) const BEGIN: u64 = 1_472_601_600_000;
pub(crate) const STEP: u64 = 5_000;

const VIEW: &str = "CREATE MATERIALIZED VIEW remarks AS
    SELECT r.meter_id, r.measured_at, n.remark FROM meter_readings r JOIN notes n USING (meter_id)";

pub(crate) fn notes(remarks: &[&str]) -> RecordBatch {
    let fields = ["meter_id", "remark"].map(|name| Field::new(name, DataType::Utf8, false));
    let meters: ArrayRef = Arc::new(StringArray::from(vec!["m-1"; remarks.len()]));
    let remarks: ArrayRef = Arc::new(StringArray::from(remarks.to_vec()));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    RecordBatch::try_new(schema, vec![meters, remarks]).unwrap()
}

fn partition() -> PartitionId {
    PartitionId::new("meters", 0)
}

/// An instance on this folder with a table of the user's own.
pub(crate) fn open(folder: &Path, notes: RecordBatch, agents: Option<Settings>) -> Instance {
    with_workers(folder, notes, agents, 1)
}

/// The same with so many workers.
pub(crate) fn with_workers(
    folder: &Path,
    notes: RecordBatch,
    agents: Option<Settings>,
    workers: usize,
) -> Instance {
    let mut catalog = Catalog::built_in();
    let info = RelationInfo { schema: notes.schema(), kind: RelationKind::Table };
    catalog.add("notes", info);
    let texts: Vec<&str> = if agents.is_some() {
        queries::shipped().iter().map(|(_, text)| *text).chain([VIEW]).collect()
    } else {
        vec![VIEW]
    };
    let mut stated = stated_in(&folder.join("audit")).unwrap();
    // Whoever reads such a source again says which partitions it has.
    stated_sources(&mut catalog, &stated).unwrap();
    let plans = views::plan(&catalog, &texts).unwrap();
    let plans = with_stated(&catalog, plans, &stated).unwrap();
    let indexes = stated_indexes(&catalog, &plans, &mut stated);
    let ingest = IngestSettings { patience_ms: None, ..IngestSettings::default() };
    let settings = InstanceSettings {
        instance: InstanceId::new("restart").unwrap(),
        data_dir: folder.to_owned(),
        workers,
        ticks_in_flight: 2,
        snapshot_every: 1_000,
        ingest: ingest.clone(),
        log: Options::default(),
        clock: Clock::held(Timestamp(BEGIN)),
    };
    let parts = Parts {
        flow: Flow::over(&catalog, plans, agents, ingest.step),
        catalog,
        tables: vec![("notes".to_owned(), notes)],
        partitions: vec![(partition(), 0)],
        stated,
        indexes,
        outbox: None,
        hook: None,
    };
    Instance::open(settings, parts).unwrap()
}

/// One reading, number `n`, and its tick.
pub(crate) fn tick(instance: &mut Instance, n: u64) {
    let at = Timestamp(BEGIN + n * STEP + 1_000);
    let rows = MeterReading::to_batch(&[MeterReading {
        meter_id: "m-1".to_owned(),
        measured_at: at,
        active_power_kw: 1.0,
        energy_import_kwh: None,
        energy_export_kwh: None,
        quality: "good".to_owned(),
        revision: 0,
    }]);
    let position = n as Position * 2;
    let fetched = Fetched::of_rows(partition(), MeterReading::NAME, rows, position);
    instance.take(Polled::Batch(fetched));
    let mark = Timestamp(BEGIN + (n + 1) * STEP);
    instance.take(Polled::Mark { partition: partition(), at: mark, position: position + 2 });
    while instance.tick() < mark {
        instance.turn(Duration::from_millis(100)).unwrap();
    }
}

/// How often each remark stands in the view.
fn remarks(instance: &Instance) -> BTreeMap<String, usize> {
    let rows = instance.views().snapshot("remarks").unwrap().rows;
    let mut counts = BTreeMap::new();
    for remark in rows.column_by_name("remark").unwrap().as_string::<i32>() {
        *counts.entry(remark.unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[track_caller]
fn check(instance: &Instance, expected: &[(&str, usize)]) {
    let expected = expected.iter().map(|(remark, n)| ((*remark).to_owned(), *n)).collect();
    assert_eq!(remarks(instance), expected);
}

#[test]
fn a_table_of_the_users_own_is_there_once_after_any_number_of_starts() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..4 {
        let mut instance = open(folder.path(), notes(&["old"]), None);
        tick(&mut instance, n);
        check(&instance, &[("old", n as usize + 1)]);
        instance.stop().unwrap();
    }
    // The table changes between two starts: history is restated.
    let mut instance = open(folder.path(), notes(&["new", "newer"]), None);
    tick(&mut instance, 4);
    check(&instance, &[("new", 5), ("newer", 5)]);
    instance.stop().unwrap();
    let instance = open(folder.path(), notes(&["new", "newer"]), None);
    check(&instance, &[("new", 5), ("newer", 5)]);
}

#[test]
fn an_emptied_table_stays_empty() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = open(folder.path(), notes(&["old"]), None);
    tick(&mut instance, 0);
    instance.stop().unwrap();
    for n in 1..4 {
        let mut instance = open(folder.path(), notes(&[]), None);
        tick(&mut instance, n);
        check(&instance, &[]);
        instance.stop().unwrap();
    }
    let mut instance = open(folder.path(), notes(&["again"]), None);
    tick(&mut instance, 4);
    check(&instance, &[("again", 5)]);
}

/// The records of a kind, by subject.
fn recorded(folder: &Path, kind: Kind) -> Vec<(String, Option<String>)> {
    let Rows { batches, .. } = audit_tables::rows(folder, kind).unwrap();
    let column = if kind == Kind::Config { "setting_value" } else { "change" };
    let mut records = Vec::new();
    for batch in batches {
        let subjects = batch.column_by_name("subject").unwrap().as_string::<i32>();
        let values = batch.column_by_name(column).unwrap().as_string::<i32>();
        let pairs = subjects.iter().zip(values.iter());
        records.extend(pairs.map(|(s, v)| (s.unwrap().to_owned(), v.map(str::to_owned))));
    }
    records
}

#[test]
fn settings_and_views_are_recorded_when_they_change_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let run = |n: u64, agents: Option<Settings>| {
        let mut instance = open(folder.path(), notes(&["a"]), agents);
        tick(&mut instance, n);
        instance.stop().unwrap();
        (recorded(folder.path(), Kind::Config), recorded(folder.path(), Kind::View))
    };
    let (first, views) = run(0, Some(Settings::default()));
    assert!(first.contains(&("agents.limit_share".to_owned(), Some("0.96".to_owned()))));
    assert!(views.contains(&("remarks".to_owned(), Some("created".to_owned()))));
    assert_eq!(run(1, Some(Settings::default())), (first.clone(), views.clone()));
    let (second, _) = run(2, Some(Settings { limit_share: 0.95, ..Settings::default() }));
    let new: Vec<_> = second[first.len()..].to_vec();
    assert_eq!(new, [("agents.limit_share".to_owned(), Some("0.95".to_owned()))]);
}
