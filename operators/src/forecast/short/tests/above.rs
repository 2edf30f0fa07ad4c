//! Zones and the system by quarters: at each issue medians are sums, and the quarters that bands
//! are learned from are those that one who has all at hand would sum.

use std::collections::BTreeMap;

use forecast::short::QUARTER_MS;
use schemas::decision::ShortForecast;
use schemas::relation::Relation;
use schemas::state::NodeQuarter;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::came;
use super::load;
use crate::forecast::rows::FeederPlace;
use crate::forecast::short::AboveKernel;
use crate::forecast::short::ShortKernel;
use crate::forecast::short::above::PAST;
use crate::forecast::short::kernel::HourSaid;
use crate::forecast::short::rows::FeederQuarter;
use crate::forecast::short::rows::QuarterOutlook;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// The quarter under way when tests begin.
const NOW: u64 = 96 * 10;

/// Feeders with their zones: the last lies in none, and the one before is alone in its.
const PLACES: [(&str, &str); 5] = [("f0", "z"), ("f1", "z"), ("f2", "z"), ("f3", "y"), ("f4", "")];

/// Two nodes a feeder.
const NODES: u64 = 2;

fn place(feeder: &str, zone: &str) -> FeederPlace {
    FeederPlace { feeder_id: feeder.to_owned(), zone_id: zone.to_owned() }
}

/// What is told at the end of a quarter.
struct Told {
    places: Vec<(FeederPlace, i64)>,
    quarters: Vec<NodeQuarter>,
    /// Feeders whose hours are forecast.
    expected: Vec<usize>,
}

/// Both agents, and what came of each feeder as it was said upwards.
struct Town {
    short: ShortKernel,
    above: AboveKernel,
    zone_of: BTreeMap<String, String>,
    sums: BTreeMap<(String, i64), f64>,
    /// What each feeder said of the quarter under way.
    said: BTreeMap<(String, i64), f64>,
}

fn node_quarter(feeder: usize, node: u64, quarter: u64, net_load_kw: f64) -> NodeQuarter {
    NodeQuarter {
        bus_id: format!("b{feeder}-{node}"),
        feeder_id: format!("f{feeder}"),
        quarter_at: Timestamp(quarter * QUARTER_MS),
        net_load_kw,
    }
}

/// Quarters of all, but of the feeders that are silent.
fn quarters(quarter: u64, silent: &[usize]) -> Vec<NodeQuarter> {
    let feeders = (0..PLACES.len()).filter(|feeder| !silent.contains(feeder));
    let of = |feeder: usize| {
        (0..NODES).map(move |n| {
            let kw = (1 + feeder) as f64 * load(10 * feeder as u64 + n, quarter);
            node_quarter(feeder, n, quarter, kw)
        })
    };
    feeders.flat_map(of).collect()
}

impl Town {
    fn new() -> Town {
        let settings = Settings::default();
        let (short, above) = (ShortKernel::new(settings.clone()), AboveKernel::new(settings));
        let (zone_of, sums, said) = Default::default();
        Town { short, above, zone_of, sums, said }
    }

    /// The hours from the one of `at` on, of some feeders with their nodes, and of what is above.
    fn hours(&self, at: Timestamp, expected: &[usize]) -> [Vec<HourSaid>; 2] {
        let (mut below, mut above) = (Vec::new(), Vec::new());
        for ahead in 0..24 {
            let target = at.0 / HOUR_MS + ahead;
            let kw = 4.0 + 2.0 * ((target as f64 + 0.5) / 24.0 * std::f64::consts::TAU).sin();
            let hour = |scope: &str, id: String, feeder_id: String, share: f64| HourSaid {
                scope: scope.to_owned(),
                subject_id: id,
                feeder_id,
                issued_at: at,
                target_at: Timestamp(target * HOUR_MS),
                p10_kw: share * (kw - 1.0),
                p50_kw: share * kw,
                p90_kw: share * (kw + 1.0),
            };
            for feeder in expected {
                let (id, share) = (format!("f{feeder}"), (1 + feeder) as f64);
                for n in 0..NODES {
                    below.push(hour("node", format!("b{feeder}-{n}"), id.clone(), share));
                }
                below.push(hour("feeder", id.clone(), id, 2.0 * share));
            }
            above.push(hour("zone", "z".to_owned(), String::new(), 11.0));
            above.push(hour("zone", "y".to_owned(), String::new(), 8.0));
            above.push(hour("system", "system".to_owned(), String::new(), 29.0));
        }
        [below, above]
    }

    /// Steps both; gives what they say.
    fn step(&mut self, at: Timestamp, told: &Told) -> Vec<ShortForecast> {
        for (row, diff) in &told.places {
            if *diff > 0 {
                self.zone_of.insert(row.feeder_id.clone(), row.zone_id.clone());
            }
        }
        let [below, above] = self.hours(at, &told.expected);
        let out = self.short.step(at, &[came(&told.quarters), came(&below)]);
        for row in FeederQuarter::from_batch(&out[2]).unwrap() {
            let quarter = (row.quarter_at.0 / QUARTER_MS) as i64;
            match row.net_load_kw {
                Some(kw) => drop(self.sums.insert((row.feeder_id, quarter), kw)),
                None => drop(self.sums.remove(&(row.feeder_id, quarter))),
            }
        }
        let (places, diffs): (Vec<FeederPlace>, Vec<i64>) = told.places.iter().cloned().unzip();
        let up = [1, 2].map(|output| Change::came(out[output].clone()));
        let [outlooks, ended] = up;
        assert!(QuarterOutlook::from_batch(&outlooks.batch).is_ok());
        let changes = [Change::of(&places, diffs), came(&above), outlooks, ended];
        let mut rows = ShortForecast::from_batch(&out[0]).unwrap();
        for row in rows.iter().filter(|row| row.scope == "feeder" && row.target_at == at) {
            let quarter = (at.0 / QUARTER_MS) as i64;
            self.said.insert((row.subject_id.clone(), quarter), row.p50_kw);
        }
        rows.extend(ShortForecast::from_batch(&self.above.step(at, &changes)[0]).unwrap());
        rows
    }

    /// The tick that ends a quarter.
    fn end(&mut self, ends: u64, quarters: Vec<NodeQuarter>) -> Vec<ShortForecast> {
        let first = self.zone_of.is_empty();
        let places = if first { PLACES.to_vec() } else { Vec::new() };
        let places = places.into_iter().map(|(feeder, zone)| (place(feeder, zone), 1)).collect();
        let told = Told { places, quarters, expected: (0..PLACES.len()).collect() };
        self.step(Timestamp((ends + 1) * QUARTER_MS), &told)
    }

    /// A feeder moves to another zone.
    fn move_to(&mut self, at: Timestamp, feeder: &str, zone: &str) {
        let before = self.zone_of[feeder].clone();
        let places = vec![(place(feeder, zone), 1), (place(feeder, &before), -1)];
        self.step(at, &Told { places, quarters: Vec::new(), expected: Vec::new() });
    }

    /// Feeders of a zone, or all.
    fn members(&self, zone: Option<&str>) -> Vec<&String> {
        let of = self.zone_of.iter().filter(|(_, of)| zone.is_none_or(|zone| *of == zone));
        of.map(|(feeder, _)| feeder).collect()
    }

    /// The sum of a quarter, from all that came; none where less than four in five were heard, of
    /// those that were ever heard before.
    fn sum(&self, zone: Option<&str>, quarter: i64) -> Option<f32> {
        let members = self.members(zone);
        let at = |feeder: &str, quarter: i64| self.sums.get(&(feeder.to_owned(), quarter));
        let known = members.iter().filter(|feeder| at(feeder, quarter).is_some()).count();
        let until = |feeder: &String| (feeder.clone(), i64::MIN)..=(feeder.clone(), quarter);
        let begun = |feeder: &&&String| self.sums.range(until(feeder)).next().is_some();
        let begun = members.iter().filter(begun).count();
        let kw = |feeder: &String| {
            let heard = at(feeder, quarter).or_else(|| at(feeder, quarter - 96));
            heard.or_else(|| self.said.get(&(feeder.clone(), quarter))).copied().unwrap_or(0.0)
        };
        let sum: f64 = members.iter().map(|feeder| kw(feeder)).sum();
        (begun > 0 && 5 * known >= 4 * begun).then_some(sum as f32)
    }

    /// The series above feeders are what one who has all at hand sums.
    #[track_caller]
    fn check_series(&self, ends: u64) {
        for (scope, id, zone) in
            [("zone", "z", Some("z")), ("zone", "y", Some("y")), ("system", "system", None)]
        {
            if self.members(zone).len() < 2 {
                continue;
            }
            for quarter in (NOW as i64).max(ends as i64 - 110)..=ends as i64 {
                let kept = self.above.quarter_kw(scope, id, quarter);
                let kept = Some(kept).filter(|kw| kw.is_finite());
                assert_eq!(kept, self.sum(zone, quarter), "{id} {quarter} at {ends}");
            }
        }
    }

    /// Medians are the sums of those below, and a zone of one says what its feeder says.
    #[track_caller]
    fn check_sums(&self, rows: &[ShortForecast]) {
        let of = |scope: &str, id: &str| -> Vec<&ShortForecast> {
            rows.iter().filter(|row| row.scope == scope && row.subject_id == id).collect()
        };
        for (scope, id, zone) in
            [("zone", "z", Some("z")), ("zone", "y", Some("y")), ("system", "system", None)]
        {
            let members = self.members(zone);
            let said = of(scope, id);
            assert_eq!(said.len(), 4, "{id}");
            for (ahead, row) in said.iter().enumerate() {
                let below: Vec<&ShortForecast> =
                    members.iter().map(|feeder| of("feeder", feeder)[ahead]).collect();
                let sum: f64 = below.iter().map(|row| row.p50_kw).sum();
                assert!((row.p50_kw - sum).abs() < 1e-9, "{} {sum}", row.p50_kw);
                assert_eq!((row.target_at, row.feeder_id.as_str()), (below[0].target_at, ""));
                if let [single] = &below[..] {
                    let band = |row: &ShortForecast| (row.p10_kw, row.p90_kw);
                    assert_eq!(band(row), band(single));
                    assert_eq!(row.model_version, single.model_version);
                } else {
                    assert_eq!(row.model_version, "sum-1");
                    assert!(row.p10_kw < row.p50_kw && row.p50_kw < row.p90_kw, "{row:?}");
                }
            }
        }
    }
}

#[test]
fn medians_add_up_at_each_issue_and_series_are_what_came_5_feeders_4_days() {
    let mut town = Town::new();
    let mut late: Vec<(u64, NodeQuarter)> = Vec::new();
    for ends in NOW..NOW + 4 * 96 {
        let n = ends - NOW;
        // One is silent for two hours on the second day; another's node is late each fifth quarter,
        // or wrong at first, by up to a day.
        let silent: &[usize] = if (110..118).contains(&n) { &[1] } else { &[] };
        let mut told = quarters(ends, silent);
        if n.is_multiple_of(5) {
            let at = told.iter().position(|row| row.bus_id == "b2-1").unwrap();
            let row = told[at].clone();
            let after = 1 + (n * 7) % 90;
            late.push((ends + after, row));
            match n.is_multiple_of(2) {
                true => drop(told.remove(at)),
                false => told[at].net_load_kw += 9.0,
            }
        }
        // What stood in for the silent one is otherwise when it is silent no longer.
        if n == 15 {
            let row = told.iter_mut().find(|row| row.bus_id == "b1-0").unwrap();
            late.push((ends + 104, row.clone()));
            row.net_load_kw += 9.0;
        }
        told.extend(late.extract_if(.., |(when, _)| *when <= ends).map(|(_, row)| row));
        let rows = town.end(ends, told);
        town.check_sums(&rows);
        town.check_series(ends);
        if n == 250 {
            town.move_to(Timestamp((ends + 1) * QUARTER_MS).plus(60_000), "f2", "y");
        }
    }
    let heard = town.sums.keys().filter(|(feeder, _)| feeder == "f1").count();
    assert_eq!(heard, 4 * 96 - 8, "it was silent");
}

#[test]
fn a_feeder_that_is_forecast_and_was_never_heard_does_not_make_its_zone_unknown_3_days() {
    let mut town = Town::new();
    let mut rows = Vec::new();
    for ends in NOW..NOW + 3 * 96 {
        rows = town.end(ends, quarters(ends, &[2]));
        town.check_sums(&rows);
        town.check_series(ends);
    }
    for zone in [Some("z"), None] {
        let heard = town.sum(zone, (NOW + 3 * 96 - 1) as i64);
        assert!(heard.is_some_and(|kw| kw > 0.0), "{zone:?} {heard:?}");
    }
    // What hours promise is as wide on the first day; the bands are learned.
    let first = Town::new().end(NOW, quarters(NOW, &[2]));
    let band = |rows: &[ShortForecast]| {
        let row = rows.iter().find(|row| row.scope == "zone" && row.subject_id == "z").unwrap();
        row.p90_kw - row.p10_kw
    };
    assert_ne!(band(&first).to_bits(), band(&rows).to_bits());
}

#[test]
fn bands_of_a_zone_are_narrower_than_the_sum_of_its_feeders() {
    let mut town = Town::new();
    let rows = (NOW..NOW + 6 * 96).map(|ends| town.end(ends, quarters(ends, &[]))).last().unwrap();
    let band = |scope: &str, ids: &[&str]| -> f64 {
        let of = rows.iter().filter(|row| row.scope == scope);
        let of = of.filter(|row| ids.contains(&row.subject_id.as_str()));
        of.map(|row| row.p90_kw - row.p10_kw).sum()
    };
    let (zone, feeders) = (band("zone", &["z"]), band("feeder", &["f0", "f1", "f2"]));
    assert!(zone > 0.0 && zone < 0.95 * feeders, "{zone} {feeders}");
}

#[test]
fn where_a_feeder_says_nothing_the_zones_own_word_stands_until_it_is_forgotten() {
    let mut town = Town::new();
    let from = NOW + 100;
    (NOW..from).for_each(|ends| drop(town.end(ends, quarters(ends, &[]))));
    // Neither meters nor hours of the second are heard any more; hours that were said last on.
    let (mut stood, mut again) = (0, 0);
    for ends in from..from + PAST as u64 + 8 {
        let told =
            Told { places: Vec::new(), quarters: quarters(ends, &[1]), expected: vec![0, 2, 3, 4] };
        let rows = town.step(Timestamp((ends + 1) * QUARTER_MS), &told);
        let says = rows.iter().any(|row| row.scope == "feeder" && row.subject_id == "f1");
        let zone: Vec<&ShortForecast> = rows.iter().filter(|row| row.subject_id == "z").collect();
        assert_eq!(zone.len(), 4, "{ends}");
        if says {
            assert_eq!(zone[0].model_version, "sum-1");
        } else if zone[0].model_version == "short-1" {
            stood += 1;
            // It knows of three what it was told of three; its hours are still of all.
            assert!(zone[3].p50_kw > 15.0, "{:?}", zone[3]);
            let system = rows.iter().find(|row| row.scope == "system").unwrap();
            assert_eq!(system.model_version, "sum-1", "of what zones and the others say");
        } else {
            again += 1;
            let sum = |ahead: usize| -> f64 {
                let of = ["f0", "f2"].map(|id| {
                    rows.iter().filter(|row| row.subject_id == id).nth(ahead).unwrap().p50_kw
                });
                of.iter().sum()
            };
            assert!((zone[2].p50_kw - sum(2)).abs() < 1e-9);
        }
    }
    assert!(stood > 190 && again > 4, "{stood} {again}");
}

#[test]
fn saved_and_restored_in_the_middle_it_goes_on_alike_5_feeders() {
    let (mut town, mut other) = (Town::new(), Town::new());
    for ends in NOW..NOW + 230 {
        let silent: &[usize] = if (100..104).contains(&(ends - NOW)) { &[0] } else { &[] };
        let rows = town.end(ends, quarters(ends, silent));
        if ends - NOW == 101 {
            other.short.restore(&town.short.save()).unwrap();
            other.above.restore(&town.above.save()).unwrap();
        } else if ends - NOW > 101 {
            assert_eq!(other.end(ends, quarters(ends, silent)), rows, "{ends}");
        }
    }
    assert_eq!(other.above.save(), town.above.save());
}

#[test]
fn nothing_looks_ahead_what_comes_later_changes_nothing_before() {
    let (mut town, mut other) = (Town::new(), Town::new());
    for ends in NOW..NOW + 130 {
        let rows = town.end(ends, quarters(ends, &[]));
        let mut told = quarters(ends, &[]);
        // The coming day is told already, and is otherwise.
        let ahead = (1..97).flat_map(|n| quarters(ends + n, &[]));
        told.extend(ahead.map(|row| NodeQuarter { net_load_kw: -row.net_load_kw, ..row }));
        assert_eq!(other.end(ends, told), rows);
    }
}
