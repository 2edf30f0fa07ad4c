//! Kirchhoff's current law as an oracle: no solver is needed to say that a network is read right,
//! only voltages that somebody else has found.
//!
//! At given bus voltages the model's admittances and injections are evaluated, and what does not
//! balance is the error of the import. Where an injection holds a voltage, what it brings is an
//! answer and not data: its bus is left out of the balance, of both powers for a source and of the
//! reactive one for a machine.

use std::collections::BTreeMap;

use grid::Complex;
use grid::Model;
use grid::Network;
use grid::Topology;
use grid::model::Holds;
use grid::model::SourceImpedance;
use grid::network::Zip;

/// Relative rounding of a voltage that is printed with twelve digits, its angle in degrees.
const VOLTAGE_ROUNDING: f64 = 1e-11;

/// The greatest power that is missing at a live node beyond what rounding of the voltages explains,
/// per unit, and the name of its first bus.
pub(crate) fn worst(
    network: &Network,
    voltages: &BTreeMap<String, Complex>,
    sources: SourceImpedance,
) -> (f64, String) {
    let model = Model::new(network, sources).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    });
    let topology = Topology::new(&model);
    let v = bus_voltages(network, &model, &topology, voltages);
    let missing = missing_powers(&model, &topology, &v);
    let rounding = rounding(&model, &topology);
    let mut worst = (0.0, String::new());
    for node in (0..topology.nodes()).filter(|&node| topology.energised(node)) {
        let bus = topology.buses(node).next().unwrap();
        let (p, q) = missing[node];
        for value in [p, q].into_iter().flatten() {
            let beyond = value.abs() - rounding[node];
            if beyond > worst.0 || value.is_nan() {
                let id = network.buses.get(bus).map_or("inside", |bus| &bus.id);
                worst = (beyond, id.to_owned());
            }
        }
    }
    worst
}

/// The voltages of the model's buses: the given ones, those inside sources, and at all others, star
/// points and floating ends, the one without which their own currents would not balance.
fn bus_voltages(
    network: &Network,
    model: &Model,
    topology: &Topology,
    given: &BTreeMap<String, Complex>,
) -> Vec<Complex> {
    let buses = network.buses.iter();
    let mut v: Vec<Option<Complex>> = buses.map(|bus| given.get(&bus.id).copied()).collect();
    v.resize(model.bus_kv.len(), None);
    for injection in &model.injections {
        if let Holds::Voltage(set) = injection.holds
            && injection.bus >= network.buses.len()
        {
            v[injection.bus] = Some(set);
        }
    }
    let known = |bus: usize| v[bus].unwrap_or(Complex::ZERO);
    let floating = |bus: usize| {
        let (mut own, mut driven) = (Complex::ZERO, Complex::ZERO);
        for (b, line) in model.branches.iter().enumerate() {
            let [ff, ft, tf, tt] = topology.two_port(model, b);
            if line.from == bus {
                own += ff;
                driven += ft * known(line.to);
            } else if line.to == bus {
                own += tt;
                driven += tf * known(line.from);
            }
        }
        if own == Complex::ZERO { own } else { -(driven / own) }
    };
    (0..v.len()).map(|bus| v[bus].unwrap_or_else(|| floating(bus))).collect()
}

/// What the rounding of voltages may do to the balance of each node.
fn rounding(model: &Model, topology: &Topology) -> Vec<f64> {
    let mut of = vec![0.0; topology.nodes()];
    for (b, line) in model.branches.iter().enumerate() {
        let y = topology.two_port(model, b).map(|y| y.abs() * VOLTAGE_ROUNDING);
        of[topology.node(line.from)] += y[0] + y[1];
        of[topology.node(line.to)] += y[2] + y[3];
    }
    of
}

/// What is missing at each node, active and reactive, where that is data.
fn missing_powers(
    model: &Model,
    topology: &Topology,
    v: &[Complex],
) -> Vec<(Option<f64>, Option<f64>)> {
    let mut power = vec![Complex::ZERO; topology.nodes()];
    let mut free = vec![(false, false); topology.nodes()];
    for (b, line) in model.branches.iter().enumerate() {
        let [ff, ft, tf, tt] = topology.two_port(model, b);
        let (from, to) = (v[line.from], v[line.to]);
        power[topology.node(line.from)] += from * (ff * from + ft * to).conj();
        power[topology.node(line.to)] += to * (tf * from + tt * to).conj();
    }
    for &(bus, y) in &model.shunts {
        power[topology.node(bus)] += v[bus] * (y * v[bus]).conj();
    }
    for injection in model.injections.iter().filter(|injection| injection.in_service) {
        let node = topology.node(injection.bus);
        match injection.holds {
            Holds::Power => {}
            Holds::Magnitude(_) => free[node].1 = true,
            Holds::Voltage(_) => free[node] = (true, true),
        }
        power[node] += -zip_power(injection.s, injection.zip, v[injection.bus].abs());
    }
    let known =
        |(s, (p, q)): (&Complex, &(bool, bool))| ((!p).then_some(s.re), (!q).then_some(s.im));
    power.iter().zip(&free).map(known).collect()
}

fn zip_power(s: Complex, zip: Zip, v: f64) -> Complex {
    let of = |z: f64, i: f64| z * v * v + i * v + (1.0 - z - i);
    Complex::new(
        s.re * of(zip.p_impedance, zip.p_current),
        s.im * of(zip.q_impedance, zip.q_current),
    )
}
