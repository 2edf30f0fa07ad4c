//! A stream of values by key, through the whole instance, against the same SQL asked once in batch
//! over the last words so far: at every tick, with one, two and three workers.
//!
//! Chargers report by two partitions, each charger always by the same. What they say is random by
//! seed: values that replace each other, some with an earlier time than those before, some the same
//! again, some deleted, some so old that the stream no longer retains them. What stands at a tick
//! is, of each partition, the last word on each key among the records that entered so far; how
//! many those are is read from the log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Float64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMillisecondArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use connectors::source::Deletions;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use gridloom::wiring::views;
use pipeline::flow::Flow;
use pipeline::ingest::IngestSettings;
use pipeline::instance::Instance;
use pipeline::instance::InstanceSettings;
use pipeline::instance::Parts;
use pipeline::log;
use pipeline::log::InstanceId;
use pipeline::log::Options;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::StreamSettings;
use schemas::contract::ViewReader;
use schemas::event::Envelope;
use schemas::event::StreamDef;
use schemas::plan::Expiry;
use schemas::plan::ViewPlan;
use schemas::relation::UTC;
use schemas::relation::timestamp_type;
use schemas::time::Clock;
use schemas::time::HOUR_MS;
use schemas::time::Step;
use schemas::time::Timestamp;

const NAME: &str = "ev_sessions";
const BEGIN_MS: u64 = 1_472_673_600_000;
/// Long steps, so that a few dozen ticks span several retentions.
const STEP_MS: u64 = 300_000;
const RETAIN_MS: u64 = HOUR_MS;
const CHARGERS: u64 = 12;
const PARTITIONS: u64 = 2;

/// A stateless view, and one for each way in which state is kept and rows expire.
const VIEWS: [&str; 5] = [
    "CREATE MATERIALIZED VIEW busy AS
     SELECT charger_id, site, kw * 2.0 AS doubled FROM ev_sessions WHERE kw > 0.0",
    "CREATE MATERIALIZED VIEW site_load AS
     SELECT site, count(*) AS n, sum(kw) AS kw, max(kw) AS most FROM ev_sessions GROUP BY site",
    "CREATE MATERIALIZED VIEW hour_load AS
     SELECT date_bin(INTERVAL '1 hour', started_at) AS hour_at, count(*) AS n, sum(kw) AS kw
     FROM ev_sessions GROUP BY 1",
    "CREATE MATERIALIZED VIEW site_latest AS
     SELECT DISTINCT ON (site) site, charger_id, started_at, kw FROM ev_sessions
     ORDER BY site, started_at DESC",
    "CREATE MATERIALIZED VIEW share AS
     SELECT e.charger_id, e.kw, s.n, s.kw AS site_kw FROM ev_sessions e
     JOIN site_load s ON s.site = e.site",
];

/// What a charger says at once, or that it is gone.
#[derive(Clone, Debug, PartialEq)]
struct Word {
    charger: u64,
    said: Option<(Timestamp, f64)>,
}

impl Word {
    fn charger_id(&self) -> String {
        format!("charger-{:02}", self.charger)
    }
}

fn stream() -> StreamSettings {
    let schema = Schema::new(vec![
        Field::new("charger_id", DataType::Utf8, false),
        Field::new("site", DataType::Utf8, false),
        Field::new("started_at", timestamp_type(), false),
        Field::new("kw", DataType::Float64, false),
    ]);
    let def = StreamDef {
        name: NAME.to_owned(),
        schema: Arc::new(schema),
        event_time: "started_at".to_owned(),
        key: vec!["charger_id".to_owned()],
        envelope: Envelope::Upsert,
    };
    StreamSettings { def, lateness_ms: HOUR_MS, retain_ms: RETAIN_MS }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::built_in();
    catalog.add_stream(stream());
    catalog
}

/// The rows of words that say something.
fn rows<'a>(words: impl Iterator<Item = &'a Word>) -> RecordBatch {
    let said: Vec<_> = words.filter_map(|word| Some((word, word.said?))).collect();
    let ids: StringArray = said.iter().map(|(word, _)| Some(word.charger_id())).collect();
    let site = |word: &Word| Some(format!("site-{}", word.charger % 3));
    let sites: StringArray = said.iter().map(|(word, _)| site(word)).collect();
    let times = said.iter().map(|(_, (at, _))| Some(at.0 as i64));
    let times: TimestampMillisecondArray = times.collect();
    let kw: Float64Array = said.iter().map(|(_, (_, kw))| Some(*kw)).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(ids), Arc::new(sites), Arc::new(times.with_timezone(UTC)), Arc::new(kw)];
    RecordBatch::try_new(stream().def.schema, columns).unwrap()
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What each partition holds: its chargers' words over so many steps.
fn words(seed: u64, steps: u64) -> Vec<Vec<Word>> {
    let mut random = Random(seed);
    let mut partitions = vec![Vec::new(); PARTITIONS as usize];
    for step in 0..steps {
        let now = BEGIN_MS + step * STEP_MS;
        for _ in 0..1 + random.below(6) {
            let charger = random.below(CHARGERS);
            let partition: &mut Vec<Word> = &mut partitions[(charger % PARTITIONS) as usize];
            let again = partition.iter().rev().find(|word| word.charger == charger).cloned();
            let kw = random.below(16_384) as f64 / 1_024.0;
            let said = match random.below(10) {
                0 => None,
                1 if again.is_some() => again.and_then(|word| word.said),
                // Now and then late, else up to a quarter of an hour back or ahead.
                2 => Some((Timestamp(now - 30 * 60_000), kw)),
                _ => Some((Timestamp(now + random.below(30 * 60_000) - 15 * 60_000), kw)),
            };
            partition.push(Word { charger, said });
        }
    }
    partitions
}

fn partition(n: usize) -> PartitionId {
    PartitionId::new("chargers", n)
}

/// Records `from..to` of a partition.
fn piece(n: usize, words: &[Word], from: usize, to: usize) -> Polled {
    let numbered = || words.iter().enumerate().take(to).skip(from);
    let positions = |gone: bool| {
        let of = numbered().filter(|(_, word)| word.said.is_none() == gone);
        of.map(|(at, _)| at as Position).collect::<Vec<_>>()
    };
    let ids: StringArray = numbered()
        .filter(|(_, word)| word.said.is_none())
        .map(|(_, word)| Some(word.charger_id()))
        .collect();
    let keys = RecordBatch::try_new(stream().def.key_schema().unwrap(), vec![Arc::new(ids)]);
    let deleted = Some(Deletions { keys: keys.unwrap(), positions: positions(true) });
    let rows = rows(numbered().map(|(_, word)| word));
    let fetched = Fetched::of_rows(partition(n), NAME, rows, 0);
    let (positions, next) = (positions(false), to as Position);
    Polled::Batch(Fetched { positions, next, deleted, ..fetched })
}

fn plans() -> Vec<ViewPlan> {
    views::plan(&catalog(), &VIEWS).unwrap_or_else(|failed| panic!("{failed:?}"))
}

fn open(folder: &Path, workers: usize) -> Instance {
    let step = Step::from_millis(STEP_MS).unwrap();
    let ingest = IngestSettings { step, patience_ms: None, ..IngestSettings::default() };
    let settings = InstanceSettings {
        instance: InstanceId::new("chargers").unwrap(),
        data_dir: folder.to_owned(),
        workers,
        ticks_in_flight: 1,
        snapshot_every: 1_000,
        ingest,
        log: Options::default(),
        clock: Clock::Wall,
    };
    let parts = Parts {
        flow: Flow::over(&catalog(), plans(), None, step),
        catalog: catalog(),
        tables: Vec::new(),
        partitions: (0..PARTITIONS as usize).map(|n| (partition(n), 600_000)).collect(),
        outbox: None,
        stated: BTreeMap::new(),
        indexes: Vec::new(),
        hook: None,
    };
    Instance::open(settings, parts).unwrap()
}

/// What views show, row by row, by name.
type Shown = BTreeMap<String, Vec<String>>;

/// The rows as text, in order.
fn text(rows: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = (rows.columns().iter())
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    let line = |row: usize| {
        columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|")
    };
    let mut lines: Vec<String> = (0..rows.num_rows()).map(line).collect();
    lines.sort();
    lines
}

/// Runs the partitions through an instance; what the views show after each tick.
fn maintained(
    folder: &Path,
    workers: usize,
    partitions: &[Vec<Word>],
    seed: u64,
) -> Vec<(Timestamp, Shown)> {
    let mut random = Random(seed ^ 0x5eed);
    let mut instance = open(folder, workers);
    let (mut at, mut ended) = (vec![0; partitions.len()], vec![false; partitions.len()]);
    let mut after = Vec::new();
    while !instance.finished() {
        let n = random.below(PARTITIONS) as usize;
        let to = (at[n] + 1 + random.below(5) as usize).min(partitions[n].len());
        if at[n] < to {
            instance.take(piece(n, &partitions[n], at[n], to));
            at[n] = to;
        } else if !ended[n] {
            instance.take(Polled::End { partition: partition(n) });
            ended[n] = true;
        }
        while let Some(done) = instance.turn(Duration::from_secs(10)).unwrap().pop() {
            let views = instance.views();
            let rows = |plan: ViewPlan| {
                let snapshot = views.snapshot(&plan.name).unwrap();
                assert!(snapshot.faults.is_empty(), "{}: {:?}", plan.name, snapshot.faults);
                (plan.name, text(&snapshot.rows))
            };
            after.push((done.tick, plans().into_iter().map(rows).collect()));
        }
    }
    instance.stop().unwrap();
    after
}

/// How many records of each partition entered with each tick, from the log.
fn entered(folder: &Path) -> BTreeMap<Timestamp, Vec<usize>> {
    let mut counts = BTreeMap::new();
    for commit in log::read_commits(&folder.join("audit"), Timestamp(0), Timestamp(u64::MAX)) {
        let commit = commit.unwrap().commit;
        let of: &mut Vec<usize> = counts.entry(commit.tick).or_insert(vec![0; PARTITIONS as usize]);
        for (_, batch) in &commit.inputs {
            for id in batch.column(0).as_string::<i32>().iter().flatten() {
                let charger: u64 = id.trim_start_matches("charger-").parse().unwrap();
                of[(charger % PARTITIONS) as usize] += 1;
            }
        }
    }
    counts
}

/// What batch makes of the last words so far, after each tick.
fn asked(
    partitions: &[Vec<Word>],
    entered: &BTreeMap<Timestamp, Vec<usize>>,
) -> Vec<(Timestamp, Shown)> {
    let mut so_far = vec![0; partitions.len()];
    let expiry = Expiry { column: 2, retain_ms: RETAIN_MS, lateness_ms: None };
    let mut after = Vec::new();
    for (tick, counts) in entered {
        let mut last: BTreeMap<u64, &Word> = BTreeMap::new();
        for (n, words) in partitions.iter().enumerate() {
            so_far[n] += counts[n];
            last.extend(words[..so_far[n]].iter().map(|word| (word.charger, word)));
        }
        let stands = |word: &&&Word| word.said.is_some_and(|(at, _)| expiry.at(at) > *tick);
        let rows = rows(last.values().filter(stands).copied());
        let mut tables = BTreeMap::from([(NAME.to_owned(), Rows::of(rows))]);
        let mut shown = Shown::new();
        for plan in plans() {
            let rows = queries::batch::query(&tables, &plan.sql, *tick).unwrap();
            let rows = match rows.num_columns() {
                0 => RecordBatch::new_empty(plan.root.schema.clone()),
                _ => rows,
            };
            shown.insert(plan.name.clone(), text(&rows));
            tables.insert(plan.name, Rows::of(rows));
        }
        after.push((*tick, shown));
    }
    after
}

fn check(seed: u64, steps: u64) {
    let partitions = words(seed, steps);
    let mut rows = BTreeMap::<String, usize>::new();
    for workers in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let maintained = maintained(folder.path(), workers, &partitions, seed);
        let entered = entered(folder.path());
        let records: usize = entered.values().flatten().sum();
        assert_eq!(records, partitions.iter().map(Vec::len).sum::<usize>(), "lost or twice");
        let asked = asked(&partitions, &entered);
        assert_eq!(maintained.len(), asked.len());
        for ((tick, maintained), (of, asked)) in maintained.iter().zip(&asked) {
            assert_eq!(tick, of);
            for (view, asked) in asked {
                let what = format!("seed {seed}, {workers} workers, {tick}: {view}");
                assert_eq!(&maintained[view], asked, "{what}");
                *rows.entry(view.clone()).or_default() += asked.len();
            }
        }
    }
    assert_eq!(rows.len(), VIEWS.len());
    assert!(rows.values().all(|rows| *rows > 30), "too little was compared: {rows:?}");
}

#[test]
fn views_over_values_by_key_equal_batch_60_ticks_3_workers() {
    check(7, 60);
    check(20_160_831, 60);
}
