//! What the agents say over views that batch makes: the audit's totals without a maintained view.
//!
//! At each tick the views that agents read are asked anew of the rows so far, by the same SQL in
//! batch DataFusion; what is different from the tick before is all that the agents are given. So
//! nothing here maintains anything: neither ingest nor the rendering of views has a part in it. The
//! agents themselves are the real ones, hosted as everywhere.
//!
//! Two things spare time, and are safe for a stated reason. A view is asked over the last
//! [`WINDOW_MS`] of readings: nobody in the village is silent for longer, and every so often the
//! answer is compared with the one over all rows. Views that must look further ([`WHOLE`]) are
//! asked of all rows, and not at every tick. `node_hour`, `node_quarter`, `plant_hour`,
//! `plant_quarter` and `weather_hour` are told at ticks at which a forecast is issued: the agents
//! that read them keep the last value of each hour or quarter, and look at no other moment.
//! `asset_efficiency` moves when a quarter of an hour is over, and until what is late of it has
//! come.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimestampMillisecondType;
use connectors::format::json;
use gridloom::wiring::views;
use operators::control;
use operators::settings::Settings;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::flow::Flow;
use pipeline::views::publish::Published;
use pipeline::workers::TickInput;
use pipeline::workers::Workers;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;
use schemas::event::SwitchPosition;
use schemas::event::WeatherForecast;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::state::NodeHour;
use schemas::state::NodeQuarter;
use schemas::state::PlantHour;
use schemas::state::PlantQuarter;
use schemas::state::SharedMeterHour;
use schemas::state::WeatherHour;
use schemas::time::DEFAULT_STEP;
use schemas::time::Timestamp;

use crate::kafka;
use crate::oracle::Change;

/// How far back a view is asked: more than anybody is silent or late, and than any view reaches.
const WINDOW_MS: u64 = 16 * 60_000;

/// Views of hours and quarters.
const WHOLE: [&str; 8] = [
    NodeHour::NAME,
    NodeQuarter::NAME,
    PlantHour::NAME,
    PlantQuarter::NAME,
    SharedMeterHour::NAME,
    WeatherHour::NAME,
    "asset_efficiency",
    "meter_hour",
];

/// The time by which `asset_efficiency` reckons.
const QUARTER_MS: u64 = 15 * 60_000;

/// Streams that say what holds for long: a switch says where it stands once, and a service what the
/// weather will be four times a day.
const SELDOM: [&str; 2] = [SwitchPosition::NAME, WeatherForecast::NAME];

/// After a quarter of an hour has ended, how long something of it may come.
const LATE_MS: u64 = 2 * 60_000;

/// Ticks between two comparisons with the answer over all rows.
const COMPARED_EVERY: usize = 60;

/// The rows so far, and what is asked of them.
struct Asked {
    catalog: Catalog,
    /// The views that agents read, and those that these read.
    plans: Vec<ViewPlan>,
    so_far: BTreeMap<String, RecordBatch>,
}

impl Asked {
    fn new() -> Asked {
        let catalog = Catalog::built_in();
        let texts: Vec<&str> = queries::shipped().iter().map(|(_, text)| *text).collect();
        let mut plans = views::plan(&catalog, &texts).unwrap_or_else(|failed| panic!("{failed:?}"));
        let mut wanted: BTreeSet<String> = control::READS.map(str::to_owned).into();
        for plan in plans.iter().rev() {
            if wanted.contains(&plan.name) {
                wanted.extend(plan.reads.iter().cloned());
            }
        }
        plans.retain(|plan| wanted.contains(&plan.name));
        let so_far = catalog.iter().map(|(name, info)| {
            let empty = RecordBatch::new_empty(info.schema.clone());
            (name.to_owned(), empty)
        });
        let so_far = so_far.collect();
        Asked { catalog, plans, so_far }
    }

    fn take(&mut self, changes: &[Change]) {
        for (name, rows, diff) in changes {
            assert_eq!(*diff, 1, "nothing is taken away here");
            let all = self.so_far.get_mut(name).unwrap();
            *all = concat_batches(&rows.schema(), [&*all, rows]).unwrap();
        }
    }

    /// What the views of [`WHOLE`] show at a tick.
    fn whole(&self, tick: u64) -> BTreeMap<String, RecordBatch> {
        let all = self.so_far.iter().map(|(name, rows)| (name.clone(), Rows::of(rows.clone())));
        self.show(all.collect(), tick, |name| WHOLE.contains(&name))
    }

    /// What each other view shows at a tick, asked over so much of the past, and of `whole`.
    fn ask(
        &self,
        tick: u64,
        window_ms: u64,
        whole: &BTreeMap<String, RecordBatch>,
    ) -> BTreeMap<String, RecordBatch> {
        let recent = |(name, rows): (&String, &RecordBatch)| {
            let rows = match &self.catalog.get(name).unwrap().kind {
                RelationKind::Stream(stream) if !SELDOM.contains(&name.as_str()) => {
                    since(rows, &stream.def.event_time, tick.saturating_sub(window_ms))
                }
                _ => rows.clone(),
            };
            (name.clone(), Rows::of(rows))
        };
        let mut tables: BTreeMap<String, Rows> = self.so_far.iter().map(recent).collect();
        tables.extend(whole.iter().map(|(name, rows)| (name.clone(), Rows::of(rows.clone()))));
        self.show(tables, tick, |name| !WHOLE.contains(&name))
    }

    fn show(
        &self,
        mut tables: BTreeMap<String, Rows>,
        tick: u64,
        wanted: impl Fn(&str) -> bool,
    ) -> BTreeMap<String, RecordBatch> {
        let mut shown = BTreeMap::new();
        for plan in self.plans.iter().filter(|plan| wanted(&plan.name)) {
            let rows = queries::batch::query(&tables, &plan.sql, Timestamp(tick));
            let rows = rows.unwrap_or_else(|e| panic!("{}: {e}", plan.name));
            let rows = match rows.num_columns() {
                0 => RecordBatch::new_empty(plan.root.schema.clone()),
                _ => rows,
            };
            tables.insert(plan.name.clone(), Rows::of(rows.clone()));
            shown.insert(plan.name.clone(), rows);
        }
        shown
    }

    /// The columns of what agents read.
    fn schema(&self, name: &str) -> SchemaRef {
        let plan = self.plans.iter().find(|plan| plan.name == name);
        let schema = plan.map(|plan| plan.root.schema.clone());
        schema.unwrap_or_else(|| self.catalog.get(name).unwrap().schema.clone())
    }
}

/// The rows whose time is not before an instant.
fn since(rows: &RecordBatch, event_time: &str, from: u64) -> RecordBatch {
    let times = rows.column_by_name(event_time).unwrap();
    let times = times.as_primitive::<TimestampMillisecondType>();
    let keep = times.values().iter().map(|at| Some(*at as u64 >= from)).collect();
    filter_record_batch(rows, &keep).unwrap()
}

/// A view as the agents know it.
struct Known {
    input: usize,
    codec: RowCodec,
    rows: BTreeMap<Row, i64>,
}

impl Known {
    /// What is to be told so that the agents know these rows.
    fn change(&mut self, tick: u64, shown: &RecordBatch) -> (usize, DeltaBatch) {
        let mut rows: BTreeMap<Row, i64> = BTreeMap::new();
        for row in self.codec.rows(shown).unwrap() {
            *rows.entry(row).or_default() += 1;
        }
        let mut diffs = rows.clone();
        for (row, n) in &self.rows {
            *diffs.entry(row.clone()).or_default() -= n;
        }
        diffs.retain(|_, diff| *diff != 0);
        self.rows = rows;
        let bytes: Vec<&[u8]> = diffs.keys().map(Row::as_bytes).collect();
        let batch = self.codec.decode(bytes.into_iter()).unwrap();
        let diffs = Diffs::Each(diffs.values().copied().collect());
        (self.input, DeltaBatch { time: tick, batch, diffs })
    }
}

/// How many records the agents make of each kind, as [`kafka::totals`] counts them.
pub(crate) fn totals(ticks: &[(u64, Vec<Change>)]) -> BTreeMap<String, usize> {
    let settings = Settings::default();
    let mut asked = Asked::new();
    let inputs: Vec<(String, SchemaRef)> =
        control::READS.into_iter().map(|name| (name.to_owned(), asked.schema(name))).collect();
    let (step, agents) = (DEFAULT_STEP, Some(settings.clone()));
    let flow = Flow { step, inputs: inputs.clone(), views: Vec::new(), agents };
    let mut known: BTreeMap<String, Known> = (inputs.iter().enumerate())
        .filter(|(_, (name, _))| asked.plans.iter().any(|plan| plan.name == *name))
        .map(|(input, (name, schema))| {
            let codec = RowCodec::new(schema.clone()).unwrap();
            (name.clone(), Known { input, codec, rows: BTreeMap::new() })
        })
        .collect();
    let mut workers = Workers::start(&flow, 1).unwrap();
    let (mut totals, mut whole) = (BTreeMap::new(), BTreeMap::new());
    for (n, (tick, changes)) in ticks.iter().enumerate() {
        asked.take(changes);
        let issues = *tick % settings.issue_every_ms < settings.step_ms;
        if issues || n == 0 || *tick % QUARTER_MS < LATE_MS {
            whole = asked.whole(*tick);
        }
        let mut shown = asked.ask(*tick, WINDOW_MS, &whole);
        if issues || n % COMPARED_EVERY == 0 {
            let all = asked.ask(*tick, u64::MAX, &whole);
            assert_eq!(sorted(&shown), sorted(&all), "somebody was silent for long");
        }
        if issues {
            shown.extend(whole.clone());
        }
        let told = known.iter_mut();
        let told = told.filter_map(|(name, known)| Some(known.change(*tick, shown.get(name)?)));
        let mut deltas: Vec<(usize, DeltaBatch)> = told.collect();
        for (name, batch, _) in changes {
            let input = inputs.iter().position(|(input, _)| input == name);
            let delta = DeltaBatch { time: *tick, batch: batch.clone(), diffs: Diffs::All(1) };
            deltas.extend(input.map(|input| (input, delta)));
        }
        workers.submit(TickInput { tick: Timestamp(*tick), deltas }).unwrap();
        let output = loop {
            if let Some(output) = workers.finished(Duration::from_secs(10)).unwrap() {
                break output;
            }
        };
        output.published.iter().for_each(|said| count(&flow, said, &mut totals));
    }
    totals
}

/// The rows of each view as text, whatever their order.
fn sorted(views: &BTreeMap<String, RecordBatch>) -> BTreeMap<&str, Vec<String>> {
    let text = |rows: &RecordBatch| {
        let mut lines = json::encode(rows);
        lines.sort();
        lines
    };
    views.iter().map(|(name, rows)| (name.as_str(), text(rows))).collect()
}

/// Adds what the agents said at one tick; setpoints are no records.
fn count(flow: &Flow, said: &Published, totals: &mut BTreeMap<String, usize>) {
    let (name, schema) = flow.published().swap_remove(said.relation);
    let (kind, by): (&str, &[&str]) = match name.as_str() {
        "actions" => ("action", &["state"]),
        "alarms" => ("alarm", &["kind", "state"]),
        "forecasts" => ("forecast", &["scope"]),
        "model_versions" => ("model", &[]),
        "short_forecasts" => ("short-forecast", &["scope"]),
        _ => return,
    };
    assert!(said.rows.iter().all(|(_, diff)| *diff == 1), "what was said is not taken back");
    let codec = RowCodec::new(schema).unwrap();
    let batch = codec.decode(said.rows.iter().map(|(row, _)| row.as_bytes())).unwrap();
    kafka::count(kind, by, &batch, totals);
}
