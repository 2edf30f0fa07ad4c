//! The power flow against solved cases, against the nodal equations, and at its edges.
//!
//! The nodal equations are written here once more, from voltages and two-ports alone, so that a
//! wrong Jacobian or mismatch cannot agree with itself.

use cases::folder;
use cases::folder::answers;
use grid::BusIndex;
use grid::Complex;
use grid::Model;
use grid::Network;
use grid::Topology;
use grid::model::Holds;
use grid::model::SourceImpedance;
use grid::model::pi;
use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::BranchIndex;
use grid::network::Bus;
use grid::network::Connection;
use grid::network::Control;
use grid::network::Impedance;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Parameters;
use grid::network::Side;
use grid::network::Switch;
use grid::network::Zip;
use grid::power_flow::Outcome;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;

use crate::places;
use crate::random_network;
use crate::random_network::Draws;

/// The powers that leave each node into branches and shunts, from voltages and two-ports alone.
fn leaving(flow: &PowerFlow) -> Vec<Complex> {
    let (model, topology) = (flow.model(), flow.topology());
    let v = flow.voltages();
    let mut s = vec![Complex::ZERO; topology.nodes()];
    for (branch, line) in model.branches.iter().enumerate() {
        let [ff, ft, tf, tt] = topology.two_port(model, branch);
        let (from, to) = (v[line.from], v[line.to]);
        s[topology.node(line.from)] += from * (ff * from + ft * to).conj();
        s[topology.node(line.to)] += to * (tf * from + tt * to).conj();
    }
    for &(bus, y) in model.shunts.iter().filter(|(bus, _)| model.bus_in_service[*bus]) {
        s[topology.node(bus)] += y.conj().scale(v[bus].norm_sqr());
    }
    s
}

/// Asserts that what is given holds and the balance of every node closes.
#[track_caller]
fn assert_holds(flow: &PowerFlow, what: &str) {
    let (model, topology) = (flow.model(), flow.topology());
    let mut left = leaving(flow);
    let mut claimed = vec![false; topology.nodes()];
    for (i, injection) in model.injections.iter().enumerate() {
        let node = topology.node(injection.bus);
        let power = flow.power(i);
        left[node] -= power;
        if !injection.in_service || !flow.energised(injection.bus) {
            assert_eq!(power, Complex::ZERO, "{what}: injection {i} is not there");
            continue;
        }
        let v = flow.voltage(injection.bus);
        let first = !claimed[node];
        claimed[node] |= injection.holds != Holds::Power;
        match injection.holds {
            Holds::Power => {
                let (zip, vm) = (injection.zip, v.abs());
                let follow = |z: f64, i: f64| z * vm * vm + i * vm + (1.0 - z - i);
                let p = injection.s.re * follow(zip.p_impedance, zip.p_current);
                let q = injection.s.im * follow(zip.q_impedance, zip.q_current);
                assert!((power - Complex::new(p, q)).abs() < 1e-12, "{what}: injection {i}");
            }
            Holds::Magnitude(set) if first => {
                assert!((v.abs() - set).abs() < 1e-12, "{what}: machine {i} at {}", v.abs());
            }
            Holds::Voltage(set) => assert!((v - set).abs() < 1e-12, "{what}: source {i}"),
            Holds::Magnitude(_) => {}
        }
        if matches!(injection.holds, Holds::Magnitude(_)) {
            assert!((power.re - injection.s.re).abs() < 1e-12, "{what}: machine {i}");
        }
    }
    for (node, left) in left.iter().enumerate() {
        assert!(left.abs() < 2e-9, "{what}: node {node} of {} misses {left:?}", topology.nodes());
    }
}

/// Solves every scenario of a case, flat and warm from the scenario before, against its truth:
/// voltages within 1e-8 pu; flows and powers, of which the truth has nine digits, within that
/// rounding.
#[track_caller]
fn check_case(case: &str) {
    let Some(folder) = places::case(case) else { return };
    let network = folder::read(&folder).unwrap().network;
    let model = Model::new(&network, SourceImpedance::Kept).unwrap();
    let mut warm = PowerFlow::new(model.clone());
    for scenario in places::scenarios(&folder) {
        let path = scenario.join("switch_status.csv");
        let closed = folder::switch_positions(&path, &network).unwrap().closed;
        let mut flat = PowerFlow::new(model.clone());
        for (switch, &closed) in closed.iter().enumerate() {
            flat.set_switch(switch, closed);
            warm.set_switch(switch, closed);
        }
        for (flow, start) in [(&mut flat, Start::Flat), (&mut warm, Start::Warm)] {
            let outcome = flow.solve(start, &Settings::default());
            let what = format!("{} {start:?}", scenario.display());
            assert!(outcome.solved(), "{what}: {outcome:?}");
            assert_holds(flow, &what);
            compare_with_truth(flow, &network, &scenario.join("answers"), &what);
        }
    }
}

#[track_caller]
fn compare_with_truth(flow: &PowerFlow, network: &Network, at: &std::path::Path, what: &str) {
    let base = network.base_mva;
    for truth in answers::truth_buses(&at.join("truth_bus.csv"), network).unwrap() {
        let id = &network.buses[truth.bus].id;
        assert_eq!(flow.energised(truth.bus), truth.energised, "{what}: {id}");
        let v = Complex::from_polar(truth.vm_pu, truth.va_deg.to_radians());
        let off = (flow.voltage(truth.bus) - v).abs();
        assert!(off < 1e-8, "{what}: {id} is {off:e} pu off");
    }
    for truth in answers::truth_branches(&at.join("truth_branch.csv"), network).unwrap() {
        let id = &network.branches[truth.branch].id;
        let [from, to] = flow.flows(truth.branch);
        let [at_from, _] = flow.currents(truth.branch);
        let bus = network.branches[truth.branch].from.0;
        for (found, expected) in [
            (from.re * base, truth.p_from_mw),
            (from.im * base, truth.q_from_mvar),
            (to.re * base, truth.p_to_mw),
            (to.im * base, truth.q_to_mvar),
            (at_from.abs() * flow.model().base_ka(bus), truth.i_from_ka),
        ] {
            let within = base * 1e-8 + 1e-8 * expected.abs();
            assert!((found - expected).abs() < within, "{what}: {id} {found} {expected}");
        }
    }
    for truth in answers::truth_injections(&at.join("truth_injection.csv"), network).unwrap() {
        let id = &network.injections[truth.injection].id;
        let s = flow.power(truth.injection).scale(base);
        let off = (s - Complex::new(truth.p_mw, truth.q_mvar)).abs();
        assert!(off < base * 1e-8 + 1e-8 * s.abs(), "{what}: {id} is {off:e} off {s:?}");
    }
}

#[test]
fn every_public_case_as_its_truth() {
    places::CASES.into_iter().for_each(check_case);
}

/// Random networks under random switching: nodal equations from flat and from the last state, and
/// both the same state.
#[track_caller]
fn check_random(seed: u64, rounds: usize, buses_max: usize) {
    let mut draws = Draws(seed);
    let (mut solved, mut parts_dead) = (0, 0);
    for round in 0..rounds {
        let buses = 8 + draws.below(buses_max - 8);
        let network = random_network::network(&mut draws, buses);
        let model = Model::new(&network, SourceImpedance::Kept).unwrap();
        let mut warm = PowerFlow::new(model);
        for step in 0..6 {
            let what = format!("round {round}, {buses} buses, step {step}");
            let started = warm.solve(Start::Warm, &Settings::default());
            let mut flat = warm.clone();
            let outcome = flat.solve(Start::Flat, &Settings::default());
            assert!(outcome.solved() && started.solved(), "{what}: {outcome:?} {started:?}");
            assert_holds(&warm, &what);
            assert_holds(&flat, &what);
            for (w, f) in warm.voltages().iter().zip(flat.voltages()) {
                assert!((*w - f).abs() < 1e-7, "{what}: {w:?} is not {f:?}");
            }
            solved += 1;
            parts_dead += usize::from(warm.vm_pu().contains(&0.0));
            if !network.switches.is_empty() {
                let switch = draws.below(network.switches.len());
                let closed = !warm.topology().closed()[switch];
                warm.set_switch(switch, closed);
            }
            let load = draws.below(network.injections.len());
            let s = warm.model().injections[load].s;
            warm.set_power(load, s.scale(draws.between(0.5, 1.5)));
        }
    }
    assert!(parts_dead > solved / 10, "only {parts_dead} of {solved} had a dead part");
}

#[test]
fn nodal_equations_hold_on_small_random_networks_whatever_is_switched() {
    check_random(1, 300, 30);
}

#[test]
fn nodal_equations_hold_on_large_random_networks_whatever_is_switched() {
    check_random(2, 20, 400);
}

/// A bus of 20 kV on a power base of 1 MVA.
fn bus(number: usize) -> Bus {
    Bus { id: format!("B{number}"), name: String::new(), nominal_kv: 20.0, in_service: true }
}

fn impedance(from: usize, to: usize, r_pu: f64, x_pu: f64) -> Branch {
    Branch {
        id: format!("L{from}-{to}"),
        name: String::new(),
        from: BusIndex(from),
        to: BusIndex(to),
        class: BranchClass::Impedance,
        parameters: Parameters::Impedance(Impedance { r_pu, x_pu, ..Impedance::default() }),
        in_service: true,
    }
}

fn injection(at: usize, control: Control, p_mw: f64, q_mvar: f64) -> Injection {
    Injection {
        id: format!("I{at}"),
        name: String::new(),
        class: InjectionClass::Load,
        bus: BusIndex(at),
        control,
        p_mw,
        q_mvar,
        zip: Zip::POWER,
        q_limits_mvar: None,
        in_service: true,
    }
}

const SOURCE: Control = Control::Slack { vm_pu: 1.0, va_deg: 0.0, impedance_pu: None };

fn small(branches: Vec<Branch>, injections: Vec<Injection>) -> Network {
    let buses = branches.iter().map(|b| b.from.0.max(b.to.0) + 1).max().unwrap();
    Network {
        base_mva: 1.0,
        frequency_hz: 50.0,
        buses: (0..buses).map(bus).collect(),
        branches,
        injections,
        ..Network::default()
    }
}

fn flow_of(network: &Network) -> PowerFlow {
    PowerFlow::new(Model::new(network, SourceImpedance::Kept).unwrap())
}

/// A source, a line of `r`, and a load of `p` at its end.
fn one_line(r: f64, p: f64) -> PowerFlow {
    let injections = vec![injection(0, SOURCE, 0.0, 0.0), injection(1, Control::Power, -p, 0.0)];
    flow_of(&small(vec![impedance(0, 1, r, 0.0)], injections))
}

#[test]
fn one_resistive_line_as_in_closed_form() {
    // v² - v + r p = 0, the upper root.
    for (r, p) in [(0.1, 1.0), (0.1, 2.4), (0.24, 1.0), (0.2499, 1.0)] {
        let mut flow = one_line(r, p);
        let outcome = flow.solve(Start::Flat, &Settings::default());
        assert!(outcome.solved(), "{outcome:?}");
        let expected = f64::midpoint(1.0, (1.0 - 4.0 * r * p).sqrt());
        // Near collapse a mismatch of 1e-9 is a voltage of its square root.
        assert!((flow.voltage(1).re - expected).abs() < 1e-7, "{:?} {expected}", flow.voltage(1));
        assert!((flow.losses_pu() - (flow.power(0).re - p)).abs() < 1e-8);
    }
}

#[test]
fn a_load_beyond_collapse_diverges_by_name_and_the_next_solve_recovers() {
    let mut flow = one_line(0.1, 2.6);
    match flow.solve(Start::Flat, &Settings::default()) {
        Outcome::Diverged { worst } => assert_eq!(worst[0].0, 1),
        other => panic!("{other:?}"),
    }
    assert!(flow.voltage(1).re.is_nan() && flow.energised(1));
    flow.set_power(1, Complex::new(-1.0, 0.0));
    assert!(flow.solve(Start::Warm, &Settings::default()).solved());
    assert!((flow.voltage(1).re - 0.887_298).abs() < 1e-6, "{:?}", flow.voltage(1));
}

#[test]
fn nothing_without_a_source() {
    let mut flow = one_line(0.1, 1.0);
    flow.set_in_service(0, false);
    assert_eq!(flow.solve(Start::Flat, &Settings::default()), Outcome::NoSource);
    assert_eq!(flow.vm_pu(), [0.0, 0.0]);
    flow.set_in_service(0, true);
    assert!(flow.solve(Start::Warm, &Settings::default()).solved());
    assert_holds(&flow, "after the source came back");
}

#[test]
fn a_source_behind_an_impedance_goes_and_comes_back() {
    let behind = Control::Slack { vm_pu: 1.0, va_deg: 0.0, impedance_pu: Some((0.0, 0.1)) };
    let mut off = injection(2, behind, 0.0, 0.0);
    off.in_service = false;
    let injections =
        vec![injection(0, SOURCE, 0.0, 0.0), injection(1, Control::Power, -0.5, 0.0), off];
    let network = small(vec![impedance(0, 1, 0.1, 0.1), impedance(1, 2, 0.1, 0.1)], injections);
    let mut flow = flow_of(&network);
    assert!(flow.solve(Start::Flat, &Settings::default()).solved());
    assert_eq!(flow.power(2), Complex::ZERO);
    flow.set_in_service(2, true);
    assert!(flow.solve(Start::Warm, &Settings::default()).solved());
    assert_holds(&flow, "with both sources");
    assert!(flow.power(2).re > 0.1, "{:?}", flow.power(2));
    flow.set_in_service(0, false);
    assert!(flow.solve(Start::Warm, &Settings::default()).solved());
    assert_holds(&flow, "with the second source alone");
}

#[test]
fn what_an_open_switch_leaves_behind_is_dead_and_comes_back() {
    let branches = vec![impedance(0, 1, 0.01, 0.01), impedance(1, 2, 0.01, 0.01)];
    let injections = vec![injection(0, SOURCE, 0.0, 0.0), injection(2, Control::Power, -1.0, -0.2)];
    let mut network = small(branches, injections);
    network.switches.push(Switch {
        id: "S0".to_owned(),
        name: String::new(),
        connection: Connection::BranchEnd(BranchIndex(1), Side::From),
        closed: true,
    });
    let mut flow = flow_of(&network);
    assert!(flow.solve(Start::Flat, &Settings::default()).solved());
    let whole = flow.voltages();
    flow.set_switch(0, false);
    assert!(flow.solve(Start::Warm, &Settings::default()).solved());
    assert_eq!((flow.voltage(2), flow.power(1)), (Complex::ZERO, Complex::ZERO));
    assert!(!flow.energised(2) && flow.energised(1));
    assert_eq!(flow.loading(1), 0.0);
    flow.set_switch(0, true);
    assert!(flow.solve(Start::Warm, &Settings::default()).solved());
    for (again, before) in flow.voltages().iter().zip(whole) {
        assert!((*again - before).abs() < 1e-9);
    }
}

#[test]
fn an_outage_and_a_tap_are_as_a_network_drawn_so() {
    let branches = || {
        vec![impedance(0, 1, 0.02, 0.05), impedance(1, 2, 0.02, 0.05), impedance(0, 2, 0.02, 0.05)]
    };
    let injections = vec![injection(0, SOURCE, 0.0, 0.0), injection(2, Control::Power, -1.0, -0.3)];
    let mut flow = flow_of(&small(branches(), injections.clone()));
    assert!(flow.solve(Start::Flat, &Settings::default()).solved());
    let t = Complex::from_polar(0.95, 0.03);
    flow.set_two_port(1, pi(Complex::new(0.02, 0.05), Complex::ZERO, t));
    flow.set_branch_in_service(2, false);
    assert!(flow.solve(Start::Warm, &Settings::default()).solved());
    let mut drawn = branches();
    drawn.truncate(2);
    let tapped = Impedance {
        r_pu: 0.02,
        x_pu: 0.05,
        tap_ratio: 0.95,
        shift_deg: 0.03_f64.to_degrees(),
        ..Impedance::default()
    };
    drawn[1].parameters = Parameters::Impedance(tapped);
    let mut fresh = flow_of(&small(drawn, injections));
    assert!(fresh.solve(Start::Flat, &Settings::default()).solved());
    for (set, drawn) in flow.voltages().iter().zip(fresh.voltages()) {
        assert!((*set - drawn).abs() < 1e-8, "{set:?} {drawn:?}");
    }
}

/// A machine that wants to lift its bus to `vm_pu` and can give from -0.2 to 0.2 of reactive power.
fn with_limited_machine(vm_pu: f64) -> PowerFlow {
    let mut machine = injection(1, Control::Voltage { vm_pu }, 0.3, 0.0);
    machine.q_limits_mvar = Some((-0.2, 0.2));
    let injections = vec![
        injection(0, SOURCE, 0.0, 0.0),
        injection(1, Control::Power, -0.5, -0.1),
        machine.clone(),
        machine,
    ];
    flow_of(&small(vec![impedance(0, 1, 0.02, 0.1)], injections))
}

#[test]
fn machines_within_their_limits_hold_their_voltage() {
    let settings = Settings { q_limits: true, ..Settings::default() };
    let mut flow = with_limited_machine(1.01);
    assert!(flow.solve(Start::Flat, &settings).solved());
    assert!((flow.voltage(1).abs() - 1.01).abs() < 1e-9);
    assert!(flow.power(2).im.abs() < 0.2);
    assert_holds(&flow, "within limits");
}

#[test]
fn machines_at_a_limit_hold_it_and_let_the_voltage_go_and_come_back() {
    let settings = Settings { q_limits: true, ..Settings::default() };
    for (vm_pu, q) in [(1.1, 0.2), (0.9, -0.2)] {
        let mut flow = with_limited_machine(vm_pu);
        assert!(flow.solve(Start::Flat, &settings).solved());
        assert_eq!(flow.power(2).im, q);
        assert_eq!(flow.power(3).im, q);
        assert!((flow.voltage(1).abs() - 1.0).abs() < (vm_pu - 1.0).abs());
        // A load that takes what they give too much brings them back.
        let s = flow.model().injections[1].s;
        let needed = 0.9 * q.signum();
        flow.set_power(1, s + Complex::new(0.0, needed));
        assert!(flow.solve(Start::Warm, &settings).solved());
        assert!((flow.voltage(1).abs() - vm_pu).abs() < 1e-9, "{vm_pu}: {:?}", flow.voltage(1));
        assert!(flow.power(2).im.abs() < 0.2, "{vm_pu}: {:?}", flow.power(2));
        // Without limits they hold it anyway.
        flow.set_power(1, s);
        assert!(flow.solve(Start::Warm, &Settings::default()).solved());
        assert!((flow.voltage(1).abs() - vm_pu).abs() < 1e-9);
    }
}

#[test]
fn a_coupler_makes_one_node_and_two_again_with_the_state_kept() {
    let branches = vec![
        impedance(0, 1, 0.01, 0.04),
        impedance(0, 2, 0.02, 0.06),
        impedance(1, 3, 0.01, 0.01),
        impedance(2, 4, 0.01, 0.01),
    ];
    let injections = vec![
        injection(0, SOURCE, 0.0, 0.0),
        injection(3, Control::Power, -1.0, -0.3),
        injection(4, Control::Power, -0.4, -0.1),
    ];
    let mut network = small(branches, injections);
    network.switches.push(Switch {
        id: "S0".to_owned(),
        name: String::new(),
        connection: Connection::Buses(BusIndex(1), BusIndex(2)),
        closed: false,
    });
    let mut flow = flow_of(&network);
    assert!(flow.solve(Start::Flat, &Settings::default()).solved());
    let apart = flow.voltages();
    assert!(flow.set_switch(0, true).renumbered);
    assert!(flow.solve(Start::Warm, &Settings::default()).solved());
    assert_eq!(flow.voltage(1), flow.voltage(2));
    assert_holds(&flow, "coupled");
    flow.set_switch(0, false);
    assert!(flow.solve(Start::Warm, &Settings::default()).solved());
    for (again, before) in flow.voltages().iter().zip(apart) {
        assert!((*again - before).abs() < 1e-8);
    }
    assert_eq!(Topology::new(flow.model()).nodes(), 5);
}

/// Loads of a case grow by five percent a step until nothing is left to find. A flat start finds
/// what a path from step to step finds, however near to collapse, and beyond it neither does.
#[track_caller]
fn check_growth(case: &str, least_growth: f64) {
    let network = folder::read(&places::case(case).unwrap()).unwrap().network;
    let mut flat = flow_of(&network);
    let loads: Vec<(usize, Complex)> =
        flat.model().injections.iter().map(|i| i.s).enumerate().collect();
    let mut warm = flat.clone();
    let (mut growth, mut last) = (1.0, 1.0);
    loop {
        for &(i, s) in &loads {
            flat.set_power(i, s.scale(growth));
            warm.set_power(i, s.scale(growth));
        }
        let outcome = flat.solve(Start::Flat, &Settings::default());
        let followed = warm.solve(Start::Warm, &Settings::default());
        assert_eq!(outcome.solved(), followed.solved(), "{growth}: {outcome:?} {followed:?}");
        if !outcome.solved() {
            break;
        }
        assert_holds(&flat, &format!("{case} at {growth}"));
        for (f, w) in flat.voltages().iter().zip(warm.voltages()) {
            assert!((*f - w).abs() < 1e-6, "{case} at {growth}: {f:?} {w:?}");
        }
        last = growth;
        growth *= 1.05;
    }
    assert!(last > least_growth, "{case} collapses at {growth}");
}

#[test]
fn a_flat_start_finds_the_upper_solution_up_to_collapse() {
    check_growth("ieee14", 3.5);
    check_growth("ieee57", 1.5);
    check_growth("case33bw", 3.0);
    check_growth("cigre_mv", 2.0);
}

#[test]
fn a_series_capacitor_that_cancels_its_line_needs_rows_exchanged_and_is_solved() {
    // No admittance is left at bus 1, so that it has no pivot of its own.
    let branches =
        vec![impedance(0, 1, 0.0, 0.1), impedance(1, 2, 0.0, -0.1), impedance(0, 2, 0.05, 0.2)];
    let injections = vec![injection(0, SOURCE, 0.0, 0.0), injection(2, Control::Power, -0.8, -0.2)];
    let mut flow = flow_of(&small(branches, injections));
    let outcome = flow.solve(Start::Flat, &Settings::default());
    assert!(outcome.solved(), "{outcome:?}");
    assert_holds(&flow, "with a series capacitor");
    // All of the current goes this way, and drops nothing on it.
    let current = Complex::new(0.8, -0.2);
    assert!((flow.voltage(2) - Complex::ONE).abs() < 1e-9);
    let between = Complex::ONE - Complex::new(0.0, 0.1) * current;
    assert!((flow.voltage(1) - between).abs() < 1e-9, "{:?}", flow.voltage(1));
}

/// A ring of loads with a branch of next to no impedance is as with one that is merely small, of
/// which the voltages are known without cancellation.
#[track_caller]
fn check_stiff(x_pu: f64) {
    let ring = |x: f64| {
        let branches = vec![
            impedance(0, 1, 0.0, x),
            impedance(1, 2, 0.01, 0.03),
            impedance(2, 3, 0.0, x),
            impedance(3, 0, 0.02, 0.05),
        ];
        let load = |at: usize| injection(at, Control::Power, -0.4, -0.1 * at as f64);
        small(branches, vec![injection(0, SOURCE, 0.0, 0.0), load(1), load(2), load(3)])
    };
    let solved = |x: f64| {
        let mut flow = flow_of(&ring(x));
        let outcome = flow.solve(Start::Flat, &Settings::default());
        let Outcome::Solved { iterations, .. } = outcome else { panic!("{x}: {outcome:?}") };
        assert!(iterations <= 8, "{x}: {iterations} steps");
        flow
    };
    let (flow, expected) = (solved(x_pu), solved(1e-6));
    for bus in 0..4 {
        let off = (flow.voltage(bus) - expected.voltage(bus)).abs();
        assert!(off < 5e-6, "{x_pu}: bus {bus} is {off:e} off");
    }
    // What the source gives is what loads and lines take, although flows in the short branches
    // are known to some 1e-7 only.
    let given = flow.power(0).re;
    assert!((given - 1.2 - flow.losses_pu()).abs() < 1e-5, "{x_pu}: {given}");
}

#[test]
fn branches_of_next_to_no_impedance_are_solved() {
    check_stiff(1e-8);
    check_stiff(6e-10);
    check_stiff(1e-11);
}

#[test]
fn an_island_with_a_machine_alone_is_dead_and_the_others_are_solved() {
    let machine = Control::Voltage { vm_pu: 1.02 };
    let branches = vec![impedance(0, 1, 0.01, 0.1), impedance(2, 3, 0.01, 0.1)];
    let injections = vec![
        injection(0, SOURCE, 0.0, 0.0),
        injection(1, Control::Power, -0.2, 0.0),
        injection(2, machine, 0.2, 0.0),
        injection(3, Control::Power, -0.2, 0.0),
    ];
    let mut flow = flow_of(&small(branches, injections));
    assert!(flow.solve(Start::Flat, &Settings::default()).solved());
    assert_eq!([0, 1, 2, 3].map(|bus| flow.energised(bus)), [true, true, false, false]);
    assert_eq!(flow.vm_pu()[2..], [0.0, 0.0]);
    assert_holds(&flow, "the live island");
}

#[test]
fn several_sources_in_one_island_share_by_their_angles() {
    let other = Control::Slack { vm_pu: 1.0, va_deg: 5.0, impedance_pu: None };
    let branches = vec![impedance(0, 1, 0.0, 0.1), impedance(1, 2, 0.0, 0.1)];
    let load = injection(1, Control::Power, -1.0, 0.0);
    let injections = vec![injection(0, SOURCE, 0.0, 0.0), load, injection(2, other, 0.0, 0.0)];
    let mut flow = flow_of(&small(branches, injections));
    assert!(flow.solve(Start::Flat, &Settings::default()).solved());
    assert_holds(&flow, "two sources");
    assert!(flow.power(2).re > flow.power(0).re + 0.5, "{:?}", flow.power(2));
}
