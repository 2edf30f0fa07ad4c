//! A network that did not come from the tables: a transformer with taps, one with three windings, a
//! busbar coupler, a ring, a capacitor, loads that follow the voltage. What is measured is computed
//! from a power flow, with the noise of each point (seed fixed), and the estimate is held against
//! it.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use grid::BusIndex;
use grid::Complex;
use grid::Model;
use grid::Network;
use grid::model::SourceImpedance;
use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::BranchIndex;
use grid::network::Bus;
use grid::network::Connection;
use grid::network::Control;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Line;
use grid::network::Parameters;
use grid::network::Shunt;
use grid::network::Side;
use grid::network::Switch;
use grid::network::Tap;
use grid::network::ThreeWinding;
use grid::network::Transformer;
use grid::network::Winding;
use grid::network::Zip;
use grid::power_flow;
use grid::power_flow::PowerFlow;
use grid::power_flow::Start;
use operators::estimate::EstimateKernel;
use operators::estimate::networks::AnyNetwork;
use operators::estimate::networks::Networks;
use operators::estimate::networks::Part;
use operators::estimate::networks::split;
use operators::kernel::Change;
use operators::kernel::Kernel;
use operators::settings::Settings;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::estimate::EstimateObservability;
use schemas::estimate::EstimateResidual;
use schemas::estimate::EstimatedBranch;
use schemas::estimate::EstimatedBus;
use schemas::reference;
use schemas::reference::Point;
use schemas::relation::Relation;
use schemas::state::PointValue;
use schemas::state::SwitchState;
use schemas::time::Timestamp;

use crate::path::apply;
use crate::path::came;
use crate::plant::Chance;

const STEP_MS: u64 = 5_000;
const FIRST: u64 = 1_000_000;
const MVA: f64 = 10.0;

fn text(text: &str) -> String {
    text.to_owned()
}

fn line(id: &str, from: usize, to: usize, km: f64) -> Branch {
    let (r_ohm, x_ohm, g_siemens) = (0.2 * km, 0.12 * km, 0.0);
    let line = Line { r_ohm, x_ohm, g_siemens, b_siemens: 8e-5 * km, rated_ka: Some(0.3) };
    branch(id, (from, to), BranchClass::Line, Parameters::Line(line))
}

fn branch(id: &str, (from, to): (usize, usize), class: BranchClass, of: Parameters) -> Branch {
    let (id, name, from, to) = (text(id), String::new(), BusIndex(from), BusIndex(to));
    Branch { id, name, from, to, class, parameters: of, in_service: true }
}

fn load(id: &str, bus: usize, p_mw: f64, q_mvar: f64) -> Injection {
    Injection {
        id: text(id),
        name: String::new(),
        class: InjectionClass::Load,
        bus: BusIndex(bus),
        control: Control::Power,
        p_mw: -p_mw,
        q_mvar: -q_mvar,
        zip: Zip::POWER,
        q_limits_mvar: None,
        in_service: true,
    }
}

fn transformer() -> Transformer {
    let tap = Tap {
        side: Side::From,
        position: -2.0,
        neutral: 0.0,
        lowest: -9.0,
        highest: 9.0,
        step_percent: 1.5,
        step_deg: 0.0,
        ideal_shift: false,
    };
    Transformer {
        rated_mva: 25.0,
        from_kv: 110.0,
        to_kv: 20.0,
        vk_percent: 12.0,
        vkr_percent: 0.5,
        pfe_kw: 14.0,
        i0_percent: 0.07,
        shift_deg: 150.0,
        taps: vec![tap],
        parallel: 1,
        ..Transformer::default()
    }
}

fn three_winding() -> ThreeWinding {
    let winding = |bus, rated_kv, rated_mva| Winding {
        bus: BusIndex(bus),
        rated_kv,
        rated_mva,
        shift_deg: 0.0,
    };
    ThreeWinding {
        id: text("TW"),
        name: String::new(),
        windings: [winding(5, 20.0, 8.0), winding(6, 10.0, 5.0), winding(7, 6.0, 3.0)],
        vk_percent: [8.0, 7.0, 9.0],
        vkr_percent: [0.4, 0.4, 0.4],
        pfe_kw: 6.0,
        i0_percent: 0.1,
        tap: None,
        losses_at: 0,
        equivalent: grid::network::Equivalent::default(),
        in_service: true,
    }
}

/// The network; its buses by their numbers, at 110, 20, 10 and 6 kV.
fn network() -> Network {
    let kv = [110.0, 20.0, 20.0, 20.0, 20.0, 20.0, 10.0, 6.0];
    let bus = |(n, nominal_kv): (usize, &f64)| Bus {
        id: format!("B{n}"),
        name: String::new(),
        nominal_kv: *nominal_kv,
        in_service: true,
    };
    let of = Parameters::Transformer(Box::new(transformer()));
    let zip = Zip { p_impedance: 0.5, p_current: 0.2, q_impedance: 0.5, q_current: 0.2 };
    let source = Injection {
        class: InjectionClass::Source,
        control: Control::Slack { vm_pu: 1.02, va_deg: 0.0, impedance_pu: None },
        ..load("EG", 0, 0.0, 0.0)
    };
    let switch = |id: &str, connection, closed| Switch {
        id: text(id),
        name: String::new(),
        connection,
        closed,
    };
    Network {
        name: text("ring"),
        frequency_hz: 50.0,
        base_mva: MVA,
        buses: kv.iter().enumerate().map(bus).collect(),
        branches: vec![
            branch("T0", (0, 1), BranchClass::Transformer, of),
            line("L0", 2, 3, 4.0),
            line("L1", 3, 4, 6.0),
            line("L2", 1, 5, 5.0),
            line("L3", 5, 4, 3.0),
        ],
        three_winding: vec![three_winding()],
        shunts: vec![Shunt {
            id: text("C"),
            bus: 3,
            q_mvar_at_1pu: -0.6,
            in_service: true,
            ..Shunt::default()
        }],
        switches: vec![
            switch("coupler", Connection::Buses(BusIndex(1), BusIndex(2)), true),
            switch("tie", Connection::BranchEnd(BranchIndex(4), Side::To), false),
            switch("head", Connection::BranchEnd(BranchIndex(1), Side::From), true),
        ],
        injections: vec![
            source,
            load("LD3", 3, 2.0, 0.5),
            Injection { zip, ..load("LD4", 4, 1.5, 0.4) },
            load("LD5", 5, 0.8, 0.2),
            load("LD6", 6, 1.2, 0.3),
            load("LD7", 7, 0.9, -0.1),
        ],
        sensors: Vec::new(),
    }
}

/// The truth with switches in these positions.
fn truth(closed: [bool; 3]) -> PowerFlow {
    let model = Model::new(&network(), SourceImpedance::Omitted).unwrap();
    let mut flow = PowerFlow::new(model);
    for (switch, closed) in closed.into_iter().enumerate() {
        flow.set_switch(switch, closed);
    }
    let outcome = flow.solve(Start::Flat, &power_flow::Settings::default());
    assert!(outcome.solved(), "{outcome:?}");
    flow
}

/// A point: its name, element, element's name, quantity, sigma.
type Row = (&'static str, &'static str, &'static str, &'static str, f64);

const POINTS: [Row; 21] = [
    ("v0", "bus", "B0", "voltage_pu", 0.001),
    ("v2", "bus", "B2", "voltage_pu", 0.001),
    ("v4", "bus", "B4", "voltage_pu", 0.001),
    ("v6", "bus", "B6", "voltage_pu", 0.001),
    ("t0-p", "branch", "T0", "active_power_kw", 10.0),
    ("t0-q", "branch", "T0", "reactive_power_kvar", 10.0),
    ("l0-p", "branch", "L0", "active_power_kw", 5.0),
    ("l0-q", "branch", "L0", "reactive_power_kvar", 5.0),
    ("l1-i", "branch", "L1", "current_a", 0.2),
    ("l2-p", "branch", "L2", "active_power_kw", 5.0),
    ("l2-q", "branch", "L2", "reactive_power_kvar", 5.0),
    ("ld3-p", "injection", "LD3", "active_power_kw", 10.0),
    ("ld3-q", "injection", "LD3", "reactive_power_kvar", 10.0),
    ("ld4-p", "bus", "B4", "active_power_kw", 10.0),
    ("ld4-q", "bus", "B4", "reactive_power_kvar", 10.0),
    ("ld5-p", "injection", "LD5", "active_power_kw", 10.0),
    ("ld5-q", "injection", "LD5", "reactive_power_kvar", 10.0),
    ("ld6-p", "injection", "LD6", "active_power_kw", 10.0),
    ("ld6-q", "injection", "LD6", "reactive_power_kvar", 10.0),
    ("ld7-p", "injection", "LD7", "active_power_kw", 10.0),
    ("ld7-q", "injection", "LD7", "reactive_power_kvar", 10.0),
];

/// At the windings of the three-winding transformer.
const WINDINGS: [Row; 5] = [
    ("tw1-p", "winding", "TW/1", "active_power_kw", 5.0),
    ("tw2-p", "winding", "TW/2", "active_power_kw", 5.0),
    ("tw2-q", "winding", "TW/2", "reactive_power_kvar", 5.0),
    ("tw3-p", "winding", "TW/3", "active_power_kw", 5.0),
    ("tw3-i", "winding", "TW/3", "current_a", 0.5),
];

/// The phasors: magnitude and angle at two buses.
const PHASORS: [Row; 4] = [
    ("pmu0", "bus", "B0", "voltage_pu", 0.000_5),
    ("pmu0/angle", "bus", "B0", "voltage_angle_rad", 0.000_2),
    ("pmu4", "bus", "B4", "voltage_pu", 0.000_5),
    ("pmu4/angle", "bus", "B4", "voltage_angle_rad", 0.000_2),
];

fn point((id, element, element_id, quantity, sigma): &Row) -> Point {
    Point {
        point_id: text(id),
        feeder_id: text("ring"),
        element: text(element),
        element_id: text(element_id),
        side: (*element == "branch").then(|| text("from")),
        quantity: text(quantity),
        scale: 1.0,
        sigma: *sigma,
        drift_per_s: sigma / 60.0,
        averaged_over_ms: 0,
        stale_after_ms: if id.ends_with("/angle") { 0 } else { 60_000 },
        sigma_share: None,
        value_min: quantity.starts_with("active").then_some(-20_000.0),
        value_max: quantity.starts_with("active").then_some(20_000.0),
    }
}

/// What a point reads of the truth.
fn reads(flow: &PowerFlow, (_, element, id, quantity, _): &Row) -> f64 {
    let network = network();
    let number: usize = id.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    // Behind the branches come the windings: between bus and star point the first, the others from
    // the star point on.
    let winding = |id: &str| {
        let winding: usize = id.trim_start_matches("TW/").parse().unwrap();
        (network.branches.len() + winding - 1, usize::from(winding > 1))
    };
    let power = match *element {
        "winding" => flow.flows(winding(id).0)[winding(id).1],
        "branch" => flow.flows(network.branches.iter().position(|b| b.id == *id).unwrap())[0],
        _ => {
            let at = |i: &Injection| i.bus.0 == number && i.class == InjectionClass::Load;
            network.injections.iter().position(at).map_or(Complex::ZERO, |i| flow.power(i))
        }
    };
    match *quantity {
        "voltage_pu" => flow.voltage(number).abs(),
        "voltage_angle_rad" => flow.voltage(number).arg(),
        "active_power_kw" => power.re * 1e3 * MVA,
        "reactive_power_kvar" => power.im * 1e3 * MVA,
        "current_a" if *element == "winding" => {
            let (branch, end) = winding(id);
            flow.currents(branch)[end].abs() * 1e3 * MVA / (3.0_f64.sqrt() * 6.0)
        }
        "current_a" => {
            let branch = network.branches.iter().position(|b| b.id == *id).unwrap();
            flow.currents(branch)[0].abs() * 1e3 * MVA / (3.0_f64.sqrt() * 20.0)
        }
        other => panic!("{other}"),
    }
}

/// A kernel over the network, and the rows of its outputs as they stand.
struct Told {
    kernel: EstimateKernel,
    at: u64,
    /// Whether the tables have been told.
    began: bool,
    chance: Chance,
    points: Vec<Row>,
    branches: Vec<EstimatedBranch>,
    buses: Vec<EstimatedBus>,
    observability: Vec<EstimateObservability>,
    residuals: Vec<EstimateResidual>,
    alarms: Vec<Alarm>,
}

impl Told {
    fn new(points: &[Row], part: Part) -> Told {
        let settings = Settings { networks: Networks::new(vec![part]), ..Settings::default() };
        Told {
            kernel: EstimateKernel::new(settings),
            at: FIRST - STEP_MS,
            began: false,
            chance: Chance::new(5),
            points: points.to_vec(),
            branches: Vec::new(),
            buses: Vec::new(),
            observability: Vec::new(),
            residuals: Vec::new(),
            alarms: Vec::new(),
        }
    }

    /// The next tick: everything is read of this truth, but for these values.
    fn tick(&mut self, flow: &PowerFlow, switches: &[SwitchState], other: &[(&str, f64)]) {
        let angle_hz = |_: &str| None;
        self.turned(flow, switches, other, &angle_hz, 0.0);
    }

    /// The same with a frequency, and an angle that everything is turned by.
    fn turned(
        &mut self,
        flow: &PowerFlow,
        switches: &[SwitchState],
        other: &[(&str, f64)],
        frequency_hz: &dyn Fn(&str) -> Option<f64>,
        turn_rad: f64,
    ) {
        let first = !std::mem::replace(&mut self.began, true);
        let measured_at = self.at + 1_000;
        self.at += STEP_MS;
        let mut values = Vec::new();
        for row in &self.points {
            let mut value = reads(flow, row) + row.4 * self.chance.normal();
            if row.0.ends_with("/angle") {
                value += turn_rad;
            }
            values.push((row.0, value));
        }
        values.retain(|(id, _)| !other.iter().any(|(known, _)| known == id));
        values.extend(other.iter().copied().filter(|(_, value)| *value != SILENT));
        let value = |(id, value): (&str, f64)| PointValue {
            point_id: text(id),
            feeder_id: text("ring"),
            measured_at: Timestamp(measured_at),
            value,
            revision: 0,
            frequency_hz: frequency_hz(id),
        };
        let values: Vec<PointValue> = values.into_iter().map(value).collect();
        let mut points: Vec<Point> = self.points.iter().map(point).collect();
        let tie = ("tie", "switch", "tie", "position", 0.0);
        points.push(Point { scale: -1.0, ..point(&tie) });
        let changes = vec![
            Change::none(reference::Bus::schema()),
            Change::none(reference::Branch::schema()),
            Change::none(reference::Transformer::schema()),
            Change::none(reference::Feeder::schema()),
            Change::none(reference::Meter::schema()),
            Change::none(reference::Asset::schema()),
            if first { came(&points) } else { Change::none(Point::schema()) },
            came(switches),
            came(&values),
            Change::none(Forecast::schema()),
        ];
        let out = self.kernel.step_changing(Timestamp(self.at), &changes);
        apply(&mut self.branches, &out[0]);
        apply(&mut self.buses, &out[1]);
        apply(&mut self.observability, &out[3]);
        apply(&mut self.residuals, &out[4]);
        self.alarms.extend(out[5].events::<Alarm>());
    }

    fn bus(&self, bus: usize) -> &EstimatedBus {
        let id = format!("B{bus}");
        self.buses.iter().find(|row| row.bus_id == id).expect("each bus has a row")
    }
}

/// A value that does not come.
const SILENT: f64 = f64::MIN;

fn part() -> Part {
    let network = network();
    let switches = network.switches.iter().map(|switch| switch.id.clone()).collect();
    let network = AnyNetwork::Balanced(network);
    Part { feeder_id: text("ring"), network, switches, free_ratios: BTreeMap::new() }
}

/// Where a switch stands, from an instant on.
fn stands(switch_id: &str, opens: &str, closed: bool, changed_at: u64) -> SwitchState {
    SwitchState {
        switch_id: text(switch_id),
        branch_id: text(opens),
        feeder_id: text("ring"),
        position: text(if closed { "closed" } else { "open" }),
        changed_at: Some(Timestamp(changed_at)),
    }
}

/// Voltages and angles are the truth's, turned by so much.
#[track_caller]
fn check(told: &Told, flow: &PowerFlow, turn_rad: f64) {
    let row = &told.observability[0];
    assert_eq!((row.status.as_str(), row.problems.as_str()), ("estimated", ""));
    assert_eq!(row.observable_buses, 8);
    for bus in 0..8 {
        let (is, estimated) = (flow.voltage(bus), told.bus(bus));
        let off = estimated.vm_pu.expect("it is observable") - is.abs();
        // Three deviations of a voltmeter, and what must move before it is said.
        assert!(off.abs() < 0.003_2, "B{bus}: {off}");
        let va = estimated.va_deg.unwrap().to_radians();
        let off = va - is.arg() - turn_rad;
        let off = off - TAU * (off / TAU).round();
        assert!(off.abs() < 0.003, "B{bus}: {off} rad");
    }
}

#[test]
fn a_network_with_all_that_a_file_has_is_estimated_at_every_tick() {
    let flow = truth([true, false, true]);
    let mut told = Told::new(&POINTS, part());
    (0..4).for_each(|_| told.tick(&flow, &[], &[]));
    check(&told, &flow, 0.0);
    assert_eq!(told.alarms, []);
    let row = &told.observability[0];
    assert!(row.objective < row.chi_square_limit, "{row:?}");
    assert!(row.degrees_of_freedom > 0, "{row:?}");
}

#[test]
fn couplers_and_ties_move_by_word_and_by_number() {
    let (before, after) = (truth([true, false, true]), truth([false, true, true]));
    let mut told = Told::new(&POINTS, part());
    (0..2).for_each(|_| told.tick(&before, &[], &[]));
    // The coupler is heard of in words; of the tie 1 is open, and 0 comes as its value.
    let opened = [stands("coupler", "B1-B2", false, told.at)];
    told.tick(&after, &opened, &[("tie", 0.0)]);
    (0..3).for_each(|_| told.tick(&after, &[], &[("tie", 0.0)]));
    check(&told, &after, 0.0);
    assert_eq!(told.alarms, []);
}

#[test]
fn phasors_make_angles_absolute_and_turn_with_the_frequency() {
    let flow = truth([true, false, true]);
    let points: Vec<Row> = POINTS.iter().chain(&PHASORS).copied().collect();
    let mut told = Told::new(&points, part());
    // Measured 4 s before the tick ends, 10 mHz above nominal: by then all have turned on.
    let hz = |id: &str| id.ends_with("/angle").then_some(50.01);
    for tick in 0..4 {
        let at_frame = 0.4 + TAU * 0.01 * 5.0 * f64::from(tick);
        told.turned(&flow, &[], &[], &hz, at_frame);
        check(&told, &flow, at_frame + TAU * 0.01 * 4.0);
    }
    // Without them, angles are against the source again.
    let silent = PHASORS.map(|(id, ..)| (id, SILENT));
    told.tick(&flow, &[], &silent);
    check(&told, &flow, 0.0);
}

#[test]
fn absurd_values_are_named_and_not_fed() {
    let flow = truth([true, false, true]);
    let mut told = Told::new(&POINTS, part());
    told.tick(&flow, &[], &[]);
    let absurd = [("ld3-p", 1e9), ("v4", 0.0), ("ld5-q", f64::NAN)];
    told.tick(&flow, &[], &absurd);
    check(&told, &flow, 0.0);
    let mut named: Vec<(&str, &str)> =
        (told.residuals.iter()).map(|row| (row.point_id.as_str(), row.verdict.as_str())).collect();
    named.sort_unstable();
    let expected = ["ld3-p", "ld5-q", "v4"].map(|id| (id, "implausible"));
    assert_eq!(named, expected);
    assert!(told.residuals.iter().all(|row| row.suspect && row.residual.is_finite()));
    (0..3).for_each(|_| told.tick(&flow, &[], &[]));
    assert_eq!(told.residuals, []);
    let states: Vec<&str> = told.alarms.iter().map(|alarm| alarm.state.as_str()).collect();
    assert_eq!(states.iter().filter(|state| **state == "raised").count(), 3);
    assert_eq!(states.iter().filter(|state| **state == "cleared").count(), 3);
}

#[test]
fn what_flows_at_windings_determines_what_hangs_on_them() {
    let flow = truth([true, false, true]);
    let others = POINTS.iter().filter(|row| !row.0.starts_with("ld7"));
    let points: Vec<Row> = others.chain(&WINDINGS).copied().collect();
    let mut told = Told::new(&points, part());
    (0..4).for_each(|_| told.tick(&flow, &[], &[]));
    check(&told, &flow, 0.0);
    assert_eq!(told.alarms, []);
    // Nothing but the third winding measures what is drawn at B7, at whose bus it ends.
    let row = told.branches.iter().find(|row| row.branch_id == "TW/3").unwrap();
    let [from, _] = flow.flows(network().branches.len() + 2);
    let off = row.p_kw.unwrap() - from.re * 1e3 * MVA;
    assert!(off.abs() < 15.0, "{row:?} {from:?}");
    // One that contradicts the load behind it is named.
    let wrong = reads(&flow, &WINDINGS[1]) + 200.0;
    told.tick(&flow, &[], &[("tw2-p", wrong)]);
    let named: Vec<&str> = told.residuals.iter().map(|row| row.point_id.as_str()).collect();
    assert!(named.contains(&"tw2-p"), "{named:?}");
    check(&told, &flow, 0.0);
}

/// The alarms about switches: subject and state.
fn about_switches(told: &Told) -> Vec<(&str, &str)> {
    let of = told.alarms.iter().filter(|alarm| alarm.kind == "topology-error");
    of.map(|alarm| (alarm.subject.as_str(), alarm.state.as_str())).collect()
}

#[test]
fn a_tie_that_is_said_to_be_open_and_carries_is_named_until_it_is_said_so() {
    let (before, after) = (truth([true, false, true]), truth([true, true, true]));
    let mut told = Told::new(&POINTS, part());
    (0..2).for_each(|_| told.tick(&before, &[], &[]));
    assert_eq!(about_switches(&told), []);
    (0..3).for_each(|_| told.tick(&after, &[], &[]));
    assert_eq!(about_switches(&told), [("tie", "raised")]);
    let alarm = told.alarms.iter().find(|alarm| alarm.kind == "topology-error").unwrap();
    assert!(alarm.reason.contains("tie is said to be open"), "{}", alarm.reason);
    let closed = [stands("tie", "L3", true, told.at)];
    (0..2).for_each(|_| told.tick(&after, &closed, &[]));
    assert_eq!(about_switches(&told), [("tie", "raised"), ("tie", "cleared")]);
}

#[test]
fn a_head_that_is_said_to_be_closed_and_feeds_nothing_is_named() {
    let (before, after) = (truth([true, false, true]), truth([true, false, false]));
    let mut told = Told::new(&POINTS, part());
    (0..2).for_each(|_| told.tick(&before, &[], &[]));
    (0..3).for_each(|_| told.tick(&after, &[], &[]));
    assert_eq!(about_switches(&told), [("head", "raised")]);
}

#[test]
fn a_tap_that_nobody_tells_is_estimated_with_the_state() {
    let flow = truth([true, false, true]);
    let wrong = |free_ratios: BTreeMap<String, Option<f64>>| {
        let mut part = Part { free_ratios, ..part() };
        let AnyNetwork::Balanced(network) = &mut part.network else { panic!("it is balanced") };
        let Parameters::Transformer(sheet) = &mut network.branches[0].parameters else {
            panic!("the first branch is a transformer");
        };
        sheet.taps[0].position = 2.0;
        let mut told = Told::new(&POINTS, part);
        (0..2).for_each(|_| told.tick(&flow, &[], &[]));
        told
    };
    let free = wrong(BTreeMap::from([(text("T0"), Some(0.1))]));
    check(&free, &flow, 0.0);
    assert_eq!(free.alarms, []);
    let stated = |position: f64| 1.0 + 0.015 * position;
    let row = |id: &str| free.branches.iter().find(|row| row.branch_id == id).unwrap();
    let (ratio, sigma) = (row("T0").ratio.unwrap(), row("T0").sigma_ratio.unwrap());
    let right = stated(-2.0) / stated(2.0);
    assert!(sigma > 0.0 && sigma < 0.01, "{sigma}");
    assert!((ratio - right).abs() < 4.0 * sigma, "{ratio} +- {sigma}, not {right}");
    assert!(free.branches.iter().filter(|row| row.ratio.is_some()).count() == 1);
    // With the ratio as it is stated nothing fits.
    assert!(!wrong(BTreeMap::new()).alarms.is_empty());
}

/// One that ran on, and one that was saved and restored, a tick after that.
fn again(part: &Part) -> [Told; 2] {
    let flow = truth([true, false, true]);
    let mut straight = Told::new(&POINTS, part.clone());
    straight.tick(&flow, &[], &[("ld3-p", f64::NAN)]);
    straight.tick(&flow, &[], &[]);
    let memory = straight.kernel.save();
    let mut again = Told::new(&POINTS, part.clone());
    again.kernel.restore(&memory).unwrap();
    assert!(again.kernel.save() == memory);
    again.at = straight.at;
    again.branches.clone_from(&straight.branches);
    again.buses.clone_from(&straight.buses);
    again.observability.clone_from(&straight.observability);
    again.residuals.clone_from(&straight.residuals);
    for told in [&mut straight, &mut again] {
        told.chance = Chance::new(9);
        told.tick(&flow, &[], &[]);
    }
    [straight, again]
}

#[test]
fn what_is_saved_goes_on_to_the_bit() {
    let [straight, again] = again(&part());
    assert!(again.kernel.save() == straight.kernel.save());
}

#[test]
fn an_estimated_ratio_goes_on_where_it_was() {
    let free_ratios = BTreeMap::from([(text("T0"), Some(0.1))]);
    let [straight, again] = again(&Part { free_ratios, ..part() });
    for bus in 0..8 {
        let off = straight.bus(bus).vm_pu.unwrap() - again.bus(bus).vm_pu.unwrap();
        assert!(off.abs() < 1e-9, "B{bus}: {off}");
    }
}

#[test]
fn two_networks_in_one_file_are_two_parts() {
    let mut both = network();
    let other = network();
    let (buses, branches) = (both.buses.len(), both.branches.len());
    let far = |id: &str| format!("far-{id}");
    both.buses.extend(other.buses.iter().map(|bus| Bus { id: far(&bus.id), ..bus.clone() }));
    for branch in &other.branches {
        let (from, to) = (BusIndex(branch.from.0 + buses), BusIndex(branch.to.0 + buses));
        both.branches.push(Branch { id: far(&branch.id), from, to, ..branch.clone() });
    }
    for of in &other.three_winding {
        let mut of = ThreeWinding { id: far(&of.id), ..of.clone() };
        of.windings.iter_mut().for_each(|winding| winding.bus.0 += buses);
        both.three_winding.push(of);
    }
    for switch in other.switches.iter().skip(1) {
        let Connection::BranchEnd(of, side) = switch.connection else { panic!("{switch:?}") };
        let connection = Connection::BranchEnd(BranchIndex(of.0 + branches), side);
        both.switches.push(Switch { id: far(&switch.id), connection, ..switch.clone() });
    }
    for injection in &other.injections {
        let bus = BusIndex(injection.bus.0 + buses);
        both.injections.push(Injection { id: far(&injection.id), bus, ..injection.clone() });
    }
    let parts = split(&both, "city");
    let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["city/B0", "city/far-B0"]);
    assert_eq!(parts[0].1, Network { name: text("ring"), ..network() });
    let second = &parts[1].1;
    assert_eq!((second.buses.len(), second.branches.len(), second.switches.len()), (8, 5, 2));
    assert!(matches!(second.switches[0].connection, Connection::BranchEnd(BranchIndex(4), _)));
    assert_eq!(second.branches[3].to, BusIndex(5));
}
