//! The equations of a power flow: admittances, what each node holds, and how far a state is off.
//!
//! With `v` the voltages and `s` what is injected, a node's mismatch is `s - v (Y v)*`. Everything
//! stands in order of places (see [`Pattern`](crate::sparse::Pattern)), so that a pass over the
//! rows walks memory forwards.
//!
//! The unknowns are the angle and the logarithm of the magnitude: then the entry of the Jacobian
//! between two nodes is the one complex number `t = v_k (y v_j)*`, as `[t.im, t.re; -t.re, t.im]`,
//! and no division is needed (J. E. Van Ness, J. H. Griffin, *Elimination methods for load-flow
//! studies*, AIEE Trans. 80, 1961, for the polar form). Nodes whose voltage is given, and dead
//! ones, are identity rows.

use std::sync::Arc;

use crate::complex::Complex;
use crate::model::Holds;
use crate::model::Model;
use crate::network::Side;
use crate::network::Zip;
use crate::power_flow::plan::Entry;
use crate::power_flow::plan::Plan;
use crate::topology::Topology;

/// What is given at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Active and reactive power.
    Power,
    /// Active power and the voltage's magnitude.
    Magnitude,
    /// The voltage.
    Voltage,
    /// There is no way to a source: no voltage.
    Dead,
}

/// Power that follows the voltage's magnitude, at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follows {
    pub(super) place: u32,
    /// Times the magnitude.
    pub(super) current: Complex,
    /// Times its square.
    pub(super) impedance: Complex,
}

/// A mismatch that rounding alone makes, as a share of the admittances at a node: voltages are
/// known to half a unit of the last digit, and flow is admittance times what is between them.
const ROUNDING: f64 = 4.0 * f64::EPSILON;

/// Where rounding makes more than this, per unit, flows are sums over differences of voltages.
const STIFF_PU: f64 = 1e-9;

/// A block of the Jacobian.
pub(super) type Square = [[f64; 2]; 2];

/// How far a state is off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mismatch {
    /// The largest active or reactive mismatch per unit.
    pub(super) largest: f64,
    /// The sum of squares; not finite if anything is not.
    pub(super) squares: f64,
}

/// The equations under given switch positions.
#[derive(Clone, Debug)]
pub(super) struct System {
    pub(super) plan: Arc<Plan>,
    pub(super) entries: Vec<Entry>,
    pub(super) diagonal: Vec<Complex>,
    /// What each row adds up to: what flows off where all voltages are one.
    pub(super) row_sum: Vec<Complex>,
    /// True if some admittances are so large that currents have to be summed over differences of
    /// voltages: in a sum of large terms that cancel, their rounding would be power from nowhere.
    pub(super) stiff: bool,
    /// The mismatch that rounding makes at each place at nominal voltage, per unit.
    rounding: Vec<f64>,
    /// The largest of them; it may be one of an earlier switch position.
    rounding_most: f64,
    pub(super) kind: Vec<Kind>,
    /// Where a voltage or a magnitude is given: it. Else 1.
    pub(super) set: Vec<Complex>,
    /// Constant power into each place.
    pub(super) constant: Vec<Complex>,
    /// Power into each place at the state that was last asked for.
    pub(super) s: Vec<Complex>,
    pub(super) follows: Vec<Follows>,
    shunt_of_bus: Vec<Complex>,
}

impl System {
    /// The equations of a model.
    pub(super) fn new(model: &Model, topology: &Topology, plan: Arc<Plan>) -> System {
        let rows = plan.pattern.rows();
        let mut shunt_of_bus = vec![Complex::ZERO; model.bus_kv.len()];
        for &(bus, y) in &model.shunts {
            shunt_of_bus[bus] += y;
        }
        let mut system = System {
            entries: plan.blank.clone(),
            plan,
            diagonal: vec![Complex::ZERO; rows],
            row_sum: vec![Complex::ZERO; rows],
            stiff: false,
            rounding: vec![0.0; rows],
            rounding_most: 0.0,
            kind: vec![Kind::Power; rows],
            set: vec![Complex::ONE; rows],
            constant: vec![Complex::ZERO; rows],
            s: vec![Complex::ZERO; rows],
            follows: Vec::new(),
            shunt_of_bus,
        };
        for node in 0..rows {
            system.find_row(model, topology, node);
        }
        system
    }

    /// Sums the admittances at a node anew.
    pub(super) fn find_row(&mut self, model: &Model, topology: &Topology, node: usize) {
        let place = self.plan.pattern.place(node);
        for entry in &mut self.entries[self.plan.row(place)] {
            entry.y = Complex::ZERO;
        }
        let (mut own, mut sum, mut size) = (Complex::ZERO, Complex::ZERO, 0.0);
        for bus in topology.buses(node).filter(|&bus| model.bus_in_service[bus]) {
            own += self.shunt_of_bus[bus];
            sum += self.shunt_of_bus[bus];
            for branch in topology.branches_at(bus) {
                let [ff, ft, tf, tt] = topology.two_port(model, branch);
                let line = &model.branches[branch];
                if line.from == bus {
                    own += ff;
                    sum += ff + ft;
                    size += ff.abs() + ft.abs();
                    match self.plan.entry(branch, Side::From) {
                        Some(entry) => self.entries[entry].y += ft,
                        None => own += ft,
                    }
                }
                if line.to == bus {
                    own += tt;
                    sum += tt + tf;
                    size += tt.abs() + tf.abs();
                    match self.plan.entry(branch, Side::To) {
                        Some(entry) => self.entries[entry].y += tf,
                        None => own += tf,
                    }
                }
            }
        }
        self.diagonal[place] = own;
        self.row_sum[place] = sum;
        self.rounding[place] = ROUNDING * size;
        self.rounding_most = self.rounding_most.max(self.rounding[place]);
        self.stiff |= self.rounding[place] > STIFF_PU;
    }

    /// Finds what each node holds. A source beats a machine, the first of its kind its others;
    /// `freed` are the injections that hold their reactive power at a limit instead.
    pub(super) fn find_kinds(&mut self, model: &Model, topology: &Topology, freed: &[Option<f64>]) {
        self.set.fill(Complex::ONE);
        for node in 0..topology.nodes() {
            let live = topology.energised(node);
            self.kind[self.plan.pattern.place(node)] = if live { Kind::Power } else { Kind::Dead };
        }
        for (i, injection) in model.injections.iter().enumerate() {
            if !injection.in_service || !model.bus_in_service[injection.bus] {
                continue;
            }
            let place = self.plan.pattern.place(topology.node(injection.bus));
            match (injection.holds, self.kind[place]) {
                (Holds::Voltage(v), Kind::Power | Kind::Magnitude) => {
                    self.kind[place] = Kind::Voltage;
                    self.set[place] = v;
                }
                (Holds::Magnitude(vm), Kind::Power) if freed[i].is_none() => {
                    self.kind[place] = Kind::Magnitude;
                    self.set[place] = Complex::new(vm, 0.0);
                }
                _ => {}
            }
        }
    }

    /// Sums what is injected at each node anew.
    pub(super) fn find_powers(
        &mut self,
        model: &Model,
        topology: &Topology,
        freed: &[Option<f64>],
    ) {
        self.constant.fill(Complex::ZERO);
        self.follows.clear();
        for (injection, freed) in model.injections.iter().zip(freed) {
            if !injection.in_service || !model.bus_in_service[injection.bus] {
                continue;
            }
            let place = self.plan.pattern.place(topology.node(injection.bus));
            match injection.holds {
                Holds::Power if injection.zip == Zip::POWER => self.constant[place] += injection.s,
                Holds::Power => {
                    let [constant, current, impedance] = shares(injection.s, injection.zip);
                    self.constant[place] += constant;
                    self.follows.push(Follows { place: place as u32, current, impedance });
                }
                Holds::Magnitude(_) => {
                    self.constant[place] += Complex::new(injection.s.re, freed.unwrap_or(0.0));
                }
                Holds::Voltage(_) => {}
            }
        }
        self.s.copy_from_slice(&self.constant);
    }

    /// Brings the power that follows voltages up to date.
    pub(super) fn follow(&mut self, v: &[Complex]) {
        for follows in &self.follows {
            let place = follows.place as usize;
            self.s[place] = self.constant[place];
        }
        for follows in &self.follows {
            let place = follows.place as usize;
            let square = v[place].norm_sqr();
            self.s[place] += follows.current.scale(square.sqrt()) + follows.impedance.scale(square);
        }
    }

    /// The current from a place into the network.
    #[inline]
    pub(super) fn current(&self, v: &[Complex], place: usize) -> Complex {
        if self.stiff {
            return self.current_of_differences(v, place);
        }
        let mut i = self.diagonal[place] * v[place];
        for entry in &self.entries[self.plan.row(place)] {
            i += entry.y * v[entry.column as usize];
        }
        i
    }

    /// As [`System::current`]: what flows in one end of a branch flows out at the other, to the
    /// last digit of the flow instead of the last digit of the admittance.
    fn current_of_differences(&self, v: &[Complex], place: usize) -> Complex {
        let own = v[place];
        let mut i = self.row_sum[place] * own;
        for entry in &self.entries[self.plan.row(place)] {
            i += entry.y * (v[entry.column as usize] - own);
        }
        i
    }

    /// True if no place is off by more than the tolerance and what rounding makes there.
    pub(super) fn settled(&self, now: Mismatch, x: &[[f64; 2]], tolerance_pu: f64) -> bool {
        now.squares.is_finite()
            && self.settles(now.largest, tolerance_pu, |place| {
                x[place][0].abs().max(x[place][1].abs())
            })
    }

    /// As [`System::settled`], with the largest mismatch and that of each place.
    pub(super) fn settles(
        &self,
        largest: f64,
        tolerance_pu: f64,
        of_place: impl Fn(usize) -> f64,
    ) -> bool {
        let mut places = self.rounding.iter().enumerate();
        largest <= tolerance_pu
            || largest <= tolerance_pu + self.rounding_most
                && places.all(|(place, rounding)| of_place(place) <= tolerance_pu + rounding)
    }

    /// The mismatch of a state, and into `x` what the equations are off.
    pub(super) fn mismatch(&mut self, v: &[Complex], x: &mut [[f64; 2]]) -> Mismatch {
        if !self.follows.is_empty() {
            self.follow(v);
        }
        let (mut largest, mut squares) = (0.0_f64, 0.0);
        for (place, x) in x.iter_mut().enumerate() {
            let off = self.s[place] - v[place] * self.current(v, place).conj();
            *x = residual(self.kind[place], off);
            largest = largest.max(x[0].abs()).max(x[1].abs());
            squares += x[0] * x[0] + x[1] * x[1];
        }
        Mismatch { largest, squares }
    }

    /// The mismatch of a state and the Jacobian there.
    pub(super) fn assemble(
        &mut self,
        v: &[Complex],
        x: &mut [[f64; 2]],
        blocks: &mut [Square],
    ) -> Mismatch {
        if !self.follows.is_empty() {
            self.follow(v);
        }
        for &fill in &self.plan.fill {
            blocks[fill as usize] = [[0.0; 2]; 2];
        }
        let (mut largest, mut squares) = (0.0_f64, 0.0);
        for (place, x) in x.iter_mut().enumerate() {
            let off = self.s[place] - self.assemble_row(v, place, blocks);
            *x = residual(self.kind[place], off);
            largest = largest.max(x[0].abs()).max(x[1].abs());
            squares += x[0] * x[0] + x[1] * x[1];
        }
        self.assemble_follows(v, blocks);
        Mismatch { largest, squares }
    }

    /// The row of a place; gives the power that flows from it into the network.
    #[inline]
    fn assemble_row(&self, v: &[Complex], place: usize, blocks: &mut [Square]) -> Complex {
        let own = v[place];
        let t = (self.diagonal[place].conj()).scale(own.norm_sqr());
        let entries = &self.entries[self.plan.row(place)];
        let mut s = t;
        let diagonal = self.plan.pattern.diagonal(place);
        match self.kind[place] {
            Kind::Power => {
                for entry in entries {
                    let t = own * (entry.y * v[entry.column as usize]).conj();
                    s += t;
                    blocks[entry.block as usize] = [[t.im, t.re], [-t.re, t.im]];
                }
                blocks[diagonal] = [[t.im - s.im, t.re + s.re], [s.re - t.re, t.im + s.im]];
            }
            Kind::Magnitude => {
                for entry in entries {
                    let t = own * (entry.y * v[entry.column as usize]).conj();
                    s += t;
                    blocks[entry.block as usize] = [[t.im, t.re], [0.0, 0.0]];
                }
                blocks[diagonal] = [[t.im - s.im, t.re + s.re], [0.0, 1.0]];
            }
            Kind::Voltage | Kind::Dead => {
                for entry in entries {
                    blocks[entry.block as usize] = [[0.0; 2]; 2];
                }
                blocks[diagonal] = [[1.0, 0.0], [0.0, 1.0]];
            }
        }
        if self.stiff { own * self.current_of_differences(v, place).conj() } else { s }
    }

    /// What the power that follows voltages does to the Jacobian.
    fn assemble_follows(&self, v: &[Complex], blocks: &mut [Square]) {
        for follows in &self.follows {
            let place = follows.place as usize;
            let square = v[place].norm_sqr();
            let slope =
                follows.current.scale(square.sqrt()) + follows.impedance.scale(2.0 * square);
            let own = &mut blocks[self.plan.pattern.diagonal(place)];
            if matches!(self.kind[place], Kind::Power | Kind::Magnitude) {
                own[0][1] -= slope.re;
            }
            if self.kind[place] == Kind::Power {
                own[1][1] -= slope.im;
            }
        }
    }
}

/// What is to vanish at a place.
#[inline]
fn residual(kind: Kind, off: Complex) -> [f64; 2] {
    match kind {
        Kind::Power => [off.re, off.im],
        Kind::Magnitude => [off.re, 0.0],
        Kind::Voltage | Kind::Dead => [0.0; 2],
    }
}

/// A power's shares of constant power, constant current and constant impedance.
pub(super) fn shares(s: Complex, zip: Zip) -> [Complex; 3] {
    let (pz, pi) = (zip.p_impedance, zip.p_current);
    let (qz, qi) = (zip.q_impedance, zip.q_current);
    [
        Complex::new(s.re * (1.0 - pz - pi), s.im * (1.0 - qz - qi)),
        Complex::new(s.re * pi, s.im * qi),
        Complex::new(s.re * pz, s.im * qz),
    ]
}
