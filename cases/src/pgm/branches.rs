//! Lines, links, transformers: what connects nodes.
//!
//! Formulas are those of the library's documentation (*Components*, Power Grid Model). A status at
//! an end becomes a switch there, so that what is open can be closed later.

use std::f64::consts::TAU;

use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::BranchIndex;
use grid::network::BusIndex;
use grid::network::Connection;
use grid::network::Equivalent;
use grid::network::Impedance;
use grid::network::Line;
use grid::network::Parameters;
use grid::network::Severity;
use grid::network::Side;
use grid::network::Switch;
use grid::network::Tap;
use grid::network::ThreeWinding;
use grid::network::Transformer;
use grid::network::Winding;

use super::BASE_MVA;
use super::Component;
use super::Object;
use super::Outcome;
use super::Reader;
use super::row::Row;

pub(super) const LINE: Component = Component {
    name: "line",
    read: &[
        "id",
        "from_node",
        "to_node",
        "from_status",
        "to_status",
        "r1",
        "x1",
        "c1",
        "tan1",
        "i_n",
    ],
    row: line,
};

pub(super) const LINK: Component = Component {
    name: "link",
    read: &["id", "from_node", "to_node", "from_status", "to_status"],
    row: link,
};

pub(super) const GENERIC_BRANCH: Component = Component {
    name: "generic_branch",
    read: &[
        "id",
        "from_node",
        "to_node",
        "from_status",
        "to_status",
        "r1",
        "x1",
        "g1",
        "b1",
        "k",
        "theta",
        "sn",
    ],
    row: generic_branch,
};

pub(super) const TRANSFORMER: Component = Component {
    name: "transformer",
    read: &[
        "id",
        "from_node",
        "to_node",
        "from_status",
        "to_status",
        "u1",
        "u2",
        "sn",
        "uk",
        "pk",
        "i0",
        "p0",
        "winding_from",
        "winding_to",
        "clock",
        "tap_side",
        "tap_pos",
        "tap_min",
        "tap_max",
        "tap_nom",
        "tap_size",
        "uk_min",
        "uk_max",
        "pk_min",
        "pk_max",
    ],
    row: transformer,
};

pub(super) const THREE_WINDING: Component = Component {
    name: "three_winding_transformer",
    read: &[
        "id",
        "node_1",
        "node_2",
        "node_3",
        "status_1",
        "status_2",
        "status_3",
        "u1",
        "u2",
        "u3",
        "sn_1",
        "sn_2",
        "sn_3",
        "uk_12",
        "uk_13",
        "uk_23",
        "pk_12",
        "pk_13",
        "pk_23",
        "i0",
        "p0",
        "winding_1",
        "winding_2",
        "winding_3",
        "clock_12",
        "clock_13",
        "tap_side",
        "tap_pos",
        "tap_min",
        "tap_max",
        "tap_nom",
        "tap_size",
        "uk_12_min",
        "uk_12_max",
        "uk_13_min",
        "uk_13_max",
        "uk_23_min",
        "uk_23_max",
        "pk_12_min",
        "pk_12_max",
        "pk_13_min",
        "pk_13_max",
        "pk_23_min",
        "pk_23_max",
    ],
    row: three_winding,
};

fn line(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let siemens = TAU * reader.frequency_hz * row.or("c1", 0.0)?;
    let parameters = Parameters::Line(Line {
        r_ohm: row.need("r1")?,
        x_ohm: row.need("x1")?,
        g_siemens: siemens * row.or("tan1", 0.0)?,
        b_siemens: siemens,
        rated_ka: row.number("i_n")?.map(|amperes| amperes / 1e3),
    });
    reader.branch(row, BranchClass::Line, parameters)
}

/// A link of which both ends are closed makes its nodes one.
fn link(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let (from, to) = (reader.node(row, "from_node")?, reader.node(row, "to_node")?);
    let closed = row.status("from_status")? && row.status("to_status")?;
    let id = reader.enter(row, Object::Link)?;
    let connection = Connection::Buses(BusIndex(from), BusIndex(to));
    reader.import.network.switches.push(Switch { id, name: String::new(), connection, closed });
    Ok(())
}

/// A π with an ideal ratio at its from end, in ohm and siemens of the to end.
fn generic_branch(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let kv = reader.kv(reader.node(row, "to_node")?);
    let ohm = kv * kv / BASE_MVA;
    let rated_va = row.or("sn", 0.0)?;
    let tap_ratio = row.or("k", 1.0)?;
    let shift_deg = row.or("theta", 0.0)?.to_degrees();
    let impedance = Impedance {
        r_pu: row.need("r1")? / ohm,
        x_pu: row.need("x1")? / ohm,
        g_pu: row.need("g1")? * ohm,
        b_pu: row.need("b1")? * ohm,
        tap_ratio,
        shift_deg,
        rated_ka: (rated_va > 0.0).then(|| rated_va / 1e6 / (3.0_f64.sqrt() * kv)),
        ..Impedance::default()
    };
    let other = reader.kv(reader.node(row, "from_node")?);
    let ratio = tap_ratio != 1.0 || shift_deg != 0.0 || other != kv;
    let class = if ratio { BranchClass::Transformer } else { BranchClass::Line };
    reader.branch(row, class, Parameters::Impedance(impedance))
}

fn transformer(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let (u1, u2) = (row.above_zero("u1")?, row.above_zero("u2")?);
    let rated_va = row.above_zero("sn")?;
    let changer = Changer::read(row)?;
    let side = match row.integer("tap_side")? {
        0 => Side::From,
        1 => Side::To,
        other => return Err(format!("is left out: tap_side is {other} and must be 0 or 1")),
    };
    let uk = changer.follow(row, "uk")?;
    let pk = changer.follow(row, "pk")?;
    let rated_v = if side == Side::From { u1 } else { u2 };
    let clock = row.integer("clock")?.rem_euclid(12);
    let sheet = Transformer {
        rated_mva: rated_va / 1e6,
        from_kv: u1 / 1e3,
        to_kv: u2 / 1e3,
        vk_percent: uk * 100.0,
        vkr_percent: pk / rated_va * 100.0,
        pfe_kw: row.need("p0")? / 1e3,
        i0_percent: row.need("i0")? * 100.0,
        shift_deg: 30.0 * clock as f64,
        taps: vec![changer.tap(side, rated_v)],
        parallel: 1,
        equivalent: Equivalent::Pi,
    };
    let windings = [row.integer("winding_from")?, row.integer("winding_to")?];
    reader.check_clock(row, clock, windings);
    reader.branch(row, BranchClass::Transformer, Parameters::Transformer(Box::new(sheet)))
}

fn three_winding(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let changer = Changer::read(row)?;
    let mut windings = Vec::with_capacity(3);
    let clocks =
        [0, row.integer("clock_12")?.rem_euclid(12), row.integer("clock_13")?.rem_euclid(12)];
    for (k, clock) in clocks.into_iter().enumerate() {
        let n = k + 1;
        windings.push(Winding {
            bus: BusIndex(reader.node(row, &format!("node_{n}"))?),
            rated_kv: row.above_zero(&format!("u{n}"))? / 1e3,
            rated_mva: row.above_zero(&format!("sn_{n}"))? / 1e6,
            shift_deg: 30.0 * clock as f64,
        });
    }
    let windings: [Winding; 3] = windings.try_into().expect("three were pushed");
    let (vk_percent, vkr_percent) = pairs_of_star(&star(row, &changer, &windings)?, &windings);
    let at = row.integer("tap_side")?;
    let at = usize::try_from(at).ok().filter(|at| *at < 3);
    let at = at.ok_or_else(|| "is left out: tap_side must be 0, 1 or 2".to_owned())?;
    let rated_v = windings[at].rated_kv * 1e3;
    let mut closed = [true; 3];
    for (k, closed) in closed.iter_mut().enumerate() {
        *closed = row.status(&format!("status_{}", k + 1))?;
    }
    let (pfe_kw, i0_percent) = (row.need("p0")? / 1e3, row.need("i0")? * 100.0);
    let index = reader.import.network.three_winding.len();
    let id = reader.enter(row, Object::ThreeWinding(index))?;
    let network = &mut reader.import.network;
    for (k, closed) in closed.into_iter().enumerate() {
        let (id, connection) = (format!("{id}/{}", k + 1), Connection::WindingEnd(index, k));
        network.switches.push(Switch { id, name: String::new(), connection, closed });
    }
    network.three_winding.push(ThreeWinding {
        id,
        name: String::new(),
        windings,
        vk_percent,
        vkr_percent,
        pfe_kw,
        i0_percent,
        tap: Some((at, changer.tap(Side::From, rated_v))),
        losses_at: 0,
        equivalent: Equivalent::Pi,
        in_service: true,
    });
    Ok(())
}

impl Reader {
    /// A branch and the switches at its ends.
    fn branch(&mut self, row: &Row<'_>, class: BranchClass, parameters: Parameters) -> Outcome {
        let (from, to) = (self.node(row, "from_node")?, self.node(row, "to_node")?);
        if from == to {
            return Err("is left out: both its ends are at the same node".to_owned());
        }
        let closed = [row.status("from_status")?, row.status("to_status")?];
        let index = self.import.network.branches.len();
        let id = self.enter(row, Object::Branch(index))?;
        let network = &mut self.import.network;
        for (closed, side) in closed.into_iter().zip([Side::From, Side::To]) {
            let end = if side == Side::From { "from" } else { "to" };
            network.switches.push(Switch {
                id: format!("{id}/{end}"),
                name: String::new(),
                connection: Connection::BranchEnd(BranchIndex(index), side),
                closed,
            });
        }
        network.branches.push(Branch {
            id,
            name: String::new(),
            from: BusIndex(from),
            to: BusIndex(to),
            class,
            parameters,
            in_service: true,
        });
        Ok(())
    }

    /// Even clock numbers need a star on both sides or on none (IEC 60076-1, vector groups).
    fn check_clock(&mut self, row: &Row<'_>, clock: i64, windings: [i64; 2]) {
        const STARS: [i64; 2] = [0, 1];
        let [from, to] = windings.map(|winding| STARS.contains(&winding));
        if (clock % 2 == 0) != (from == to) {
            let problem = format!("has the clock number {clock}, which its windings cannot have");
            self.import.remark(Severity::Warning, row.place(), row.element(), problem);
        }
    }
}

/// A tap changer as the library has it: its first position may be above its last.
struct Changer {
    position: f64,
    nominal: f64,
    at_min: f64,
    at_max: f64,
    step_v: f64,
}

impl Changer {
    fn read(row: &Row<'_>) -> Result<Changer, String> {
        let at = |name: &str| Ok::<_, String>(row.maybe_integer(name)?.map(|value| value as f64));
        let missing = |name: &str| format!("is left out: it has no {name}");
        let at_min = at("tap_min")?.ok_or_else(|| missing("tap_min"))?;
        let at_max = at("tap_max")?.ok_or_else(|| missing("tap_max"))?;
        let nominal = at("tap_nom")?.unwrap_or(0.0);
        let position = at("tap_pos")?.unwrap_or(nominal);
        let position = position.clamp(at_min.min(at_max), at_min.max(at_max));
        Ok(Changer { position, nominal, at_min, at_max, step_v: row.need("tap_size")? })
    }

    /// The tap changer of a winding with a rated voltage.
    fn tap(&self, side: Side, rated_v: f64) -> Tap {
        let direction = if self.at_max > self.at_min { 1.0 } else { -1.0 };
        Tap {
            side,
            position: self.position,
            neutral: self.nominal,
            lowest: self.at_min.min(self.at_max),
            highest: self.at_min.max(self.at_max),
            step_percent: direction * self.step_v / rated_v * 100.0,
            step_deg: 0.0,
            ideal_shift: false,
        }
    }

    /// A value at the tap's position: on a straight line from the nominal one to the one at the
    /// end that the position is towards.
    fn follow(&self, row: &Row<'_>, name: &str) -> Result<f64, String> {
        let nominal = row.need(name)?;
        let (low, high) = (self.nominal.min(self.at_max), self.nominal.max(self.at_max));
        let towards_max = (low..=high).contains(&self.position);
        let (end, suffix) = if towards_max { (self.at_max, "max") } else { (self.at_min, "min") };
        let at_end = row.or(&format!("{name}_{suffix}"), nominal)?;
        if end == self.nominal {
            return Ok(nominal);
        }
        let share = (self.position - self.nominal) / (end - self.nominal);
        Ok(nominal + share * (at_end - nominal))
    }
}

/// A star's impedance, with all windings related to the power of the first: |z| with the sign of
/// its reactance, and its resistance.
type Leg = (f64, f64);

/// The star of a three-winding transformer. The library converts |z| and the losses apart.
fn star(row: &Row<'_>, changer: &Changer, windings: &[Winding; 3]) -> Result<[Leg; 3], String> {
    let mva = |k: usize| windings[k].rated_mva;
    let pair = |a: usize, b: usize| -> Result<Leg, String> {
        let scale = mva(0) / mva(a).min(mva(b));
        let (uk, pk) = (format!("uk_{}{}", a + 1, b + 1), format!("pk_{}{}", a + 1, b + 1));
        let losses = changer.follow(row, &pk)? / 1e6 * scale * scale / mva(0);
        Ok((changer.follow(row, &uk)? * scale, losses))
    };
    let (p12, p13, p23) = (pair(0, 1)?, pair(0, 2)?, pair(1, 2)?);
    let half = |a: Leg, b: Leg, c: Leg| (0.5 * (a.0 + b.0 - c.0), 0.5 * (a.1 + b.1 - c.1));
    Ok([half(p12, p13, p23), half(p12, p23, p13), half(p13, p23, p12)])
}

/// The tests between two windings that have a given star: short-circuit voltages and their
/// resistive parts in percent of the smaller rated power, high-medium, medium-low, high-low.
fn pairs_of_star(star: &[Leg; 3], windings: &[Winding; 3]) -> ([f64; 3], [f64; 3]) {
    let impedance = |(z, r): Leg| (r, (z * z - r * r).max(0.0).sqrt().copysign(z));
    let (mut vk, mut vkr) = ([0.0; 3], [0.0; 3]);
    for (test, (a, b)) in [(0, 1), (1, 2), (0, 2)].into_iter().enumerate() {
        let (one, other) = (impedance(star[a]), impedance(star[b]));
        let smaller = windings[a].rated_mva.min(windings[b].rated_mva);
        let percent = 100.0 * smaller / windings[0].rated_mva;
        let (r, x) = ((one.0 + other.0) * percent, (one.1 + other.1) * percent);
        vk[test] = r.hypot(x).copysign(x);
        vkr[test] = r;
    }
    (vk, vkr)
}
