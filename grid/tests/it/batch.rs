//! Batches against the same scenarios one by one, and sensitivities against differences.

use std::num::NonZeroUsize;

use grid::Complex;
use grid::Model;
use grid::model::Holds;
use grid::model::SourceImpedance;
use grid::power_flow::Batch;
use grid::power_flow::Injected;
use grid::power_flow::PowerFlow;
use grid::power_flow::Scenarios;
use grid::power_flow::Settings;
use grid::power_flow::Start;

use crate::random_network;
use crate::random_network::Draws;

fn flow(draws: &mut Draws, buses: usize) -> PowerFlow {
    let network = random_network::network(draws, buses);
    PowerFlow::new(Model::new(&network, SourceImpedance::Kept).unwrap())
}

/// Powers of all injections for so many scenarios, each a share of the base around one.
fn drawn(draws: &mut Draws, flow: &PowerFlow, count: usize, spread: f64) -> Vec<Complex> {
    let base: Vec<Complex> = flow.model().injections.iter().map(|i| i.s).collect();
    let mut powers = Vec::new();
    for _ in 0..count {
        powers.extend(base.iter().map(|s| s.scale(draws.between(1.0 - spread, 1.0 + spread))));
    }
    powers
}

/// Every scenario of a batch has the outcome and the voltages that it has alone.
#[track_caller]
fn check(seed: u64, buses: usize, count: usize, spread: f64, settings: Settings) {
    let mut draws = Draws(seed);
    let mut unsolved = 0;
    for round in 0..12 {
        let mut alone = flow(&mut draws, buses);
        let powers = drawn(&mut draws, &alone, count, spread);
        let injections: Vec<usize> = (0..alone.model().injections.len()).collect();
        let scenarios = Scenarios { injections: &injections, powers: &powers };
        let batch = Batch::new(&alone, settings);
        let [one, three] =
            [1, 3].map(|n| batch.solve(scenarios, NonZeroUsize::new(n).unwrap()).unwrap());
        assert_eq!(one.outcomes, three.outcomes, "round {round}: threads change the outcome");
        for scenario in 0..count {
            let each = injections.len();
            for (i, &s) in powers[scenario * each..(scenario + 1) * each].iter().enumerate() {
                alone.set_power(i, s);
            }
            let outcome = alone.solve(Start::Flat, &settings);
            assert_eq!(one.outcomes[scenario].solved(), outcome.solved(), "{outcome:?}");
            unsolved += usize::from(!outcome.solved());
            for bus in 0..alone.model().bus_kv.len() {
                let (v, expected) = (one.voltage(scenario, bus), alone.voltage(bus));
                assert_eq!(v.is_finite(), expected.is_finite(), "round {round}");
                let off = (v - expected).abs();
                assert!(
                    off < 1e-7 || off.is_nan(),
                    "round {round}, scenario {scenario}, bus {bus}: {off:e}"
                );
                let same = three.voltage(scenario, bus);
                assert!(v == same || !v.is_finite(), "round {round}: threads change a voltage");
            }
        }
    }
    assert_eq!(unsolved > 0, spread > 10.0, "{unsolved} scenarios were not solved");
}

#[test]
fn scenarios_near_the_base_as_alone() {
    check(11, 40, 20, 0.05, Settings::default());
}

#[test]
fn scenarios_far_from_the_base_as_alone() {
    check(12, 30, 13, 150.0, Settings::default());
}

#[test]
fn scenarios_with_machines_at_their_limits_as_alone() {
    check(13, 20, 9, 0.5, Settings { q_limits: true, ..Settings::default() });
}

#[test]
fn a_scenario_that_diverges_is_an_outcome_and_spoils_no_other() {
    let mut draws = Draws(14);
    let flow = flow(&mut draws, 24);
    let mut base = flow.clone();
    assert!(base.solve(Start::Flat, &Settings::default()).solved());
    let fed = |i: usize| {
        base.model().injections[i].holds == Holds::Power
            && base.energised(base.model().injections[i].bus)
            && base.power(i).abs() > 0.0
    };
    let injection = (0..base.model().injections.len()).rev().find(|&i| fed(i)).unwrap();
    let mut powers = vec![base.model().injections[injection].s; 20];
    powers[3] = Complex::new(-1e4, 0.0);
    let scenarios = Scenarios { injections: &[injection], powers: &powers };
    let batch = Batch::new(&flow, Settings::default());
    let solutions = batch.solve(scenarios, NonZeroUsize::MIN).unwrap();
    for (scenario, outcome) in solutions.outcomes.iter().enumerate() {
        assert_eq!(outcome.solved(), scenario != 3, "{scenario}: {outcome:?}");
    }
    let bus = base.model().injections[injection].bus;
    assert!((solutions.voltage(4, bus) - base.voltage(bus)).abs() < 1e-8);
    assert!(!solutions.voltage(3, bus).is_finite());
}

#[test]
fn sensitivities_as_central_differences() {
    const STEP: f64 = 1e-4;
    let settings = Settings { tolerance_pu: 1e-12, ..Settings::default() };
    let mut draws = Draws(15);
    for round in 0..20 {
        let mut flow = flow(&mut draws, 30);
        assert!(flow.solve(Start::Flat, &settings).solved());
        let loads: Vec<usize> = (0..flow.model().injections.len())
            .filter(|&i| flow.power(i) != Complex::ZERO)
            .filter(|&i| flow.model().injections[i].zip == grid::network::Zip::POWER)
            .filter(|&i| flow.model().injections[i].holds == Holds::Power)
            .collect();
        let load = loads[draws.below(loads.len())];
        let bus = flow.model().injections[load].bus;
        let s = flow.model().injections[load].s;
        for (injected, unit) in [
            (Injected::Active, Complex::new(STEP, 0.0)),
            (Injected::Reactive, Complex::new(0.0, STEP)),
        ] {
            let [less, more] = [-1.0, 1.0].map(|sign| {
                let mut moved = flow.clone();
                moved.set_power(load, s + unit.scale(sign));
                assert!(moved.solve(Start::Warm, &settings).solved());
                moved
            });
            let difference =
                |of: &dyn Fn(&PowerFlow) -> f64| (of(&more) - of(&less)) / (2.0 * STEP);
            let sensitivities = flow.sensitivities().unwrap();
            let column = sensitivities.column(bus, injected);
            let compare = |found: f64, expected: f64| {
                let off = (found - expected).abs();
                assert!(off < 1e-6, "round {round} {injected:?}: {found} {expected}");
            };
            for at in 0..less.model().bus_kv.len() {
                let vm = difference(&|f| f.voltage(at).abs());
                compare(sensitivities.vm_pu(&column, at), vm);
                compare(sensitivities.va_rad(&column, at), difference(&|f| f.voltage(at).arg()));
            }
            for branch in 0..less.model().branches.len() {
                let [from, to] = sensitivities.flows(&column, branch);
                compare(from.re, difference(&|f| f.flows(branch)[0].re));
                compare(from.im, difference(&|f| f.flows(branch)[0].im));
                compare(to.re, difference(&|f| f.flows(branch)[1].re));
                compare(to.im, difference(&|f| f.flows(branch)[1].im));
            }
        }
    }
}
