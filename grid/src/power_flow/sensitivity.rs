//! What a little more power does: to voltages everywhere, and to flows.
//!
//! With the Jacobian `J` at a solution, a change `e` of what is injected at a node changes the
//! state by `J⁻¹ e` (J. Peschon, D. S. Piercy, W. F. Tinney, O. J. Tveit, *Sensitivity in power
//! systems*, IEEE Trans. PAS-87, 1968). A column costs one solve with the factor; flows follow by
//! the chain rule. Loads that follow the voltage do so here, too; machines keep holding what they
//! hold, and the sources take up the difference.

use crate::complex::Complex;
use crate::power_flow::PowerFlow;
use crate::power_flow::system::Kind;

/// Which power changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// Active power.
    Active,
    /// Reactive power.
    Reactive,
}

/// Derivatives at the last solution.
#[derive(Clone, Copy, Debug)]
pub struct Sensitivities<'a> {
    flow: &'a PowerFlow,
}

/// How the state answers to power at one bus, by place.
#[derive(Clone, Debug)]
pub struct Column {
    /// Angle in radians and logarithm of the magnitude, per unit of power.
    x: Vec<[f64; 2]>,
}

impl PowerFlow {
    /// Derivatives at the last solution; nothing where there is none, or where it stands at the
    /// point of collapse and has no derivative. The first call after a solve costs a factorisation.
    pub fn sensitivities(&mut self) -> Option<Sensitivities<'_>> {
        if !self.solved || !self.kinds_known || !self.system.kind.contains(&Kind::Voltage) {
            return None;
        }
        self.prepare();
        self.newton.refactor(&mut self.system);
        self.newton.factored.then_some(Sensitivities { flow: self })
    }
}

impl Sensitivities<'_> {
    /// How the state answers to more power into a bus, per unit. It does not where the bus is dead
    /// or held by a source, nor to reactive power where a machine holds the voltage.
    pub fn column(&self, bus: usize, injected: Injected) -> Column {
        let system = &self.flow.system;
        let mut x = vec![[0.0; 2]; system.plan.pattern.rows()];
        let place = self.flow.place(bus);
        let row = match (injected, system.kind[place]) {
            (Injected::Active, Kind::Power | Kind::Magnitude) => Some(0),
            (Injected::Reactive, Kind::Power) => Some(1),
            _ => None,
        };
        if let Some(row) = row.filter(|_| self.flow.energised(bus)) {
            x[place][row] = 1.0;
            system.plan.pattern.solve(&self.flow.newton.blocks, &mut x);
        }
        Column { x }
    }

    /// Derivative of the voltage magnitude at a bus, per unit over per unit.
    pub fn vm_pu(&self, column: &Column, bus: usize) -> f64 {
        self.flow.voltage(bus).abs() * column.x[self.flow.place(bus)][1]
    }

    /// Derivative of the voltage angle at a bus, in radians over per unit.
    pub fn va_rad(&self, column: &Column, bus: usize) -> f64 {
        column.x[self.flow.place(bus)][0]
    }

    /// Derivatives of the powers from the from bus and from the to bus into a branch.
    pub fn flows(&self, column: &Column, branch: usize) -> [Complex; 2] {
        let line = &self.flow.model.branches[branch];
        let [ff, ft, tf, tt] = self.flow.topology.two_port(&self.flow.model, branch);
        let (from, to) = (self.flow.voltage(line.from), self.flow.voltage(line.to));
        let moved = |v: Complex, bus: usize| {
            let [turn, stretch] = column.x[self.flow.place(bus)];
            v * Complex::new(stretch, turn)
        };
        let (d_from, d_to) = (moved(from, line.from), moved(to, line.to));
        let [i_from, i_to] = self.flow.currents(branch);
        [
            d_from * i_from.conj() + from * (ff * d_from + ft * d_to).conj(),
            d_to * i_to.conj() + to * (tf * d_from + tt * d_to).conj(),
        ]
    }
}
