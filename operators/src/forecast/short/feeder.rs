//! A feeder by quarters: its nodes, and their sum.
//!
//! The sum of a quarter stands if most nodes were heard, as that of an hour does
//! ([`feeder`](super::super::feeder)). For a silent one stands what it drew at that time of the day
//! before, or what its hour was forecast to be, or 0; what stood in stays, until the node is heard.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use forecast::ridge::Factor;
use forecast::short::KEPT;
use forecast::short::QUARTER_MS;
use forecast::short::Quarter;
use forecast::short::Short;
use schemas::decision::ShortForecast;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::super::feeder::KNOWN_OF;
use super::super::reconcile::reconcile;
use super::super::rule::Point;
use super::kernel::HourSaid;

/// Who speaks where hours are forecast.
pub const SHORT_VERSION: &str = "short-1";

/// Who speaks where they are not.
pub const PERSISTENCE_VERSION: &str = "persistence-1";

/// Hours from the present one on that quarters are drawn from: the next hour ends in the second,
/// and a parabola looks one further.
pub const HOURS_AHEAD: u64 = 3;

/// Quarters of a day.
const DAY: i64 = 96;

/// Mean absolute deviations of a normal distribution between its tenth and ninetieth percentile.
const BAND_DEVIATIONS: f64 = 3.212;

/// What is forecast of one hour, in kW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Hour {
    issued_at: Timestamp,
    p50_kw: f64,
    band_kw: f64,
}

/// A series of quarters with the hours that it is drawn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Series {
    short: Short,
    /// By hour since the epoch, the newest word.
    hours: BTreeMap<u64, Hour>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    series: Series,
    /// The first quarter of which it counts in its feeder's sum.
    first: i64,
    /// Quarters that are over and not yet in the series, in kW.
    open: BTreeMap<i64, f64>,
    /// What stood in where it was silent.
    stood_in: BTreeMap<i64, f64>,
}

/// See [`self`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Feeder {
    nodes: BTreeMap<String, Node>,
    whole: Option<Series>,
    /// Quarters of which a node says something else than the sum has.
    restated: BTreeSet<i64>,
}

/// What is said of one subject, and what it rests on.
struct Answer {
    scope: &'static str,
    subject_id: String,
    points: Vec<Point>,
    model_version: &'static str,
    saw: String,
}

impl Feeder {
    /// A quarter of a node that is over.
    pub fn hear(&mut self, bus: String, quarter: i64, kw: f64) {
        let node = self.nodes.entry(bus).or_insert_with(|| Node::new(quarter));
        if quarter >= node.series.short.end() {
            node.open.insert(quarter, kw);
            // Of a node that has not begun, more of the past than is kept is of no use.
            while node.open.len() > KEPT as usize {
                node.open.pop_first();
            }
        } else if node.series.short.restate(quarter, kw) {
            node.stood_in.remove(&quarter);
            self.restated.insert(quarter);
        }
    }

    /// What is forecast of an hour of a node, or of the whole.
    pub fn expect(&mut self, at: Timestamp, node: bool, row: HourSaid) {
        let next = (at.0 / QUARTER_MS) as i64;
        let series = if node {
            let node = self.nodes.entry(row.subject_id).or_insert_with(|| Node::new(next));
            &mut node.series
        } else {
            self.whole.get_or_insert_with(|| Series::new(next))
        };
        let band_kw = row.p90_kw - row.p10_kw;
        if row.p50_kw.is_finite() && band_kw.is_finite() {
            let said = Hour { issued_at: row.issued_at, p50_kw: row.p50_kw, band_kw };
            let hour = series.hours.entry(row.target_at.0 / HOUR_MS).or_insert(said);
            if hour.issued_at <= said.issued_at {
                *hour = said;
            }
        }
    }

    /// Takes in the quarters that are over at `at`, and learns.
    pub fn advance(&mut self, at: Timestamp, factor: &mut Factor) {
        let next = (at.0 / QUARTER_MS) as i64;
        for node in self.nodes.values_mut() {
            node.advance(next, factor);
        }
        let Some(first) = self.nodes.values().map(|node| node.first).min() else { return };
        let mut whole = self.whole.take().unwrap_or_else(|| Series::new(first));
        for quarter in std::mem::take(&mut self.restated) {
            whole.short.restate(quarter, self.sum(quarter));
        }
        whole.begin(first, next);
        for quarter in whole.short.end()..next {
            whole.short.push(self.sum(quarter), factor);
        }
        let present = at.0 / HOUR_MS;
        let all = self.nodes.values_mut().map(|node| &mut node.series).chain([&mut whole]);
        all.for_each(|series| series.hours = series.hours.split_off(&present));
        self.whole = Some(whole);
    }

    /// The sum of a quarter, NaN where too few were heard.
    fn sum(&self, quarter: i64) -> f64 {
        let (mut sum, mut begun, mut known) = (0.0, 0, 0);
        for node in self.nodes.values().filter(|node| node.first <= quarter) {
            let kw = f64::from(node.series.short.at(quarter));
            begun += 1;
            known += usize::from(kw.is_finite());
            let stands_in = || node.stood_in.get(&quarter).copied().unwrap_or(0.0);
            sum += if kw.is_finite() { kw } else { stands_in() };
        }
        if begun == 0 || known * KNOWN_OF.1 < begun * KNOWN_OF.0 { f64::NAN } else { sum }
    }

    /// Forgets nodes of which neither a quarter nor an hour is known; `true` where none is left.
    pub fn forget(&mut self) -> bool {
        self.nodes.retain(|_, node| node.series.knows());
        self.nodes.is_empty()
    }

    /// What is said at `at` of each node, in their order, and then of the feeder.
    pub fn issue(&mut self, at: Timestamp, feeder_id: &str, rows: &mut Vec<ShortForecast>) {
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (bus_id, node) in &mut self.nodes {
            nodes.push(node.series.answer(at, "node", bus_id));
        }
        let mut feeder = self.whole.as_mut().map(|whole| whole.answer(at, "feeder", feeder_id));
        if let Some(feeder) = &mut feeder {
            let mut points: Vec<Vec<Point>> =
                nodes.iter_mut().map(|node| std::mem::take(&mut node.points)).collect();
            reconcile(&mut points, &mut feeder.points, |_, _| None);
            nodes.iter_mut().zip(points).for_each(|(node, points)| node.points = points);
        }
        let first = at.0 / QUARTER_MS;
        for answer in nodes.iter().chain(&feeder) {
            rows.extend(answer.points.iter().map(|point| ShortForecast {
                scope: answer.scope.to_owned(),
                subject_id: answer.subject_id.clone(),
                feeder_id: feeder_id.to_owned(),
                issued_at: at,
                target_at: Timestamp((first + point.hour as u64) * QUARTER_MS),
                p10_kw: point.p10_kw,
                p50_kw: point.p50_kw,
                p90_kw: point.p90_kw,
                model_version: answer.model_version.to_owned(),
                saw: answer.saw.clone(),
            }));
        }
    }
}

impl Series {
    fn new(first: i64) -> Series {
        Series { short: Short::new(first), hours: BTreeMap::new() }
    }

    /// Whether anything is known of it.
    fn knows(&self) -> bool {
        self.short.knows() || !self.hours.is_empty()
    }

    /// Before there is any quarter, it begins with this; after a silence longer than is kept, it
    /// goes on with what it learned.
    fn begin(&mut self, first: i64, next: i64) {
        if self.short.is_empty() || self.short.end() < next - KEPT {
            self.short.go_on_at(first.max(next - KEPT));
        }
    }

    fn answer(&mut self, at: Timestamp, scope: &'static str, id: &str) -> Answer {
        let present = at.0 / HOUR_MS;
        let hour = |ahead: u64| self.hours.get(&(present + ahead));
        let hours = [0, 1, 2].map(|ahead| hour(ahead).map_or(f64::NAN, |hour| hour.p50_kw));
        let spreads =
            [0, 1, 2].map(|ahead| hour(ahead).map_or(0.0, |hour| hour.band_kw / BAND_DEVIATIONS));
        let last = self.short.at(self.short.end() - 1);
        let last = if last.is_finite() { format!("{last:.3}") } else { "NULL".to_owned() };
        let mut saw = format!("node_quarter@{} last_quarter_kw={last}", at.0);
        let model_version = match hour(0).zip(hour(1)) {
            Some((now, next)) => {
                saw += &format!(
                    "; forecasts@{} p50_kw={:.3} next_p50_kw={:.3}",
                    now.issued_at.0, now.p50_kw, next.p50_kw
                );
                SHORT_VERSION
            }
            None => PERSISTENCE_VERSION,
        };
        let said = self.short.issue(hours, spreads);
        let point = |(hour, said): (usize, &Quarter)| Point {
            hour,
            p10_kw: said.p10,
            p50_kw: said.p50,
            p90_kw: said.p90,
        };
        let points = said.iter().flatten().enumerate().map(point).collect();
        Answer { scope, subject_id: id.to_owned(), points, model_version, saw }
    }
}

impl Node {
    fn new(first: i64) -> Node {
        let series = Series::new(first);
        Node { series, first, open: BTreeMap::new(), stood_in: BTreeMap::new() }
    }

    fn advance(&mut self, next: i64, factor: &mut Factor) {
        if let Some((quarter, _)) = self.open.first_key_value()
            && self.series.short.is_empty()
        {
            self.first = self.first.min(*quarter);
        }
        self.series.begin(self.first, next);
        for quarter in self.series.short.end()..next {
            let kw = self.open.remove(&quarter);
            if kw.is_none() {
                let yesterday = f64::from(self.series.short.at(quarter - DAY));
                let hour = || self.series.hours.get(&(quarter as u64 / 4)).map(|hour| hour.p50_kw);
                let known = Some(yesterday).filter(|kw| kw.is_finite()).or_else(hour);
                self.stood_in.insert(quarter, known.unwrap_or(0.0));
            }
            self.series.short.push(kw.unwrap_or(f64::NAN), factor);
        }
        self.open.clear();
        self.stood_in = self.stood_in.split_off(&(next - KEPT));
    }
}
