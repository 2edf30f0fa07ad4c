//! The meters of a node that has several.
//!
//! Each is a series with a model of its own, as a node is, and the medians of a node's meters add
//! up to the node's. They are the lowest level of the tree: a node says of an hour what it and its
//! meters agree on ([`rise`]), as surely as both know it together, and when it is moved from above,
//! its meters move with it. A node of one meter has none here: what is forecast of it is forecast
//! of its meter.
//!
//! Where one of them is silent, so that the sum at the node is too low, the node does not learn
//! that hour: until the meter is heard, or was silent for a week.
//!
//! # Bounds
//!
//! Those of a node, each; a meter that was silent for as long as its hours are kept is forgotten.

use std::collections::BTreeMap;
use std::ops::Range;

use forecast::calendar::Holidays;
use forecast::model::Said;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::because;
use super::feeder::Answer;
use super::feeder::Hour;
use super::feeder::Node;
use super::feeder::RECENT_HOURS;
use super::reconcile::reconcile;
use super::rise::Rise;
use super::rise::rise;
use super::rule::HORIZON_HOURS;
use super::rule::Point;
use super::series::Series;
use super::series::Turn;
use super::weather::Weather;

/// Days after which a silent meter is not waited for.
const SILENT_DAYS: u64 = 7;

/// See [`self`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Meters(BTreeMap<String, Node>);

/// What is said of the meters of a node.
#[derive(Clone, Debug)]
pub struct Below {
    /// Of each, in their order.
    pub answers: Vec<Answer>,
    /// By the hour ahead, what they and their node know of its sum.
    agreed: [Option<Rise>; HORIZON_HOURS],
    /// What the node said when they agreed, by the hour ahead.
    said_kw: [f64; HORIZON_HOURS],
}

impl Meters {
    /// Notes an hour of a meter; see [`Node::note`].
    pub fn note(&mut self, meter: String, hour_at: u64, hour: Hour, usual: bool) {
        self.0.entry(meter).or_insert_with(Node::new).note(hour_at, hour, usual);
    }

    /// Takes in what is known of these hours of their node beforehand, or afterwards.
    pub fn annotate(&mut self, hours: &Range<u64>, touched: &impl Fn(u64) -> bool) {
        for meter in self.0.values_mut() {
            meter.annotate(hours, (touched, &|_| false));
        }
    }

    /// Whether a meter that is waited for lacks this hour.
    pub fn lack(&self, hour: u64) -> bool {
        self.0.values().any(|meter| {
            let at = |hour: u64| meter.heard(hour);
            let begun = meter.first().is_some_and(|first| first <= hour);
            begun && !at(hour) && (hour.saturating_sub(SILENT_DAYS * 24)..hour).any(at)
        })
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Forgets a meter; `true` where none is left.
    pub fn part(&mut self, meter: &str) -> bool {
        self.0.remove(meter);
        self.0.is_empty()
    }

    /// Forgets those that were not `heard`; `true` where none is left.
    pub fn forget(&mut self, heard: impl Fn(&Node) -> bool) -> bool {
        self.0.retain(|_, meter| heard(meter));
        self.0.is_empty()
    }

    /// The series of a meter.
    pub fn series_mut(&mut self, meter: &str) -> Option<&mut Series> {
        self.0.get_mut(meter).map(|meter| &mut meter.series)
    }

    /// All, with their names.
    pub fn all_mut(&mut self) -> impl Iterator<Item = (&str, &mut Series)> {
        self.0.iter_mut().map(|(id, meter)| (id.as_str(), &mut meter.series))
    }

    /// Takes in the hours before `present`. The first of them has this place in the feeder.
    pub fn advance(
        &mut self,
        present: u64,
        first_place: usize,
        (weather, said): (&Weather, &[Said]),
        holidays: &Holidays,
        usual: impl Fn(u64) -> bool,
    ) {
        let from = present.saturating_sub(RECENT_HOURS);
        for (place, (id, meter)) in (first_place..).zip(&mut self.0) {
            meter.advance(present, (weather, said), &usual);
            meter.series.settle(weather, Turn { place, scope: "meter", id }, holidays);
            meter.bound(from);
        }
    }

    /// What is said at `at` of each meter, made to add up with what is said of their `node`, which
    /// moves by it.
    pub fn answers(&mut self, at: Timestamp, present: u64, node: &mut Answer) -> Below {
        let answer = |(id, meter): (&String, &mut Node)| {
            let past = meter.past(present);
            meter.answer(("meter", id), at, present, &past).0
        };
        Below::agreeing(self.0.iter_mut().map(answer).collect(), node)
    }
}

/// Makes what is said of nodes and of their feeder, the last of `answers`, add up, and moves what
/// lies below nodes, by their place, by as much. Gives what the feeder says upwards.
pub fn agree(
    answers: &mut [Answer],
    below: &mut BTreeMap<usize, Below>,
) -> [Option<Rise>; HORIZON_HOURS] {
    let known = |node: usize, hour: usize| {
        let rise = below.get(&node).and_then(|below| below.agreed[hour])?;
        Some(rise.variance_kw2)
    };
    add_up(answers, known);
    let rise = rise(answers, known);
    below.iter_mut().for_each(|(node, below)| below.follow(&answers[*node]));
    rise
}

/// Moves the points of answers so that the medians of all are those of the last.
fn add_up(answers: &mut [Answer], known: impl Fn(usize, usize) -> Option<f64>) {
    let (above, below) = answers.split_last_mut().expect("the one above is always there");
    let mut points: Vec<Vec<Point>> =
        below.iter_mut().map(|answer| std::mem::take(&mut answer.points)).collect();
    reconcile(&mut points, &mut above.points, known);
    below.iter_mut().zip(points).for_each(|(answer, points)| answer.points = points);
}

/// The medians by the hour ahead, NaN where nothing is said.
fn medians(answer: &Answer) -> [f64; HORIZON_HOURS] {
    let mut medians = [f64::NAN; HORIZON_HOURS];
    answer.points.iter().for_each(|point| medians[point.hour] = point.p50_kw);
    medians
}

impl Below {
    /// Makes what is said of meters add up with what is said of their `node`, which moves by it.
    pub fn agreeing(mut meters: Vec<Answer>, node: &mut Answer) -> Below {
        meters.push(node.clone());
        add_up(&mut meters, |_, _| None);
        let agreed = rise(&mut meters, |_, _| None);
        node.points = meters.pop().expect("it was just added").points;
        Below { answers: meters, agreed, said_kw: medians(node) }
    }

    /// Moves the meters by as much as their node was moved since, and says by how much of what
    /// their feeder is moved by they will.
    fn follow(&mut self, node: &Answer) {
        let now_kw = medians(node);
        for meter in &mut self.answers {
            for point in &mut meter.points {
                let moved_kw = now_kw[point.hour] - self.said_kw[point.hour];
                let by = meter.shares[point.hour] * moved_kw;
                if by.is_finite() {
                    point.p10_kw += by;
                    point.p50_kw += by;
                    point.p90_kw += by;
                }
            }
            meter.shares.iter_mut().zip(&node.shares).for_each(|(own, node)| *own *= node);
        }
    }

    /// The node is expected to draw so much, and was forecast to draw `before_kw`: each meter moves
    /// by a part of that, as large as it is itself. None draws anything where the node does not.
    pub fn expect(&mut self, hour: usize, before_kw: f64, kw: f64) {
        let said = |meter: &Answer| {
            let point = meter.points.iter().find(|point| point.hour == hour);
            point.map(|point| point.p50_kw)
        };
        let said: Vec<f64> = self.answers.iter().filter_map(said).collect();
        let size: f64 = said.iter().map(|kw| kw.abs()).sum();
        let sum: f64 = said.iter().sum();
        // Where a meter says nothing, the others are a part of the node.
        let moved_kw = if sum / before_kw > 0.0 { sum * (kw / before_kw) } else { kw } - sum;
        let even = 1.0 / said.len() as f64;
        for meter in &mut self.answers {
            let of_hour = meter.points.iter_mut().zip(&mut meter.parts);
            for (point, parts) in of_hour.filter(|(point, _)| point.hour == hour) {
                let share = if size > 0.0 { point.p50_kw.abs() / size } else { even };
                let own = if kw == 0.0 { 0.0 } else { point.p50_kw + moved_kw * share };
                (point.p10_kw, point.p50_kw, point.p90_kw) = (own, own, own);
                *parts = vec![(because::ANNOUNCED, own)];
                meter.shares[hour] = 0.0;
            }
        }
    }
}
