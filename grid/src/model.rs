//! The network per unit: what solvers see.
//!
//! Data sheets become admittances here, once. Every branch is the four numbers of its two-port,
//! whatever it was; a three-winding transformer is three branches that meet in a star point, and a
//! source behind an impedance is a stiff one at a bus of its own. Buses and branches keep the
//! network's numbers; what is added comes after them.
//!
//! ```text
//! i_from = y_ff v_from + y_ft v_to        y_ft = -y_s/t*     y_ff = (y_s + y_sh)/|t|² + y_from
//! i_to   = y_tf v_from + y_tt v_to        y_tf = -y_s/t      y_tt = y_s + y_sh + y_to
//! ```
//!
//! Switches are not resolved here: see [`Topology`](crate::topology::Topology).

use std::f64::consts::TAU;

use crate::complex::Complex;
use crate::network::Branch;
use crate::network::Connection;
use crate::network::Control;
use crate::network::Equivalent;
use crate::network::Fault;
use crate::network::Impedance;
use crate::network::Network;
use crate::network::Parameters;
use crate::network::Side;
use crate::network::Tap;
use crate::network::ThreeWinding;
use crate::network::Transformer;
use crate::network::Zip;
use crate::network::check;
use crate::per_unit::base_ka;
use crate::per_unit::base_ohm;

/// The two-port of a branch: `[y_ff, y_ft, y_tf, y_tt]`.
pub type TwoPort = [Complex; 4];

/// A network per unit.
#[derive(Clone, Debug)]
pub struct Model {
    /// The power base in MVA.
    pub base_mva: f64,
    /// Nominal voltages in kV: the network's buses, then star points, then insides of sources.
    pub bus_kv: Vec<f64>,
    /// False where a bus is not there.
    pub bus_in_service: Vec<bool>,
    /// The network's branches, then three for each three-winding transformer (its windings in
    /// order, the star point at their to, from and from ends), then impedances of sources.
    pub branches: Vec<ModelBranch>,
    /// Where the three-winding transformers' branches begin.
    pub windings_from: usize,
    /// Where the buses inside sources begin; the impedances to them are the last branches, in the
    /// same order.
    pub insides_from: usize,
    /// Fixed admittances to ground.
    pub shunts: Vec<(usize, Complex)>,
    /// The network's switches, in its order, on this model's branches.
    pub switches: Vec<ModelSwitch>,
    /// The network's injections, in its order.
    pub injections: Vec<ModelInjection>,
}

/// A branch per unit.
#[derive(Clone, Copy, Debug)]
pub struct ModelBranch {
    /// Its from bus.
    pub from: usize,
    /// Its to bus.
    pub to: usize,
    /// Its two-port with both ends connected.
    pub y: TwoPort,
    /// False if it is not there.
    pub in_service: bool,
    /// Rated current per unit at each end; infinite where there is none.
    pub rated: [f64; 2],
}

/// What a switch does to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// Makes two buses one.
    Joins(usize, usize),
    /// Connects an end of a branch.
    Connects(usize, Side),
}

/// A switch of the model.
#[derive(Clone, Copy, Debug)]
pub struct ModelSwitch {
    /// What it does.
    pub acts: Acts,
    /// Its normal position.
    pub closed: bool,
}

/// An injection per unit.
#[derive(Clone, Copy, Debug)]
pub struct ModelInjection {
    /// The bus it is at; of a source behind an impedance, the bus inside it.
    pub bus: usize,
    /// What it holds.
    pub holds: Holds,
    /// Power into the bus.
    pub s: Complex,
    /// How it follows the voltage.
    pub zip: Zip,
    /// Least and greatest reactive power into the bus.
    pub q_limits: (f64, f64),
    /// False if it is switched off.
    pub in_service: bool,
}

/// What an injection holds, per unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holds {
    /// Its power.
    Power,
    /// Active power and voltage magnitude.
    Magnitude(f64),
    /// The voltage.
    Voltage(Complex),
}

/// Whether sources keep their impedance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceImpedance {
    /// A source behind an impedance gets a bus inside: what a power flow wants.
    Kept,
    /// A source is at its bus: what an estimator wants, for which it is one more injection.
    Omitted,
}

impl Model {
    /// The model of a network.
    ///
    /// # Errors
    /// What [`fatal`](crate::network::check::fatal) finds.
    pub fn new(network: &Network, sources: SourceImpedance) -> Result<Model, Vec<Fault>> {
        let fatal = check::fatal(network);
        if fatal.is_empty() { Ok(Model::unchecked(network, sources)) } else { Err(fatal) }
    }

    /// The model of a network in which nothing fatal has been found.
    pub(crate) fn unchecked(network: &Network, sources: SourceImpedance) -> Model {
        let mut model = Model {
            base_mva: network.base_mva,
            bus_kv: network.buses.iter().map(|bus| bus.nominal_kv).collect(),
            bus_in_service: network.buses.iter().map(|bus| bus.in_service).collect(),
            branches: Vec::with_capacity(network.branches.len()),
            windings_from: network.branches.len(),
            insides_from: network.buses.len() + network.three_winding.len(),
            shunts: Vec::with_capacity(network.shunts.len()),
            switches: Vec::with_capacity(network.switches.len()),
            injections: Vec::with_capacity(network.injections.len()),
        };
        for branch in &network.branches {
            model.add_branch(network, branch);
        }
        for transformer in &network.three_winding {
            model.add_three_winding(network, transformer);
        }
        model.add_shunts(network);
        model.add_switches(network);
        model.add_injections(network, sources);
        model
    }

    /// The current base at a bus in kA.
    pub fn base_ka(&self, bus: usize) -> f64 {
        base_ka(self.base_mva, self.bus_kv[bus])
    }

    /// Sets a tap changer of a transformer anew: the branch's two-port follows.
    pub fn set_tap(&mut self, network: &Network, branch: usize) {
        self.branches[branch].y = self.two_port(network, &network.branches[branch]);
    }

    fn two_port(&self, network: &Network, branch: &Branch) -> TwoPort {
        let (from_kv, to_kv) = (self.bus_kv[branch.from.0], self.bus_kv[branch.to.0]);
        match &branch.parameters {
            Parameters::Line(line) => {
                let z_base = base_ohm(self.base_mva, to_kv);
                let series = Complex::new(line.r_ohm, line.x_ohm).scale(1.0 / z_base);
                let shunt = Complex::new(line.g_siemens, line.b_siemens).scale(z_base);
                pi(series, shunt, Complex::ONE)
            }
            Parameters::Transformer(sheet) => {
                transformer_two_port(sheet, from_kv, to_kv, network.base_mva)
            }
            Parameters::Impedance(impedance) => impedance_two_port(impedance),
        }
    }

    fn add_branch(&mut self, network: &Network, branch: &Branch) {
        let rated = match &branch.parameters {
            Parameters::Line(line) => self.rated_pu(branch, line.rated_ka),
            Parameters::Impedance(impedance) => self.rated_pu(branch, impedance.rated_ka),
            Parameters::Transformer(sheet) => {
                let mva = sheet.rated_mva * f64::from(sheet.parallel.max(1));
                let pu = mva / self.base_mva;
                let (from, to) = (branch.from.0, branch.to.0);
                [pu * self.bus_kv[from] / sheet.from_kv, pu * self.bus_kv[to] / sheet.to_kv]
            }
        };
        self.branches.push(ModelBranch {
            from: branch.from.0,
            to: branch.to.0,
            y: self.two_port(network, branch),
            in_service: branch.in_service,
            rated,
        });
    }

    /// A rating in kA on the bases of both ends.
    fn rated_pu(&self, branch: &Branch, rated_ka: Option<f64>) -> [f64; 2] {
        let ka = rated_ka.unwrap_or(f64::INFINITY);
        let to = ka / self.base_ka(branch.to.0);
        let same_voltage = self.bus_kv[branch.from.0] == self.bus_kv[branch.to.0];
        // Given at the to end; through a ratio the per-unit current is the same.
        [if same_voltage { ka / self.base_ka(branch.from.0) } else { to }, to]
    }

    /// Three branches that meet in a star point at the high-voltage winding's voltage.
    fn add_three_winding(&mut self, network: &Network, transformer: &ThreeWinding) {
        let star = self.bus_kv.len();
        let high = &transformer.windings[0];
        let star_kv = self.bus_kv[high.bus.0];
        self.bus_kv.push(star_kv);
        self.bus_in_service.push(transformer.in_service);
        for (k, z) in star_impedances(transformer, network.base_mva).into_iter().enumerate() {
            let winding = &transformer.windings[k];
            let (from_kv, to_kv) = if k == 0 {
                (winding.rated_kv, high.rated_kv)
            } else {
                (high.rated_kv, winding.rated_kv)
            };
            let tap = transformer
                .tap
                .as_ref()
                .filter(|(at, _)| *at == k)
                .map(|(_, tap)| Tap { side: if k == 0 { Side::From } else { Side::To }, ..*tap });
            let carries = transformer.losses_at == k;
            let (from, to) = if k == 0 { (winding.bus.0, star) } else { (star, winding.bus.0) };
            let bus_kv = (self.bus_kv[from], self.bus_kv[to]);
            let ratio = complex_ratio((from_kv, to_kv), bus_kv, winding.shift_deg, tap.as_slice());
            let y =
                if carries { magnetising(transformer, network.base_mva) } else { Complex::ZERO };
            let scale = ratio.to_scale;
            let z = z.scale(scale);
            let y = y.scale(1.0 / scale);
            let pu = winding.rated_mva / self.base_mva;
            let at_bus = pu * self.bus_kv[winding.bus.0] / winding.rated_kv;
            self.branches.push(ModelBranch {
                from,
                to,
                y: match transformer.equivalent {
                    Equivalent::T => tee(z, y, ratio.t),
                    Equivalent::Pi => pi(z, y, ratio.t),
                },
                in_service: transformer.in_service,
                rated: if k == 0 { [at_bus, f64::INFINITY] } else { [f64::INFINITY, at_bus] },
            });
        }
        if transformer.losses_at > 2 && transformer.in_service {
            let ratio = star_kv / high.rated_kv;
            let y = magnetising(transformer, network.base_mva).scale(ratio * ratio);
            self.shunts.push((star, y));
        }
    }

    fn add_shunts(&mut self, network: &Network) {
        for shunt in network.shunts.iter().filter(|shunt| shunt.in_service) {
            let y = Complex::new(shunt.p_mw_at_1pu, -shunt.q_mvar_at_1pu);
            self.shunts.push((shunt.bus, y.scale(1.0 / network.base_mva)));
        }
    }

    fn add_switches(&mut self, network: &Network) {
        for switch in &network.switches {
            let acts = match switch.connection {
                Connection::Buses(a, b) => Acts::Joins(a.0, b.0),
                Connection::BranchEnd(branch, side) => Acts::Connects(branch.0, side),
                Connection::WindingEnd(transformer, winding) => {
                    let side = if winding == 0 { Side::From } else { Side::To };
                    Acts::Connects(self.windings_from + 3 * transformer + winding, side)
                }
            };
            self.switches.push(ModelSwitch { acts, closed: switch.closed });
        }
    }

    fn add_injections(&mut self, network: &Network, sources: SourceImpedance) {
        for injection in &network.injections {
            let mut bus = injection.bus.0;
            let holds = match injection.control {
                Control::Power => Holds::Power,
                Control::Voltage { vm_pu } => Holds::Magnitude(vm_pu),
                Control::Slack { vm_pu, va_deg, impedance_pu } => {
                    if let (Some((r, x)), SourceImpedance::Kept) = (impedance_pu, sources) {
                        bus = self.add_inside(bus, Complex::new(r, x), injection.in_service);
                    }
                    Holds::Voltage(Complex::from_polar(vm_pu, va_deg.to_radians()))
                }
            };
            let pu = 1.0 / network.base_mva;
            let limits = injection.q_limits_mvar.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            self.injections.push(ModelInjection {
                bus,
                holds,
                s: Complex::new(injection.p_mw, injection.q_mvar).scale(pu),
                zip: injection.zip,
                q_limits: (limits.0 * pu, limits.1 * pu),
                in_service: injection.in_service,
            });
        }
    }

    /// A bus inside a source, behind its impedance.
    fn add_inside(&mut self, bus: usize, z: Complex, in_service: bool) -> usize {
        let inside = self.bus_kv.len();
        self.bus_kv.push(self.bus_kv[bus]);
        self.bus_in_service.push(in_service);
        self.branches.push(ModelBranch {
            from: inside,
            to: bus,
            y: pi(z, Complex::ZERO, Complex::ONE),
            in_service,
            rated: [f64::INFINITY; 2],
        });
        inside
    }
}

/// Susceptance of a capacitance in nF at a frequency, in siemens.
pub fn siemens_from_nf(c_nf: f64, frequency_hz: f64) -> f64 {
    TAU * frequency_hz * c_nf * 1e-9
}

/// The two-port of a π: series impedance, both shunts together, complex ratio at the from end.
pub fn pi(series: Complex, shunt: Complex, t: Complex) -> TwoPort {
    let (y, half) = (series.inverse(), shunt.scale(0.5));
    let own = y + half;
    [own.scale(1.0 / t.norm_sqr()), -(y / t.conj()), -(y / t), own]
}

/// The two-port of a T: half of the series impedance on each side of the shunt.
///
/// As a π it has the series impedance `z + (z/2)² y` and `y/(2 + (z/2) y)` at each end.
pub fn tee(series: Complex, shunt: Complex, t: Complex) -> TwoPort {
    let half = series.scale(0.5);
    let between = series + half * half * shunt;
    let ends = shunt / (Complex::new(2.0, 0.0) + half * shunt);
    pi(between, ends.scale(2.0), t)
}

/// A complex ratio, and what an impedance on the to winding's rated base is multiplied by.
struct Ratio {
    t: Complex,
    to_scale: f64,
}

/// The ratio of rated over nominal voltages with taps and vector group.
fn complex_ratio(
    (from_kv, to_kv): (f64, f64),
    (from_bus_kv, to_bus_kv): (f64, f64),
    shift_deg: f64,
    taps: &[Tap],
) -> Ratio {
    let (mut from, mut to, mut shift) = (from_kv, to_kv, shift_deg);
    for tap in taps {
        let (factor, angle_deg) = tap.factor();
        match tap.side {
            Side::From => {
                from *= factor;
                shift += angle_deg;
            }
            Side::To => {
                to *= factor;
                shift -= angle_deg;
            }
        }
    }
    let magnitude = (from / from_bus_kv) / (to / to_bus_kv);
    let to_scale = (to / to_bus_kv) * (to / to_bus_kv);
    Ratio { t: Complex::from_polar(magnitude, shift.to_radians()), to_scale }
}

fn transformer_two_port(
    sheet: &Transformer,
    from_bus_kv: f64,
    to_bus_kv: f64,
    base_mva: f64,
) -> TwoPort {
    let units = f64::from(sheet.parallel.max(1));
    let kv = (sheet.from_kv, sheet.to_kv);
    let ratio = complex_ratio(kv, (from_bus_kv, to_bus_kv), sheet.shift_deg, &sheet.taps);
    let z = series_impedance(sheet.vk_percent, sheet.vkr_percent, sheet.rated_mva, base_mva)
        .scale(ratio.to_scale / units);
    let y = no_load(sheet.pfe_kw, sheet.i0_percent, sheet.rated_mva, base_mva)
        .scale(units / ratio.to_scale);
    match sheet.equivalent {
        Equivalent::T => tee(z, y, ratio.t),
        Equivalent::Pi => pi(z, y, ratio.t),
    }
}

/// Short-circuit impedance on the power base, at rated voltage.
fn series_impedance(vk_percent: f64, vkr_percent: f64, rated_mva: f64, base_mva: f64) -> Complex {
    let scale = base_mva / rated_mva / 100.0;
    let reactance = (vk_percent * vk_percent - vkr_percent * vkr_percent).max(0.0).sqrt();
    // A star's impedance may be negative: the sign of vk says so.
    Complex::new(vkr_percent, reactance.copysign(vk_percent)).scale(scale)
}

/// Magnetising admittance on the power base, at rated voltage.
fn no_load(pfe_kw: f64, i0_percent: f64, rated_mva: f64, base_mva: f64) -> Complex {
    let (g, y) = (pfe_kw / 1e3, i0_percent / 100.0 * rated_mva);
    Complex::new(g, -(y * y - g * g).max(0.0).sqrt()).scale(1.0 / base_mva)
}

fn magnetising(transformer: &ThreeWinding, base_mva: f64) -> Complex {
    let rated_mva = transformer.windings[0].rated_mva;
    no_load(transformer.pfe_kw, transformer.i0_percent, rated_mva, base_mva)
}

/// The star of the three tests between two windings, on the power base.
fn star_impedances(transformer: &ThreeWinding, base_mva: f64) -> [Complex; 3] {
    let rated = |k: usize| transformer.windings[k].rated_mva;
    let test = |k: usize, a: usize, b: usize| {
        let (vk, vkr) = (transformer.vk_percent[k], transformer.vkr_percent[k]);
        series_impedance(vk, vkr, rated(a).min(rated(b)), base_mva)
    };
    let (hm, ml, hl) = (test(0, 0, 1), test(1, 1, 2), test(2, 0, 2));
    let half = |a: Complex, b: Complex, c: Complex| (a + b - c).scale(0.5);
    [half(hm, hl, ml), half(hm, ml, hl), half(hl, ml, hm)]
}

fn impedance_two_port(impedance: &Impedance) -> TwoPort {
    let z = Complex::new(impedance.r_pu, impedance.x_pu);
    let y = Complex::new(impedance.g_pu, impedance.b_pu);
    let t = Complex::from_polar(impedance.tap_ratio, impedance.shift_deg.to_radians());
    let [ff, ft, tf, tt] = pi(z, y, t);
    let (from, to) = (impedance.from_pu, impedance.to_pu);
    [ff + Complex::new(from.0, from.1), ft, tf, tt + Complex::new(to.0, to.1)]
}
