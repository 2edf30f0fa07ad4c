//! The sweeps by feeder, in one place, and by feeder again are the projection of the whole tree.

use std::collections::BTreeMap;

use forecast::hierarchy::Hierarchy;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::Issue;
use super::Last;
use super::Outlooks;
use super::Said;
use super::Tree;
use crate::forecast::feeder::Answer;
use crate::forecast::meters::Below;
use crate::forecast::meters::agree;
use crate::forecast::reconcile::variance;
use crate::forecast::rows::Outlook;
use crate::forecast::rule::HORIZON_HOURS;
use crate::forecast::rule::Point;
use crate::forecast::whole::Word;

/// The hour that is spoken of.
const HOUR: u64 = 1_000;

/// Numbers in 0..1.
struct Chance(u64);

impl Chance {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.even() * n as f64) as usize
    }

    fn point(&mut self, about_kw: f64) -> Point {
        let p50_kw = about_kw + 10.0 * self.even();
        let (low, high) = (0.5 + 4.0 * self.even(), 0.5 + 4.0 * self.even());
        Point { hour: 0, p10_kw: p50_kw - low, p50_kw, p90_kw: p50_kw + high }
    }
}

/// What a node says, and each of its meters.
type Node = (Option<Point>, Vec<Option<Point>>);

/// A forest by chance: of each feeder its zone, if any, what it says and what its nodes say.
struct Forest {
    zone_of: BTreeMap<String, String>,
    feeders: Vec<(String, Point, Vec<Node>)>,
    /// What zones and the system say by themselves, where they do.
    zones: BTreeMap<String, Option<Point>>,
    system: Option<Point>,
}

fn forest(chance: &mut Chance) -> Forest {
    let count = 1 + chance.below(6);
    let (mut zone_of, mut feeders) = (BTreeMap::new(), Vec::new());
    for n in 0..count {
        let id = format!("f{n}");
        let zone = chance.below(4);
        if zone < 3 {
            zone_of.insert(id.clone(), format!("z{zone}"));
        }
        let said = |chance: &mut Chance| (chance.even() > 0.06).then(|| chance.point(0.0));
        let node = |chance: &mut Chance| {
            let own = said(chance);
            let meters = if own.is_none() { 0 } else { [0, 0, 2, 3][chance.below(4)] };
            (own, (0..meters).map(|_| said(chance)).collect())
        };
        let nodes: Vec<Node> = (0..1 + chance.below(4)).map(|_| node(chance)).collect();
        feeders.push((id, chance.point(5.0 * nodes.len() as f64), nodes));
    }
    let mut members: BTreeMap<String, usize> = BTreeMap::new();
    zone_of.values().for_each(|zone: &String| *members.entry(zone.clone()).or_default() += 1);
    let children = members.len() + feeders.len() - zone_of.len();
    let own = |(zone, n): (&String, &usize)| {
        (zone.clone(), (*n > 1).then(|| chance.point(9.0 * *n as f64)))
    };
    let zones = members.iter().map(own).collect();
    let system = (children > 1).then(|| chance.point(9.0 * count as f64));
    Forest { zone_of, feeders, zones, system }
}

/// By subject, everything at once.
fn at_once(forest: &Forest) -> BTreeMap<String, f64> {
    let (mut names, mut parents) = (vec!["system".to_owned()], vec![None]);
    let mut said = vec![forest.system];
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    for (zone, own) in &forest.zones {
        place.insert(zone, names.len());
        names.push(zone.clone());
        parents.push(Some(0));
        said.push(*own);
    }
    for (id, own, nodes) in &forest.feeders {
        let feeder = names.len();
        names.push(id.clone());
        parents.push(Some(forest.zone_of.get(id).map_or(0, |zone| place[zone.as_str()])));
        said.push(Some(*own));
        for (n, (own, meters)) in nodes.iter().enumerate() {
            let node = names.len();
            names.push(format!("{id}-{n}"));
            parents.push(Some(feeder));
            said.push(*own);
            for (m, meter) in meters.iter().enumerate() {
                names.push(format!("{id}-{n}-{m}"));
                parents.push(Some(node));
                said.push(*meter);
            }
        }
    }
    let base: Vec<Option<f64>> = said.iter().map(|p| p.map(|p| p.p50_kw)).collect();
    let variances: Vec<f64> = said.iter().map(|p| p.as_ref().map_or(1.0, variance)).collect();
    let values = Hierarchy::new(parents).unwrap().reconcile(&base, &variances).unwrap();
    names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What is said of one subject.
fn answer(subject: String, point: &Option<Point>) -> Answer {
    Answer {
        scope: "node",
        subject_id: subject,
        parts: vec![Vec::new(); usize::from(point.is_some())],
        points: point.iter().copied().collect(),
        shares: [0.0; HORIZON_HOURS],
        model_version: "m".to_owned(),
        saw: String::new(),
    }
}

/// The first step: what is drafted of a feeder's nodes and meters, and what it says upwards.
fn draft((id, own, nodes): &(String, Point, Vec<Node>)) -> (Vec<Answer>, Outlook) {
    let (mut answers, mut below) = (Vec::new(), BTreeMap::new());
    for (n, (own, meters)) in nodes.iter().enumerate() {
        let mut node = answer(format!("{id}-{n}"), own);
        if !meters.is_empty() {
            let meters = meters.iter().enumerate();
            let meters = meters.map(|(m, said)| answer(format!("{id}-{n}-{m}"), said));
            below.insert(n, Below::agreeing(meters.collect(), &mut node));
        }
        answers.push(node);
    }
    answers.push(answer(id.clone(), &Some(*own)));
    let risen = agree(&mut answers, &mut below)[0].unwrap();
    let whole = answers.pop().unwrap();
    answers.extend(below.into_values().flat_map(|below| below.answers));
    let Point { p10_kw, p50_kw, p90_kw, .. } = whole.points[0];
    let outlook = Outlook {
        feeder_id: id.clone(),
        target_at: Timestamp(HOUR * HOUR_MS),
        base_kw: risen.base_kw,
        variance_kw2: risen.variance_kw2,
        p10_kw,
        p50_kw,
        p90_kw,
        share: whole.shares[0],
        model_version: whole.model_version,
    };
    (answers, outlook)
}

/// The same by the kernels' three steps.
fn by_steps(forest: &Forest) -> BTreeMap<String, f64> {
    let (mut outlooks, mut drafts) = (Outlooks::new(), Vec::new());
    for feeder in &forest.feeders {
        let (answers, outlook) = draft(feeder);
        outlooks.insert(feeder.0.clone(), BTreeMap::from([(HOUR, outlook)]));
        drafts.push(answers);
    }
    let word = |point: Option<Point>| {
        let word = |point| Word {
            points: vec![point],
            parts: vec![Vec::new()],
            model_version: "w".to_owned(),
            saw: String::new(),
        };
        point.map(word)
    };
    let words = forest.zones.iter().map(|(zone, own)| (zone.as_str(), word(*own))).collect();
    let ids = forest.feeders.iter().map(|(id, _, _)| id.clone()).collect();
    let tree = Tree::new(ids, &forest.zone_of);
    let (last, said) = (Last::default(), Said::default());
    let mut issue = Issue { outlooks: &outlooks, last, said };
    issue.hour(&tree, HOUR, 0, (&words, &word(forest.system)));
    let mut values = BTreeMap::new();
    for (zone, hours) in &issue.last.zones {
        values.insert(zone.clone(), hours[&HOUR].p50_kw);
    }
    values.insert("system".to_owned(), issue.last.system[&HOUR].p50_kw);
    for ((id, _, _), nodes) in forest.feeders.iter().zip(drafts) {
        let Some(issued) = issue.last.feeders.get(id) else { continue };
        values.insert(id.clone(), issued[&HOUR].p50_kw);
        for node in nodes.iter().filter(|node| !node.points.is_empty()) {
            let p50_kw = node.points[0].p50_kw + node.shares[0] * issued[&HOUR].moved_kw;
            values.insert(node.subject_id.clone(), p50_kw);
        }
    }
    values
}

#[test]
fn three_steps_are_the_projection_of_the_whole_tree_500_forests() {
    let mut chance = Chance(11);
    let (mut compared, mut holes) = (0, 0);
    for _ in 0..500 {
        let forest = forest(&mut chance);
        let expected = at_once(&forest);
        let found = by_steps(&forest);
        for (subject, value) in &found {
            let far = (value - expected[subject]).abs();
            assert!(far < 1e-9, "{subject}: {value} {}", expected[subject]);
            compared += 1;
        }
        let nodes = forest.feeders.iter().flat_map(|(_, _, nodes)| nodes);
        let said = nodes.flat_map(|(own, meters)| [own].into_iter().chain(meters));
        let silent = said.filter(|said| said.is_none()).count();
        // What is silent below is not issued, and everything else is.
        assert_eq!(found.len() + silent, expected.len());
        holes += silent;
    }
    assert!(compared > 4_000 && holes > 50, "{compared} {holes}");
}

#[test]
fn one_below_says_all_and_is_not_moved() {
    let point = Point { hour: 0, p10_kw: 1.1, p50_kw: 2.3, p90_kw: 3.7 };
    let forest = Forest {
        zone_of: BTreeMap::from([("f".to_owned(), "z".to_owned())]),
        feeders: vec![("f".to_owned(), point, vec![(Some(point), vec![])])],
        zones: BTreeMap::from([("z".to_owned(), None)]),
        system: None,
    };
    let values = by_steps(&forest);
    assert_eq!(values.values().copied().collect::<Vec<f64>>(), [2.3; 4]);
}
