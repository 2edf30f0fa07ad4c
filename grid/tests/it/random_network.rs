//! Networks drawn at random with everything a model can hold: two voltages, vector groups, taps,
//! machines, loads that follow the voltage, shunts, busbar sections, switches, dead parts.
//!
//! Loads are light, so that every part of a network that a few open switches leave has a solution.

use grid::BusIndex;
use grid::Network;
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
use grid::network::Transformer;
use grid::network::Zip;

/// Small seeded numbers (Knuth's multiplicative generator).
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    /// A number in [0, 1).
    pub(crate) fn share(&mut self) -> f64 {
        let state = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = state.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from a to b.
    pub(crate) fn between(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * self.share()
    }

    /// A whole number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.share() * bound as f64) as usize
    }

    /// True with a probability.
    pub(crate) fn chance(&mut self, of: f64) -> bool {
        self.share() < of
    }
}

const HIGH_KV: f64 = 110.0;
const LOW_KV: f64 = 20.0;

fn bus(number: usize, nominal_kv: f64) -> Bus {
    Bus { id: format!("B{number}"), name: String::new(), nominal_kv, in_service: true }
}

fn line(draws: &mut Draws, number: usize, from: usize, to: usize, kv: f64) -> Branch {
    let km = draws.between(0.5, 3.0) * kv / LOW_KV;
    let line = Line {
        r_ohm: 0.2 * km,
        x_ohm: 0.35 * km,
        g_siemens: 0.0,
        b_siemens: 4e-6 * km,
        rated_ka: Some(0.3),
    };
    Branch {
        id: format!("L{number}"),
        name: String::new(),
        from: BusIndex(from),
        to: BusIndex(to),
        class: BranchClass::Line,
        parameters: Parameters::Line(line),
        in_service: draws.chance(0.97),
    }
}

fn transformer(draws: &mut Draws, number: usize, from: usize, to: usize, shift: f64) -> Branch {
    let tap = Tap {
        side: if draws.chance(0.5) { Side::From } else { Side::To },
        position: draws.below(9) as f64 - 4.0,
        neutral: 0.0,
        lowest: -9.0,
        highest: 9.0,
        step_percent: 1.25,
        step_deg: 0.0,
        ideal_shift: false,
    };
    let sheet = Transformer {
        rated_mva: 40.0,
        from_kv: HIGH_KV,
        to_kv: 21.0,
        vk_percent: 12.0,
        vkr_percent: 0.5,
        pfe_kw: 30.0,
        i0_percent: 0.1,
        shift_deg: shift,
        taps: vec![tap],
        parallel: 1,
        ..Transformer::default()
    };
    Branch {
        id: format!("T{number}"),
        name: String::new(),
        from: BusIndex(from),
        to: BusIndex(to),
        class: BranchClass::Transformer,
        parameters: Parameters::Transformer(Box::new(sheet)),
        in_service: true,
    }
}

fn injection(number: usize, at: usize, control: Control, p_mw: f64, q_mvar: f64) -> Injection {
    Injection {
        id: format!("I{number}"),
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

fn add_injections(network: &mut Network, draws: &mut Draws, high: usize) {
    let low_buses = network.buses.len() - high;
    let impedance_pu = draws.chance(0.5).then_some((0.001, 0.01));
    let source = Control::Slack { vm_pu: 1.02, va_deg: 15.0, impedance_pu };
    network.injections.push(injection(0, 0, source, 0.0, 0.0));
    if draws.chance(0.3) {
        // A second source, as stiff, at the same angle.
        let source = Control::Slack { vm_pu: 1.01, va_deg: 15.0, impedance_pu: None };
        network.injections.push(injection(1, high - 1, source, 0.0, 0.0));
    }
    for at in 0..network.buses.len() {
        let number = network.injections.len();
        // Light enough for whatever is left after a few switches.
        let p_mw = draws.between(-6.0, 1.0) / low_buses as f64;
        let mut load = injection(number, at, Control::Power, p_mw, 0.3 * p_mw);
        if draws.chance(0.3) {
            load.zip = Zip {
                p_impedance: draws.between(0.0, 0.5),
                p_current: draws.between(0.0, 0.5),
                q_impedance: draws.between(0.0, 1.0),
                q_current: 0.0,
            };
        }
        load.in_service = draws.chance(0.95);
        network.injections.push(load);
        let machines = if draws.chance(0.1) { 1 + draws.below(2) } else { 0 };
        for _ in 0..machines {
            let vm_pu = draws.between(0.99, 1.03);
            let number = network.injections.len();
            let control = Control::Voltage { vm_pu };
            let mut machine = injection(number, at, control, 0.5, 0.0);
            machine.q_limits_mvar = draws.chance(0.7).then_some((-0.4, 0.6));
            network.injections.push(machine);
        }
    }
}

fn add_switches(network: &mut Network, draws: &mut Draws) {
    for branch in 0..network.branches.len() {
        for side in [Side::From, Side::To] {
            if draws.chance(0.6) {
                network.switches.push(Switch {
                    id: format!("S{}", network.switches.len()),
                    name: String::new(),
                    connection: Connection::BranchEnd(BranchIndex(branch), side),
                    closed: draws.chance(0.95),
                });
            }
        }
    }
}

/// Makes a second section of every fifth low bus or so, with what leaves it and a coupler.
fn add_sections(network: &mut Network, draws: &mut Draws, high: usize) {
    for at in high..network.buses.len() {
        if !draws.chance(0.2) {
            continue;
        }
        let section = network.buses.len();
        network.buses.push(bus(section, LOW_KV));
        for branch in &mut network.branches {
            if branch.to.0 == at && draws.chance(0.5) {
                branch.to = BusIndex(section);
            }
        }
        network.switches.push(Switch {
            id: format!("S{}", network.switches.len()),
            name: String::new(),
            connection: Connection::Buses(BusIndex(at), BusIndex(section)),
            closed: draws.chance(0.8),
        });
    }
}

/// A network: a ring of 110 kV, up to three transformers of one vector group, meshed 20 kV below.
pub(crate) fn network(draws: &mut Draws, buses: usize) -> Network {
    let high = (buses / 4).max(2);
    let low = buses - high;
    let mut network = Network {
        base_mva: 10.0,
        frequency_hz: 50.0,
        name: "drawn".to_owned(),
        ..Network::default()
    };
    network.buses = (0..buses).map(|b| bus(b, if b < high { HIGH_KV } else { LOW_KV })).collect();
    for b in 1..high {
        network.branches.push(line(draws, b, b - 1, b, HIGH_KV));
    }
    network.branches.push(line(draws, high, high - 1, 0, HIGH_KV));
    let shift = [0.0, 30.0, 150.0, 330.0][draws.below(4)];
    for _ in 0..1 + draws.below(3) {
        let (from, to) = (draws.below(high), high + draws.below(low));
        network.branches.push(transformer(draws, network.branches.len(), from, to, shift));
    }
    for b in high + 1..buses {
        let near = high + draws.below(b - high);
        let (from, to) = if draws.chance(0.5) { (near, b) } else { (b, near) };
        network.branches.push(line(draws, network.branches.len(), from, to, LOW_KV));
    }
    for _ in 0..low / 4 {
        let (from, to) = (high + draws.below(low), high + draws.below(low));
        if from != to {
            network.branches.push(line(draws, network.branches.len(), from, to, LOW_KV));
        }
    }
    let shunt = high + draws.below(low);
    network.shunts.push(Shunt {
        id: "SH0".to_owned(),
        bus: shunt,
        q_mvar_at_1pu: -0.5,
        p_mw_at_1pu: 0.01,
        in_service: true,
        ..Shunt::default()
    });
    add_switches(&mut network, draws);
    add_sections(&mut network, draws, high);
    add_injections(&mut network, draws, high);
    network
}
