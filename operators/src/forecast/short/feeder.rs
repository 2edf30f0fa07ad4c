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
use schemas::decision::ShortForecast;
use schemas::relation::Relation;
use schemas::state::NodeQuarter;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::super::heard::Heard;
use super::super::reconcile::reconcile;
use super::super::rule::Point;
use super::kernel::HourSaid;
use super::open::Open;
use super::series::DAY;
use super::series::Series;

/// What is looked at.
pub(super) const VIEW: &str = NodeQuarter::NAME;

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    series: Series,
    /// The first quarter of which it counts in its feeder's sum.
    first: i64,
    /// Quarters that are over and not yet in the series.
    open: Open,
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
    /// Quarters of the sum that are new or otherwise. None between two steps.
    #[serde(skip)]
    told: Vec<i64>,
}

impl Feeder {
    /// A quarter of a node that is over.
    pub fn hear(&mut self, bus: String, quarter: i64, kw: f64) {
        let node = self.nodes.entry(bus).or_insert_with(|| Node::new(quarter));
        if quarter >= node.series.short.end() {
            node.open.hear(quarter, kw);
        } else if node.series.short.restate(quarter, kw) {
            node.stood_in.remove(&quarter);
            self.restated.insert(quarter);
        }
    }

    /// What is forecast of an hour of a node, or of the whole.
    pub fn expect(&mut self, at: Timestamp, node: bool, row: &HourSaid) {
        let next = (at.0 / QUARTER_MS) as i64;
        let series = if node {
            let bus = row.subject_id.clone();
            let node = self.nodes.entry(bus).or_insert_with(|| Node::new(next));
            &mut node.series
        } else {
            self.whole.get_or_insert_with(|| Series::new(next))
        };
        series.expect(row);
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
            if whole.short.restate(quarter, self.sum(quarter)) {
                self.told.push(quarter);
            }
        }
        whole.begin(first, next);
        for quarter in whole.short.end()..next {
            whole.short.push(self.sum(quarter), factor);
            self.told.push(quarter);
        }
        let present = at.0 / HOUR_MS;
        let all = self.nodes.values_mut().map(|node| &mut node.series).chain([&mut whole]);
        all.for_each(|series| series.forget_before(present));
        self.whole = Some(whole);
    }

    /// The sum of a quarter, NaN where too few were heard.
    fn sum(&self, quarter: i64) -> f64 {
        let mut heard = Heard::default();
        for node in self.nodes.values().filter(|node| node.first <= quarter) {
            let kw = f64::from(node.series.short.at(quarter));
            let stands_in = || node.stood_in.get(&quarter).copied().unwrap_or(0.0);
            heard.add(if kw.is_finite() { kw } else { stands_in() }, kw.is_finite());
        }
        heard.kw()
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
            nodes.push(node.series.answer(at, ("node", bus_id), VIEW, None));
        }
        let whole = self.whole.as_mut();
        let mut feeder = whole.map(|whole| whole.answer(at, ("feeder", feeder_id), VIEW, None));
        if let Some(feeder) = &mut feeder {
            let mut points: Vec<Vec<Point>> =
                nodes.iter_mut().map(|node| std::mem::take(&mut node.points)).collect();
            reconcile(&mut points, &mut feeder.points, |_, _| None);
            nodes.iter_mut().zip(points).for_each(|(node, points)| node.points = points);
        }
        for answer in nodes.iter().chain(&feeder) {
            rows.extend(answer.rows(at, feeder_id));
        }
    }

    /// The quarters of its sum that are new or otherwise since this was last asked, in kW, NaN
    /// where too few were heard.
    pub fn take_told(&mut self) -> impl Iterator<Item = (i64, f64)> {
        let told = std::mem::take(&mut self.told).into_iter();
        told.filter_map(|q| Some((q, f64::from(self.whole.as_ref()?.short.at(q)))))
    }
}

impl Node {
    fn new(first: i64) -> Node {
        let series = Series::new(first);
        Node { series, first, open: Open::default(), stood_in: BTreeMap::new() }
    }

    fn advance(&mut self, next: i64, factor: &mut Factor) {
        if let Some(quarter) = self.open.first()
            && self.series.short.is_empty()
        {
            self.first = self.first.min(quarter);
        }
        let Node { series, first, open, stood_in } = self;
        open.flow_into(series, (*first, next), factor, |series, quarter, kw| {
            if kw.is_none() {
                let yesterday = f64::from(series.short.at(quarter - DAY));
                let hour = || series.hour_kw(quarter as u64 / 4);
                let known = Some(yesterday).filter(|kw| kw.is_finite()).or_else(hour);
                stood_in.insert(quarter, known.unwrap_or(0.0));
            }
            kw.unwrap_or(f64::NAN)
        });
        self.stood_in = self.stood_in.split_off(&(next - KEPT));
    }
}
