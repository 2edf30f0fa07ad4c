//! Laws of the tracker on a feeder that needs no outside data: CIGRE's medium voltage network with
//! a voltmeter at every bus, a meter at every load and the flows of both transformers.
//!
//! The truth of every tick is a power flow; readings are exact, so that whoever is accused is
//! accused wrongly, unless a test lies on purpose.

use cases::folder;
use grid::Complex;
use grid::Model;
use grid::estimation::tracker::Point;
use grid::estimation::tracker::Report;
use grid::estimation::tracker::Settings;
use grid::estimation::tracker::StandIn;
use grid::estimation::tracker::Suspect;
use grid::estimation::tracker::Tracker;
use grid::estimation::tracker::Verdict;
use grid::measurement::Quantity;
use grid::measurement::Target;
use grid::model::Holds;
use grid::model::SourceImpedance;
use grid::network::BranchIndex;
use grid::network::BusIndex;
use grid::network::InjectionIndex;
use grid::network::Lookup;
use grid::network::Network;
use grid::network::Side;
use grid::power_flow;
use grid::power_flow::PowerFlow;
use grid::power_flow::Start;

use crate::places;

const TICK_MS: u64 = 5_000;
const STALE_MS: u64 = 12_000;

/// The feeder with its truth, its tracker and its clock.
struct Feeder {
    lookup: Lookup,
    network: Network,
    truth: PowerFlow,
    tracker: Tracker,
    now_ms: u64,
}

impl Feeder {
    fn new() -> Feeder {
        let case = places::case("cigre_mv").unwrap();
        let network = folder::read(&case).unwrap().network;
        let model = Model::new(&network, SourceImpedance::Omitted).unwrap();
        let points = points(&network, &model);
        let tracker = Tracker::new(model.clone(), points, Settings::default());
        let lookup = Lookup::new(&network);
        Feeder { lookup, network, truth: PowerFlow::new(model), tracker, now_ms: TICK_MS }
    }

    fn solve(&mut self) {
        let outcome = self.truth.solve(Start::Flat, &power_flow::Settings::default());
        assert!(outcome.solved(), "{outcome:?}");
    }

    /// What a point would say of the truth.
    fn reading(&self, point: usize) -> f64 {
        let point = &self.tracker.points()[point];
        match (point.target, point.quantity) {
            (Target::Bus(bus), _) => self.truth.voltage(bus.0).abs(),
            (Target::Injection(of), Quantity::ActivePower) => self.power(of.0).re,
            (Target::Injection(of), _) => self.power(of.0).im,
            (Target::BranchEnd(branch, side), quantity) => {
                let end = usize::from(side == Side::To);
                let s = self.truth.flows(branch.0)[end];
                match quantity {
                    Quantity::ActivePower => s.re,
                    Quantity::ReactivePower => s.im,
                    _ => self.truth.currents(branch.0)[end].abs(),
                }
            }
        }
    }

    fn power(&self, injection: usize) -> Complex {
        let of = &self.truth.model().injections[injection];
        if self.truth.energised(of.bus) { of.s } else { Complex::ZERO }
    }

    /// Tells what the points say that `speaks` holds for, and estimates.
    fn tick(&mut self, speaks: impl Fn(&Point) -> bool) -> Report {
        self.tick_with(speaks, |_, value| value)
    }

    fn tick_with(
        &mut self,
        speaks: impl Fn(&Point) -> bool,
        says: impl Fn(&Point, f64) -> f64,
    ) -> Report {
        self.solve();
        for number in 0..self.tracker.points().len() {
            let point = &self.tracker.points()[number];
            if speaks(point) {
                let value = says(point, self.reading(number));
                self.tracker.observe(number, value, self.now_ms);
            }
        }
        let report = self.tracker.estimate(self.now_ms);
        self.now_ms += TICK_MS;
        assert!(report.outcome.is_solved(), "{:?}", report.outcome);
        report
    }

    /// The largest error of a magnitude, over buses that are observable.
    fn error(&self) -> f64 {
        let buses = 0..self.network.buses.len();
        let errors = buses.filter_map(|bus| {
            Some((self.tracker.voltage(bus)?.abs() - self.truth.voltage(bus).abs()).abs())
        });
        errors.fold(0.0, f64::max)
    }

    fn switch(&mut self, name: &str, closed: bool) {
        let switch = self.lookup.switch(name).unwrap();
        self.truth.set_switch(switch, closed);
        self.tracker.set_switch(switch, closed, self.now_ms);
    }

    fn stand_in(&mut self) {
        for (number, of) in self.truth.model().injections.iter().enumerate() {
            if of.holds == Holds::Power {
                let sigma = Complex::new(0.3, 0.3).scale(of.s.abs());
                self.tracker.stand_in(number, Some(StandIn { s: of.s, sigma }));
            }
        }
    }

    fn names(&self, suspects: &[Suspect]) -> Vec<String> {
        let name =
            |s: &Suspect| format!("{} {}", self.tracker.points()[s.point].id, s.verdict.as_str());
        suspects.iter().map(name).collect()
    }
}

fn points(network: &Network, model: &Model) -> Vec<Point> {
    let mut points = Vec::new();
    let mut add = |id: String, quantity, target, sigma: f64, drift_per_s: f64| {
        let range = (f64::NEG_INFINITY, f64::INFINITY);
        let (stale_after_ms, averaged_over_ms) = (STALE_MS, 0);
        points.push(Point {
            id,
            quantity,
            target,
            sigma,
            drift_per_s,
            stale_after_ms,
            averaged_over_ms,
            range,
        });
    };
    for (bus, of) in network.buses.iter().enumerate() {
        let target = Target::Bus(BusIndex(bus));
        add(format!("v {}", of.id), Quantity::VoltageMagnitude, target, 1e-3, 1e-5);
    }
    for (number, of) in network.injections.iter().enumerate() {
        if model.injections[number].holds == Holds::Power {
            let target = Target::Injection(InjectionIndex(number));
            let sigma = 0.01 * model.injections[number].s.abs();
            add(format!("p {}", of.id), Quantity::ActivePower, target, sigma, sigma);
            add(format!("q {}", of.id), Quantity::ReactivePower, target, sigma, sigma);
        }
    }
    for name in ["T0", "T1"] {
        let branch = Lookup::new(network).branch(name).unwrap();
        let target = Target::BranchEnd(BranchIndex(branch), Side::To);
        add(format!("p {name}"), Quantity::ActivePower, target, 0.05, 0.05);
        add(format!("q {name}"), Quantity::ReactivePower, target, 0.05, 0.05);
        add(format!("i {name}"), Quantity::CurrentMagnitude, target, 0.05, 0.05);
    }
    points
}

fn is_voltmeter(point: &Point) -> bool {
    point.quantity == Quantity::VoltageMagnitude
}

/// Verdicts that take a point's word away.
fn accused(report: &Report) -> Vec<Suspect> {
    let accuses = |s: &&Suspect| matches!(s.verdict, Verdict::Residual | Verdict::HeldOut);
    report.suspects.iter().filter(accuses).cloned().collect()
}

#[test]
fn a_switch_that_moves_within_the_stream_is_followed_at_once() {
    let mut feeder = Feeder::new();
    for tick in 0..12 {
        match tick {
            // A loop closes, then the load behind it hangs on the other side.
            4 => feeder.switch("S4", true),
            6 => feeder.switch("S11", false),
            9 => feeder.switch("S11", true),
            10 => feeder.switch("S4", false),
            _ => {}
        }
        let report = feeder.tick(|_| true);
        assert!(feeder.error() < 1e-6, "tick {tick}: {}", feeder.error());
        assert_eq!(feeder.names(&accused(&report)), Vec::<String>::new(), "tick {tick}");
    }
}

#[test]
fn where_every_meter_is_silent_stand_ins_carry_the_state() {
    let mut feeder = Feeder::new();
    feeder.stand_in();
    feeder.tick(|_| true);
    for tick in 0..6 {
        let report = feeder.tick(|_| false);
        let silent = tick >= 2;
        let stood_in = report.stood_in.len();
        assert_eq!(stood_in == feeder.network.injections.len() - 1, silent, "tick {tick}");
        assert_eq!(report.unobservable, Vec::<usize>::new(), "tick {tick}");
        assert!(feeder.error() < 1e-4, "tick {tick}: {}", feeder.error());
    }
    let report = feeder.tick(|_| true);
    assert_eq!(report.stood_in, Vec::<usize>::new());
    assert!(feeder.error() < 1e-6, "{}", feeder.error());
}

#[test]
fn what_cannot_be_observed_comes_and_goes() {
    let mut feeder = Feeder::new();
    // Who is in the second feeder, behind its transformer.
    let behind: Vec<usize> =
        ["B12", "B13", "B14"].iter().map(|name| feeder.lookup.bus(name).unwrap()).collect();
    let speaks = |point: &Point| {
        !["B12", "B13", "B14", "LD8", "LD9", "LD15", "LD16", "LD17", "T1"]
            .iter()
            .any(|name| point.id.ends_with(name))
    };
    for tick in 0..10 {
        let report =
            if (2..6).contains(&tick) { feeder.tick(speaks) } else { feeder.tick(|_| true) };
        // Silent since tick 2, stale from the third such tick on.
        let expected = if (4..6).contains(&tick) { behind.clone() } else { Vec::new() };
        assert_eq!(report.unobservable, expected, "tick {tick}");
        assert!(feeder.error() < 1e-3, "tick {tick}: {}", feeder.error());
        assert_eq!(feeder.names(&accused(&report)), Vec::<String>::new(), "tick {tick}");
    }
}

/// Lies from tick 3 to 6 and is left out; agrees from 7 on, and counts again after three ticks.
#[track_caller]
fn check_returns(name: &str, lie: f64, stand_ins: bool) {
    let mut feeder = Feeder::new();
    if stand_ins {
        feeder.stand_in();
    }
    for tick in 0..13 {
        let lies = (3..7).contains(&tick);
        let says = |point: &Point, value: f64| {
            if point.id == name && lies { value + lie } else { value }
        };
        let report = feeder.tick_with(|_| true, says);
        let expected: Vec<String> = match tick {
            3 => vec![format!("{name} bad")],
            4..=9 => vec![format!("{name} held-out")],
            _ => Vec::new(),
        };
        assert_eq!(feeder.names(&accused(&report)), expected, "tick {tick}");
        assert!(feeder.error() < 1e-4, "tick {tick}: {}", feeder.error());
    }
}

#[test]
fn a_voltmeter_that_was_left_out_returns() {
    check_returns("v B5", 0.05, false);
}

#[test]
fn an_ammeter_that_was_left_out_returns() {
    check_returns("i T0", 2.0, false);
}

#[test]
fn a_meter_that_shares_its_bus_returns() {
    check_returns("p LD8", 3.0, true);
}

/// The source's voltage steps by what a tap does; `meters` voltmeters see it.
#[track_caller]
fn check_step(voltmeters: &[&str]) {
    let mut feeder = Feeder::new();
    let source = feeder.lookup.injection("EG0").unwrap();
    let speaks = |point: &Point| {
        !is_voltmeter(point) || voltmeters.iter().any(|bus| point.id == format!("v {bus}"))
    };
    for tick in 0..12 {
        if tick == 8 {
            feeder.truth.set_holds(source, Holds::Voltage(Complex::new(1.01, 0.0)));
        }
        let report = feeder.tick(speaks);
        assert_eq!(feeder.names(&accused(&report)), Vec::<String>::new(), "tick {tick}");
        let limit = if tick == 8 { 1e-3 } else { 1e-4 };
        assert!(feeder.error() < limit, "tick {tick}: {}", feeder.error());
    }
}

#[test]
fn a_step_of_the_source_is_followed_with_every_voltmeter() {
    let buses: Vec<String> = (0..15).map(|bus| format!("B{bus}")).collect();
    check_step(&buses.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_step_of_the_source_is_followed_with_two_voltmeters() {
    check_step(&["B5", "B14"]);
}

#[test]
fn a_step_of_the_source_is_followed_with_one_voltmeter() {
    check_step(&["B5"]);
}

#[test]
fn a_revision_leaves_no_trace() {
    let run = |revises: bool| {
        let mut feeder = Feeder::new();
        feeder.stand_in();
        let mut said = Vec::new();
        for tick in 0..40_u64 {
            let load = feeder.lookup.injection("LD3").unwrap();
            let s = Complex::new(-0.7 - 0.01 * (tick % 7) as f64, -0.18);
            feeder.truth.set_power(load, s);
            if tick == 20 {
                feeder.switch("S4", true);
            }
            let lies = (10..14).contains(&tick);
            let says = |point: &Point, value: f64| {
                if point.id == "v B5" && lies { value + 0.05 } else { value }
            };
            said.push(format!("{:?}", feeder.tick_with(|_| true, says)));
            if revises && tick > 3 {
                let report = feeder.tracker.revise(feeder.now_ms - 3 * TICK_MS);
                assert!(report.outcome.is_solved(), "tick {tick}: {:?}", report.outcome);
            }
        }
        let text = serde_json::to_string(&feeder.tracker.save()).unwrap();
        (said, text)
    };
    assert!(run(false) == run(true), "a revision left a trace");
}

/// How many numbers there are in what is remembered.
fn leaves(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => items.iter().map(leaves).sum(),
        serde_json::Value::Object(items) => items.values().map(leaves).sum(),
        _ => 1,
    }
}

#[test]
fn ten_thousand_ticks_keep_no_more_than_the_history() {
    let mut feeder = Feeder::new();
    let settings = Settings { history_ms: 20 * TICK_MS, ..Settings::default() };
    let (model, points) = (feeder.tracker.model().clone(), feeder.tracker.points().to_vec());
    feeder.tracker = Tracker::new(model, points, settings);
    feeder.solve();
    let values: Vec<f64> =
        (0..feeder.tracker.points().len()).map(|point| feeder.reading(point)).collect();
    let mut sizes = Vec::new();
    for tick in 1..=10_000_u64 {
        for (point, value) in values.iter().enumerate() {
            let by = 1e-4 * ((tick * 7 + point as u64 * 13) % 11) as f64 - 5e-4;
            feeder.tracker.observe(point, value * (1.0 + by), tick * TICK_MS);
        }
        let report = feeder.tracker.estimate(tick * TICK_MS);
        assert!(report.outcome.is_solved(), "tick {tick}: {:?}", report.outcome);
        if tick % 1_000 == 0 {
            sizes.push(leaves(&serde_json::to_value(feeder.tracker.save()).unwrap()));
        }
    }
    assert!(sizes.iter().all(|&size| size == sizes[0]), "{sizes:?}");
}

/// What is held out at a past instant is what was held out then, also after a restart and once the
/// meter counts again: it lies from tick 3 to 6 and is believed from tick 10 on.
#[test]
fn a_revision_holds_out_what_was_held_out_then() {
    let mut feeder = Feeder::new();
    let mut live = Vec::new();
    for tick in 0..13 {
        let lies = (3..7).contains(&tick);
        let says = |point: &Point, value: f64| {
            if point.id == "v B5" && lies { value + 0.05 } else { value }
        };
        let at_ms = feeder.now_ms;
        let report = feeder.tick_with(|_| true, says);
        live.push((at_ms, feeder.names(&accused(&report))));
        if tick == 5 || tick == 12 {
            let text = serde_json::to_string(&feeder.tracker.save()).unwrap();
            let (model, points) = (feeder.tracker.model().clone(), feeder.tracker.points().into());
            feeder.tracker = Tracker::new(model, points, Settings::default());
            feeder.tracker.restore(&serde_json::from_str(&text).unwrap()).unwrap();
        }
        for (at_ms, said) in &live {
            let revised = feeder.tracker.revise(*at_ms);
            assert_eq!(feeder.names(&accused(&revised)), *said, "{at_ms} ms, seen at tick {tick}");
        }
    }
    assert!(live[2].1.is_empty() && live[8].1 == ["v B5 held-out"], "{live:?}");
}

/// A transfer is heard of late: what was held out against the network without it is not held out
/// in revisions.
#[test]
fn what_was_held_out_under_other_positions_counts_in_a_revision() {
    let mut feeder = Feeder::new();
    let moves = [("S4", true), ("S11", false)].map(|(name, closed)| {
        let switch = feeder.lookup.switch(name).unwrap();
        (switch, closed)
    });
    (0..3).for_each(|_| drop(feeder.tick(|_| true)));
    let moved_ms = feeder.now_ms;
    for (switch, closed) in moves {
        feeder.truth.set_switch(switch, closed);
    }
    let reports: Vec<Report> = (0..4).map(|_| feeder.tick(|_| true)).collect();
    let said = feeder.names(&accused(&reports[3]));
    assert!(said.iter().any(|name| name.ends_with("held-out")), "{said:?}");
    for (switch, closed) in moves {
        feeder.tracker.set_switch(switch, closed, moved_ms);
    }
    for tick in 0..4 {
        let report = feeder.tracker.revise(moved_ms + tick * TICK_MS);
        assert_eq!(feeder.names(&accused(&report)), Vec::<String>::new(), "{tick} ticks on");
    }
}
