//! What is issued and when, what a late quarter changes, and what it costs.

use forecast::short::QUARTER_MS;
use schemas::decision::ShortForecast;
use schemas::relation::Relation;
use schemas::state::NodeQuarter;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::ShortKernel;
use super::kernel::HourSaid;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

mod above;
mod plants;
mod real;

/// The quarter under way when tests begin: the first of a day.
const NOW: u64 = 96 * 10;

/// Feeder `f` with nodes `n0`, `n1`, …; a kernel and what it is told, quarter by quarter.
struct Desk {
    kernel: ShortKernel,
    nodes: u64,
}

fn quarter(node: u64, quarter: u64, net_load_kw: f64) -> NodeQuarter {
    NodeQuarter {
        bus_id: format!("n{node}"),
        feeder_id: "f".to_owned(),
        quarter_at: Timestamp(quarter * QUARTER_MS),
        net_load_kw,
    }
}

/// What a node draws: a day's rhythm, and noise that lasts a while.
fn load(node: u64, quarter: u64) -> f64 {
    let wave = |period: f64| (quarter as f64 / period * std::f64::consts::TAU).sin();
    let jitter = (node * 7_919 + quarter * 104_729) % 101;
    4.0 + 2.0 * wave(96.0) + 0.8 * wave(9.3 + node as f64) + jitter as f64 / 200.0
}

/// What is forecast of the hours from the one of `at` on: the day's rhythm alone.
fn hours(at: Timestamp, nodes: u64) -> Vec<HourSaid> {
    let hour = |scope: &str, id: String, hour: u64, share: f64| {
        let target = at.0 / HOUR_MS + hour;
        let kw = 4.0 + 2.0 * ((target as f64 + 0.5) / 24.0 * std::f64::consts::TAU).sin();
        HourSaid {
            scope: scope.to_owned(),
            subject_id: id,
            feeder_id: "f".to_owned(),
            issued_at: at,
            target_at: Timestamp(target * HOUR_MS),
            p10_kw: share * (kw - 1.0),
            p50_kw: share * kw,
            p90_kw: share * (kw + 1.0),
        }
    };
    let mut said = Vec::new();
    for ahead in 0..24 {
        said.extend((0..nodes).map(|n| hour("node", format!("n{n}"), ahead, 1.0)));
        said.push(hour("feeder", "f".to_owned(), ahead, nodes as f64));
        said.push(hour("zone", "z".to_owned(), ahead, 99.0));
    }
    said
}

fn came<R: Relation>(rows: &[R]) -> Change {
    Change::of(rows, vec![1; rows.len()])
}

impl Desk {
    fn new(nodes: u64) -> Desk {
        Desk { kernel: ShortKernel::new(Settings::default()), nodes }
    }

    fn step(
        &mut self,
        at: Timestamp,
        quarters: &[NodeQuarter],
        hours: &[HourSaid],
    ) -> Vec<ShortForecast> {
        let out = self.kernel.step(at, &[came(quarters), came(hours)]);
        ShortForecast::from_batch(&out[0]).unwrap()
    }

    /// The tick that ends a quarter, told what `draws` says of each node, and the hours.
    fn end(&mut self, ends: u64, draws: impl Fn(u64, u64) -> Option<f64>) -> Vec<ShortForecast> {
        let at = Timestamp((ends + 1) * QUARTER_MS);
        let nodes = 0..self.nodes;
        let rows: Vec<NodeQuarter> =
            nodes.filter_map(|n| Some(quarter(n, ends, draws(n, ends)?))).collect();
        self.step(at, &rows, &hours(at, self.nodes))
    }

    /// So many quarters from [`NOW`] on; gives what the last one ends with.
    fn run(&mut self, quarters: u64) -> Vec<ShortForecast> {
        let mut last = Vec::new();
        for ends in NOW..NOW + quarters {
            last = self.end(ends, |n, q| Some(load(n, q)));
        }
        last
    }
}

fn of<'a>(rows: &'a [ShortForecast], subject: &str) -> Vec<&'a ShortForecast> {
    rows.iter().filter(|row| row.subject_id == subject).collect()
}

#[test]
fn the_next_four_quarters_are_issued_as_each_ends() {
    let mut desk = Desk::new(2);
    let rows = desk.run(1);
    assert_eq!(rows.len(), 12, "four of two nodes and their feeder");
    let at = Timestamp((NOW + 1) * QUARTER_MS);
    for row in &rows {
        assert_eq!((row.issued_at, row.model_version.as_str()), (at, "short-1"));
        assert!(row.p10_kw < row.p50_kw && row.p50_kw < row.p90_kw, "{row:?}");
    }
    let targets: Vec<u64> = of(&rows, "n1").iter().map(|r| r.target_at.0 / QUARTER_MS).collect();
    assert_eq!(targets, [NOW + 1, NOW + 2, NOW + 3, NOW + 4]);
    let issued = (1..=360).filter(|tick| !desk.step(at.plus(tick * 5_000), &[], &[]).is_empty());
    assert_eq!(issued.collect::<Vec<u64>>(), [180, 360]);
}

#[test]
fn medians_of_nodes_add_up_to_the_feeders() {
    let rows = Desk::new(5).run(300);
    for ahead in 0..4 {
        let p50 = |subject: &str| of(&rows, subject)[ahead].p50_kw;
        let nodes: f64 = (0..5).map(|n| p50(&format!("n{n}"))).sum();
        assert!((nodes - p50("f")).abs() < 1e-9, "{nodes} {}", p50("f"));
    }
}

#[test]
fn it_says_what_it_saw() {
    let rows = Desk::new(1).run(2);
    let at = (NOW + 2) * QUARTER_MS;
    let kw = load(0, NOW + 1);
    let now = &hours(Timestamp(at), 1)[..];
    let said = |hour: usize| now[hour * 3].p50_kw;
    let saw = format!(
        "node_quarter@{at} last_quarter_kw={:.3}; forecasts@{at} p50_kw={:.3} next_p50_kw={:.3}",
        kw as f32,
        said(0),
        said(1)
    );
    assert_eq!(of(&rows, "n0")[0].saw, saw);
}

#[test]
fn without_hours_the_newest_quarter_stays() {
    let mut desk = Desk::new(1);
    let at = Timestamp((NOW + 1) * QUARTER_MS);
    let rows = desk.step(at, &[quarter(0, NOW, 3.5)], &[]);
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row.model_version == "persistence-1" && row.p50_kw == 3.5));
    // An hour of silence later nothing is known of the next.
    assert!(desk.step(at.plus(HOUR_MS), &[], &[]).is_empty());
    // A day and a quarter later nothing is left of it.
    desk.step(at.plus(31 * HOUR_MS), &[], &[]);
    assert!(desk.kernel.save().is_empty());
}

#[test]
fn a_silent_node_is_stood_in_for_and_more_than_one_in_five_are_not() {
    let sum = |silent: u64| {
        let mut desk = Desk::new(5);
        desk.run(100);
        let rows = desk.end(NOW + 100, |n, q| (n >= silent).then(|| load(n, q)));
        of(&rows, "f")[0].saw.clone()
    };
    let last = |kw: f64| format!("last_quarter_kw={:.3};", kw as f32);
    let heard: f64 = (1..5).map(|n| f64::from(load(n, NOW + 100) as f32)).sum();
    // The day before at that time.
    let stood_in = heard + f64::from(load(0, NOW + 4) as f32);
    assert!(sum(1).contains(&last(stood_in)), "{}", sum(1));
    assert!(sum(2).contains("last_quarter_kw=NULL;"), "{}", sum(2));
}

/// What a past taught, read from what it says of a future that all share.
fn afterwards(desk: &mut Desk, from: u64) -> Vec<ShortForecast> {
    let mut said = Vec::new();
    for ends in from..from + 8 {
        said = desk.end(ends, |n, q| Some(load(n, q)));
    }
    said
}

#[test]
fn a_quarter_corrected_within_the_hour_is_as_one_that_came_so_3_nodes_200_quarters() {
    let (mut late, mut ideal) = (Desk::new(3), Desk::new(3));
    let mut due: Vec<(u64, NodeQuarter)> = Vec::new();
    for ends in NOW..NOW + 200 {
        // Of each node every fifth quarter is wrong, or not there, and comes up to half an hour
        // late.
        let wrong = |n: u64| (ends + 2 * n).is_multiple_of(5);
        late.end(ends, |n, q| match wrong(n) {
            true if n == 1 => None,
            true => Some(load(n, q) + 30.0),
            false => Some(load(n, q)),
        });
        ideal.end(ends, |n, q| Some(load(n, q)));
        due.extend(
            (0..3).filter(|n| wrong(*n)).map(|n| (ends + n, quarter(n, ends, load(n, ends)))),
        );
        let (now, later): (Vec<_>, Vec<_>) = due.into_iter().partition(|(when, _)| *when <= ends);
        due = later;
        let rows: Vec<NodeQuarter> = now.into_iter().map(|(_, row)| row).collect();
        late.step(Timestamp((ends + 1) * QUARTER_MS).plus(60_000), &rows, &[]);
    }
    let rows: Vec<NodeQuarter> = due.into_iter().map(|(_, row)| row).collect();
    late.step(Timestamp((NOW + 200) * QUARTER_MS).plus(120_000), &rows, &[]);
    let (late, ideal) = (afterwards(&mut late, NOW + 200), afterwards(&mut ideal, NOW + 200));
    // Bands learned from what was said as it was said; medians are theirs, by a part of a spread.
    for (late, ideal) in late.iter().zip(&ideal) {
        assert_eq!(late.saw, ideal.saw);
        assert!((late.p50_kw - ideal.p50_kw).abs() < 0.5, "{late:?} {ideal:?}");
    }
}

#[test]
fn saved_and_restored_it_issues_the_same() {
    let mut desk = Desk::new(3);
    desk.run(150);
    let mut other = Desk::new(3);
    other.kernel.restore(&desk.kernel.save()).unwrap();
    for ends in NOW + 150..NOW + 160 {
        let draws = |n, q| (q % 3 != n).then(|| load(n, q));
        assert_eq!(other.end(ends, draws), desk.end(ends, draws));
    }
    assert_eq!(other.kernel.save(), desk.kernel.save());
}

#[test]
fn of_a_long_silence_what_was_learned_is_left() {
    let mut desk = Desk::new(2);
    desk.run(200);
    // The instance stood still for three days; the hours are known all the same.
    let from = NOW + 200 + 3 * 96;
    let rows = desk.end(from, |n, q| Some(load(n, q)));
    assert_eq!(rows.len(), 12);
    let mut fresh = Desk::new(2);
    let fresh = fresh.end(from, |n, q| Some(load(n, q)));
    assert_ne!(of(&rows, "f")[0].p50_kw, of(&fresh, "f")[0].p50_kw);
}

/// What a quarter costs: `cargo test --release -p gridloom-operators --lib -- --ignored --nocapture
/// what_a_quarter_costs`.
#[test]
#[ignore = "a measurement"]
fn what_a_quarter_costs_1000_nodes() {
    const NODES: u64 = 1_000;
    let mut desk = Desk::new(NODES);
    desk.run(110);
    let told: Vec<[Change; 2]> = (NOW + 110..NOW + 142)
        .map(|ends| {
            let at = Timestamp((ends + 1) * QUARTER_MS);
            let rows: Vec<NodeQuarter> =
                (0..NODES).map(|n| quarter(n, ends, load(n, ends))).collect();
            [came(&rows), came(&hours(at, NODES))]
        })
        .collect();
    let began = std::time::Instant::now();
    for (n, changes) in told.iter().enumerate() {
        let at = Timestamp((NOW + 111 + n as u64) * QUARTER_MS);
        assert_eq!(desk.kernel.step(at, changes)[0].num_rows() as u64, 4 * (NODES + 1));
    }
    let us = began.elapsed().as_micros() as f64 / (told.len() as u64 * NODES) as f64;
    let bytes = desk.kernel.save().values().map(Vec::len).sum::<usize>() as u64 / NODES;
    println!("{us:.1} µs a node and quarter; {bytes} bytes a node, saved");
}
