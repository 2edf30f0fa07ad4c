//! What holds of any estimate, checked on a public case and on what is drawn from its optimum.

use grid::Topology;
use grid::estimation::Estimator;
use grid::estimation::Outcome;
use grid::estimation::Row;
use grid::estimation::Settings;
use grid::estimation::Terminal;
use grid::estimation::What;
use grid::estimation::WhyUnused;
use grid::measurement::Measurement;
use grid::measurement::Quantity;
use grid::measurement::Target;
use grid::network::BranchIndex;
use grid::network::BusIndex;
use grid::network::InjectionIndex;
use grid::network::Side;

use super::sets::Set;
use crate::places;

/// Seeded normal numbers: twelve uniform ones (Knuth's multiplicative generator).
struct Draws(u64);

impl Draws {
    fn normal(&mut self) -> f64 {
        let mut sum = -6.0;
        for _ in 0..12 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
            self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
            sum += (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum
    }
}

fn set(case: &str, scenario: &str, name: &str) -> Set {
    Set::read(&places::case(case).unwrap(), scenario, name)
}

fn solved(set: &Set) -> Estimator {
    let mut estimator = set.estimator();
    let outcome = estimator.solve(&Settings::default());
    assert!(outcome.is_solved(), "{}: {outcome:?}", set.title());
    estimator
}

/// The set with every value as its own optimum has it.
fn exact(mut set: Set) -> Set {
    let mut estimator = solved(&set);
    let values = estimator.values();
    for (row, value) in estimator.rows().iter().zip(values) {
        // A node's total, divided among its meters.
        let share = 1.0 / row.members.len() as f64;
        for &(meter, _) in &row.members {
            set.measurements[meter].value = value * share;
        }
    }
    set
}

/// The largest distance between two estimates, over buses.
fn apart(set: &Set, a: &Estimator, b: &Estimator) -> f64 {
    let buses = 0..set.network.buses.len();
    let distances = buses.map(|bus| (a.voltage(bus).unwrap() - b.voltage(bus).unwrap()).abs());
    distances.fold(0.0, f64::max)
}

#[test]
fn exact_measurements_give_their_state_and_no_residual() {
    let set = exact(set("ieee57", "base", "scada_s1"));
    let mut estimator = solved(&set);
    assert!(estimator.objective() < 1e-12, "{}", estimator.objective());
}

#[test]
fn a_frozen_factor_lands_where_a_fresh_one_does() {
    let (first, second) = (set("ieee57", "base", "scada_s1"), set("ieee57", "base", "scada_s2"));
    let mut tracked = solved(&first);
    // The sigmas of both sets are the same.
    let values: Vec<f64> = second.measurements.iter().map(|m| m.value).collect();
    tracked.set_values(&values);
    let outcome = tracked.track(&Settings::default());
    assert!(matches!(outcome, Outcome::Solved { factorisations: 0 | 1, .. }), "{outcome:?}");
    let off = apart(&second, &tracked, &solved(&second));
    assert!(off < 1e-9, "{off:e}");
}

#[test]
fn zero_injections_are_met_exactly() {
    let set = set("ieee57", "base", "scada_s1");
    let mut estimator = solved(&set);
    let zeros: Vec<usize> = (0..set.network.buses.len())
        .filter(|&bus| set.model.injections.iter().all(|injection| injection.bus != bus))
        .collect();
    assert!(!zeros.is_empty());
    for bus in zeros {
        let power = estimator.node_power(estimator.node(bus).unwrap());
        assert!(power.abs() < 1e-9, "bus {bus}: {power:?}");
    }
}

/// Leaves out measurements and compares with a set in which they are worth nothing: the first has
/// empty rows where the second has weak ones.
#[track_caller]
fn check_left_out(leave: impl Fn(&Measurement) -> bool) {
    const WORTHLESS: f64 = 1e5;
    let mut without = set("ieee14", "base", "scada_s1");
    let mut weak = set("ieee14", "base", "scada_s1");
    without.measurements.retain(|measurement| !leave(measurement));
    assert!(without.measurements.len() < weak.measurements.len());
    weak.measurements.iter_mut().filter(|m| leave(m)).for_each(|m| m.sigma *= WORTHLESS);
    let off = apart(&without, &solved(&without), &solved(&weak));
    assert!(off < 1e-7, "{off:e}");
}

#[test]
fn reactive_power_may_be_missing() {
    check_left_out(|m| {
        matches!(m.target, Target::Injection(_)) && m.quantity == Quantity::ReactivePower
    });
}

#[test]
fn active_power_may_be_missing() {
    check_left_out(|m| {
        matches!(m.target, Target::Injection(_)) && m.quantity == Quantity::ActivePower
    });
}

#[test]
fn injections_may_be_missing() {
    check_left_out(|m| matches!(m.target, Target::Injection(_)));
}

#[test]
fn two_meters_of_one_load_are_two_rows() {
    let mut set = set("ieee14", "base", "scada_s1");
    let before = solved(&set);
    let alone = |of: &&Measurement| {
        let Target::Injection(index) = of.target else { return false };
        let bus = set.model.injections[index.0].bus;
        set.model.injections.iter().filter(|injection| injection.bus == bus).count() == 1
    };
    let again = set.measurements.iter().find(alone).unwrap().clone();
    set.measurements.push(again);
    let mut after = solved(&set);
    assert_eq!(after.rows().len(), before.rows().len() + 1);
    assert_eq!(after.degrees_of_freedom(), before.degrees_of_freedom() + 1);
    // Twice the same is once with half the variance.
    let last = set.measurements.len() - 1;
    let first = set.measurements.iter().position(|m| m.id == set.measurements[last].id).unwrap();
    set.measurements.pop();
    set.measurements[first].sigma /= 2.0_f64.sqrt();
    assert!(apart(&set, &after, &solved(&set)) < 1e-10);
    let variances = after.residual_variances().to_vec();
    assert!(variances.iter().all(|&variance| variance >= 0.0));
}

#[test]
fn meters_that_disagree_within_a_sum_are_a_row_of_their_own() {
    let mut set = set("ieee14", "base", "scada_s1");
    let shared = |of: &&Measurement| {
        let Target::Injection(index) = of.target else { return false };
        let bus = set.model.injections[index.0].bus;
        set.model.injections.iter().filter(|injection| injection.bus == bus).count() > 1
    };
    let mut again = set.measurements.iter().find(shared).unwrap().clone();
    let before = solved(&set).degrees_of_freedom();
    again.value += 10.0 * again.sigma;
    set.measurements.push(again);
    let mut estimator = solved(&set);
    assert_eq!(estimator.degrees_of_freedom(), before + 1);
    let row = estimator.rows().iter().position(|row| row.what == What::Agreement).unwrap();
    let normalised = estimator.normalised_residuals()[row];
    assert!((normalised.abs() - 10.0 / 2.0_f64.sqrt()).abs() < 1e-9, "{normalised}");
}

#[test]
fn a_total_without_one_of_its_meters_is_not_used() {
    let mut set = set("ieee14", "base", "scada_s1");
    let of_node: Vec<usize> = (0..set.model.injections.len())
        .filter(|&a| {
            let bus = |of: usize| set.model.injections[of].bus;
            (0..set.model.injections.len()).any(|b| b != a && bus(a) == bus(b))
        })
        .collect();
    let target = Target::Injection(InjectionIndex(of_node[0]));
    set.measurements.retain(|m| m.target != target);
    let estimator = set.estimator();
    let why: Vec<WhyUnused> = estimator.unused().iter().map(|unused| unused.why).collect();
    assert_eq!(why, [WhyUnused::Incomplete; 2]);
}

#[test]
fn a_metered_total_of_a_bus_stands_for_its_elements() {
    let mut set = set("ieee14", "base", "scada_s1");
    let before = solved(&set);
    let row = before.rows().iter().find(|row| row.members.len() == 2).unwrap();
    let What::ActiveInjection(node) = row.what else { panic!("{row:?}") };
    let bus = (0..set.network.buses.len()).find(|&bus| before.node(bus) == Some(node)).unwrap();
    let total = Measurement {
        id: "total".to_owned(),
        target: Target::Bus(BusIndex(bus)),
        value: row.value,
        sigma: row.sigma,
        ..set.measurements[row.members[0].0].clone()
    };
    let members: Vec<usize> = row.members.iter().map(|&(meter, _)| meter).collect();
    set.measurements[members[0]] = total;
    let other = set.measurements[members[1]].id.clone();
    let after = solved(&set);
    assert!(apart(&set, &before, &after) < 1e-10);
    let unused: Vec<&str> =
        after.unused().iter().map(|of| set.measurements[of.measurement].id.as_str()).collect();
    assert_eq!(unused, [other]);
}

#[test]
fn telemetry_of_what_is_dead_is_listed_with_what_it_must_be() {
    let mut set = set("case33bw", "base", "meters_s1");
    let open = places::case("case33bw").unwrap().join("open_dead/switch_status.csv");
    let closed = cases::folder::switch_positions(&open, &set.network).unwrap();
    set.topology = Topology::with_positions(&set.model, &closed.closed);
    let estimator = set.estimator();
    let dead = |bus: usize| !set.topology.energised(set.topology.node(bus));
    assert!(estimator.unused().iter().any(|of| of.why == WhyUnused::Dead));
    for unused in estimator.unused() {
        let bus = match set.measurements[unused.measurement].target {
            Target::Bus(bus) => bus.0,
            Target::Injection(of) => set.model.injections[of.0].bus,
            Target::BranchEnd(branch, Side::From) => set.model.branches[branch.0].from,
            Target::BranchEnd(branch, Side::To) => set.model.branches[branch.0].to,
        };
        assert!(unused.why == WhyUnused::OpenEnd || dead(bus), "{unused:?}");
        assert_eq!(unused.expected, Some(0.0), "{unused:?}");
    }
    let dead = (0..set.network.buses.len()).find(|&bus| dead(bus)).unwrap();
    assert_eq!(estimator.voltage(dead), Some(grid::Complex::ZERO));
}

#[test]
fn nothing_under_voltage_is_no_source() {
    let mut set = set("case33bw", "base", "meters_s1");
    set.model.injections.iter_mut().for_each(|injection| injection.in_service = false);
    set.topology = Topology::new(&set.model);
    assert_eq!(set.estimator().solve(&Settings::default()), Outcome::NoSource);
}

#[test]
fn nothing_measured_is_unobservable() {
    let mut set = set("case33bw", "base", "meters_s1");
    set.measurements.clear();
    let mut estimator = set.estimator();
    assert_eq!(estimator.solve(&Settings::default()), Outcome::Unobservable);
}

#[test]
fn the_observable_part_is_estimated() {
    let set = set("case33bw", "base", "sparse_unobs_s1");
    let mut estimator = set.estimator();
    let outcome = estimator.solve(&Settings::default());
    assert!(outcome.is_solved(), "{outcome:?}");
    let truth = set.answers.join("truth_bus.csv");
    let truth = cases::folder::answers::truth_buses(&truth, &set.network).unwrap();
    let mut seen = 0;
    for bus in truth {
        if let Some(v) = estimator.voltage(bus.bus) {
            seen += 1;
            assert!((v.abs() - bus.vm_pu).abs() < 0.01, "bus {}: {v:?}", bus.bus);
        }
    }
    assert!(seen > 0 && seen < set.network.buses.len());
}

#[test]
fn the_angle_of_a_current_is_a_measurement() {
    let mut set = exact(set("ieee14", "base", "scada_pmu_s1"));
    let before = solved(&set);
    let (model, topology) = (&set.model, &set.topology);
    let v = |bus: usize| before.voltage(bus).unwrap();
    let line = &model.branches[0];
    let [ff, ft, ..] = topology.two_port(model, 0);
    let current = ff * v(line.from) + ft * v(line.to);
    let at = Target::BranchEnd(BranchIndex(0), Side::From);
    let add = |quantity, value| Measurement {
        id: "phasor".to_owned(),
        quantity,
        target: at,
        value,
        sigma: 1e-3,
        ..set.measurements[0].clone()
    };
    let phasor = [
        add(Quantity::CurrentMagnitude, current.abs()),
        add(Quantity::CurrentAngle, current.arg()),
    ];
    // Without voltage angles, the current's is the only absolute one.
    set.measurements.retain(|m| m.quantity != Quantity::VoltageAngle);
    set.measurements.extend(phasor);
    let mut after = solved(&set);
    assert!(after.pinned().is_empty());
    let off = apart(&set, &before, &after);
    assert!(off < 1e-9, "{off:e}");
    assert!(after.objective() < 1e-10);
}

#[test]
fn deviations_are_those_of_many_draws() {
    const DRAWS: usize = 4_000;
    // The standard deviation of a standard deviation of so many draws is 1.1 %.
    const WITHIN: f64 = 0.05;
    let set = exact(set("ieee14", "base", "scada_s1"));
    let mut estimator = solved(&set);
    estimator.refresh();
    let told = estimator.deviations();
    let variances = estimator.residual_variances().to_vec();
    let truth: Vec<f64> = set.measurements.iter().map(|m| m.value).collect();
    let centre: Vec<grid::Complex> =
        (0..told.len()).map(|node| estimator.node_voltage(node).unwrap()).collect();
    let mut draws = Draws(5);
    let mut magnitude = vec![0.0; told.len()];
    let mut angle = vec![0.0; told.len()];
    let mut residual = vec![0.0; variances.len()];
    for _ in 0..DRAWS {
        let noisy = truth.iter().zip(&set.measurements).map(|(z, m)| z + m.sigma * draws.normal());
        estimator.set_values(&noisy.collect::<Vec<f64>>());
        assert!(estimator.track(&Settings { tolerance: 1e-7, ..Settings::default() }).is_solved());
        for (node, centre) in centre.iter().enumerate() {
            let v = estimator.node_voltage(node).unwrap();
            magnitude[node] += (v.abs() - centre.abs()).powi(2);
            angle[node] += (v / *centre).arg().powi(2);
        }
        for (sum, residual) in residual.iter_mut().zip(estimator.residuals()) {
            *sum += residual * residual;
        }
    }
    let deviation = |sum: f64| (sum / DRAWS as f64).sqrt();
    for (node, told) in told.iter().enumerate() {
        let found = (deviation(magnitude[node]), deviation(angle[node]));
        assert!((found.0 / told.magnitude - 1.0).abs() < WITHIN, "{node}: {told:?} {found:?}");
        let relative = told.angle > 1e-9;
        let off = if relative { (found.1 / told.angle - 1.0).abs() } else { found.1 };
        assert!(off < WITHIN, "node {node}: {told:?}, found {found:?}");
    }
    for (row, (sum, told)) in residual.iter().zip(variances).enumerate() {
        let off = (deviation(*sum) / told.sqrt() - 1.0).abs();
        assert!(off < WITHIN, "row {row}: {told} told, off by {off}");
    }
}

#[test]
fn deviations_of_flows_are_those_of_their_meters() {
    let set = set("ieee14", "base", "scada_s1");
    let mut estimator = solved(&set);
    estimator.refresh();
    let variances = estimator.residual_variances().to_vec();
    let mut checked = 0;
    for (row, variance) in estimator.rows().to_vec().iter().zip(variances) {
        let (at, kind) = match row.what {
            What::ActiveFlow(at) => (at, 0),
            What::ReactiveFlow(at) => (at, 1),
            _ => continue,
        };
        let (branch, side) = estimator.branch_end(at);
        let line = &set.model.branches[branch];
        let [ff, ft, tf, tt] = set.topology.two_port(&set.model, branch);
        let (from, to) = (estimator.node(line.from).unwrap(), estimator.node(line.to).unwrap());
        let terminal = match side {
            Side::From => Terminal { node: from, terms: vec![(from, ff), (to, ft)] },
            Side::To => Terminal { node: to, terms: vec![(from, tf), (to, tt)] },
        };
        let deviation = estimator.flow_deviations(&terminal)[kind];
        let expected = row.sigma * row.sigma - variance;
        assert!((deviation * deviation / expected - 1.0).abs() < 1e-6, "{row:?}");
        checked += 1;
    }
    assert!(checked > 20);
}

#[test]
fn another_sigma_lands_on_its_own_optimum() {
    let mut set = set("ieee57", "base", "scada_s1");
    let mut tracked = solved(&set);
    for row in (0..tracked.rows().len()).step_by(3) {
        let known = tracked.rows()[row].clone();
        let [(meter, _)] = known.members[..] else { continue };
        tracked.reweigh(row, known.value, 1.7 * known.sigma);
        set.measurements[meter].sigma *= 1.7;
    }
    assert!(tracked.track(&Settings::default()).is_solved());
    let off = apart(&set, &tracked, &solved(&set));
    assert!(off < 1e-9, "{off:e}");
}

#[test]
fn a_row_left_out_is_as_if_it_were_not_there() {
    let mut set = set("ieee57", "base", "scada_s1");
    for row in [0, 7, 50, 120, 200] {
        let mut without = solved(&set);
        let [(meter, _)] = without.rows()[row].members[..] else { continue };
        without.set_active(row, false);
        assert!(without.track(&Settings::default()).is_solved());
        let left = set.measurements.remove(meter);
        let off = apart(&set, &without, &solved(&set));
        assert!(off < 1e-9, "{off:e}");
        set.measurements.insert(meter, left);
    }
}

#[test]
fn a_strong_prior_is_kept_by_later_values() {
    let set = set("ieee14", "base", "scada_s1");
    let mut estimator = solved(&set);
    let node = estimator.node(3).unwrap();
    let what = What::Magnitude(node);
    let members = Vec::new();
    estimator.add_row(Row { what, members, value: 1.01, sigma: 1e-7, active: true });
    let values: Vec<f64> = set.measurements.iter().map(|m| m.value).collect();
    estimator.set_values(&values);
    assert!(estimator.track(&Settings::default()).is_solved());
    assert!((estimator.voltage(3).unwrap().abs() - 1.01).abs() < 1e-6);
}

#[test]
fn a_robust_estimate_bends_less_than_least_squares() {
    let (good, bad) = (set("ieee57", "base", "scada_s1"), set("ieee57", "base", "scada_s1_bad"));
    let reference = solved(&good);
    let plain = solved(&bad);
    let mut robust = bad.estimator();
    let outcome = robust.solve_robust(&Settings::default(), 2.0);
    assert!(outcome.is_solved(), "{outcome:?}");
    let bent = |estimator: &Estimator| apart(&good, &reference, estimator);
    assert!(bent(&robust) < 0.5 * bent(&plain), "{} {}", bent(&robust), bent(&plain));
}

/// A row's normalised residual is how far it is from what the others say, in its own sigma and
/// theirs, also where a robust estimate has cut its weight: as without the row, all else equal.
#[test]
fn after_a_robust_estimate_a_normalised_residual_is_against_the_other_rows() {
    let set = set("ieee57", "base", "scada_s1_bad");
    let mut robust = set.estimator();
    assert!(robust.solve_robust(&Settings::default(), 2.0).is_solved());
    let (normalised, shares) = (robust.normalised_residuals(), robust.shares());
    let critical = robust.critical();
    let cut: Vec<usize> = (0..shares.len()).filter(|&row| shares[row] < 0.9).collect();
    assert!(cut.len() > 2, "{cut:?}");
    for row in cut {
        assert!(!critical[row] && normalised[row] != 0.0, "row {row}");
        let mut without = robust.clone();
        without.set_active(row, false);
        assert!(without.track(&Settings::default()).is_solved());
        let off = without.residuals()[row] / without.residual_variances()[row].sqrt();
        // What is left is what a power bends over so far.
        assert!((normalised[row] / off - 1.0).abs() < 0.05, "{row}: {} {off}", normalised[row]);
    }
}

#[test]
fn a_robust_estimate_that_does_not_settle_says_where() {
    let set = set("cigre_mv", "base", "amps_s1");
    let mut robust = set.estimator();
    let outcome = robust.solve_robust(&Settings::default(), 0.01);
    let Outcome::Diverged { worst, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(!worst.is_empty() && worst.iter().all(|&node| node < robust.nodes()), "{worst:?}");
}

#[test]
fn a_robust_estimate_of_good_data_is_least_squares() {
    let set = set("ieee57", "base", "scada_s1");
    let mut robust = set.estimator();
    assert!(robust.solve_robust(&Settings::default(), 50.0).is_solved());
    assert!(apart(&set, &robust, &solved(&set)) < 1e-9);
}

#[track_caller]
fn check_ratio(wrong: f64, told: Option<f64>) -> Estimator {
    let set = exact(set("ieee14", "base", "scada_s1"));
    let branch = set.network.branches.iter().position(|branch| branch.id == "T2").unwrap();
    // A model whose ratio is `wrong` times the true one.
    let mut model = set.model.clone();
    let y = &mut model.branches[branch].y;
    *y = [y[0].scale(wrong.powi(-2)), y[1].scale(1.0 / wrong), y[2].scale(1.0 / wrong), y[3]];
    let mut estimator = Estimator::new(&model, &set.topology, &set.measurements);
    assert!(estimator.free_ratio(&model, &set.topology, branch, told));
    let outcome = estimator.solve(&Settings::default());
    assert!(outcome.is_solved(), "{outcome:?}");
    if told.is_none() {
        let ratio = estimator.ratio(branch).unwrap();
        assert!((ratio.relative * wrong - 1.0).abs() < 1e-8, "{ratio:?}");
        assert!(ratio.deviation > 1e-6 && ratio.deviation < 0.1, "{ratio:?}");
        assert!(apart(&set, &estimator, &solved(&set)) < 1e-8);
        assert!(estimator.objective() < 1e-10);
    }
    estimator
}

#[test]
fn a_ratio_that_is_not_told_is_found() {
    check_ratio(1.03, None);
    check_ratio(0.96, None);
}

#[test]
fn a_ratio_that_is_told_exactly_stays() {
    let mut estimator = check_ratio(1.03, Some(1e-9));
    assert!(estimator.objective() > 1.0);
}

/// One voltmeter tells the bus it stands at, and no other, also where neighbours inject nothing:
/// their balances hang on buses that nobody sees.
#[track_caller]
fn check_one_voltmeter(case: &str, plan: &str) {
    let mut set = set(case, "base", plan);
    set.measurements.retain(|of| of.quantity == Quantity::VoltageMagnitude);
    set.measurements.truncate(1);
    let (own, value) = (set.measurements[0].target, set.measurements[0].value);
    let mut estimator = set.estimator();
    let outcome = estimator.solve(&Settings::default());
    assert!(outcome.is_solved(), "{case}: {outcome:?}");
    for bus in 0..set.network.buses.len() {
        let there = set.topology.node(bus);
        let Target::Bus(metered) = own else { panic!("{own:?}") };
        let expected = (there == set.topology.node(metered.0)).then_some(value);
        let seen = estimator.voltage(bus).map(|v| v.abs());
        let same = seen.is_some() == expected.is_some();
        let near = (seen.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-9;
        assert!(same && near, "{case}, bus {bus}: {seen:?} {expected:?}");
    }
}

#[test]
fn one_voltmeter_alone_tells_its_own_bus() {
    check_one_voltmeter("ieee14", "scada_s1");
    check_one_voltmeter("ieee57", "scada_s1");
    check_one_voltmeter("cigre_mv", "meters_s1");
    check_one_voltmeter("case33bw", "meters_s1");
}
