//! What a solution says: voltages, flows, loading, what machines and sources give, losses.
//!
//! All of it is computed from the voltages when it is asked for; a solve computes none of it.

use crate::complex::Complex;
use crate::model::Holds;
use crate::model::ModelInjection;
use crate::power_flow::PowerFlow;
use crate::power_flow::system::Kind;
use crate::power_flow::system::shares;

impl PowerFlow {
    /// True if a bus is connected with a source.
    pub fn energised(&self, bus: usize) -> bool {
        self.topology.energised(self.topology.node(bus)) && self.model.bus_in_service[bus]
    }

    /// The voltage at a bus, per unit of its nominal one; zero where dead.
    pub fn voltage(&self, bus: usize) -> Complex {
        if self.energised(bus) { self.newton.v[self.place(bus)] } else { Complex::ZERO }
    }

    /// The voltages of all buses, per unit.
    pub fn voltages(&self) -> Vec<Complex> {
        (0..self.model.bus_kv.len()).map(|bus| self.voltage(bus)).collect()
    }

    /// Voltage magnitudes of all buses, per unit; zero where dead.
    pub fn vm_pu(&self) -> Vec<f64> {
        (0..self.model.bus_kv.len()).map(|bus| self.voltage(bus).abs()).collect()
    }

    /// Voltage angles of all buses in radians, in (-π, π]; zero where dead.
    pub fn va_rad(&self) -> Vec<f64> {
        (0..self.model.bus_kv.len()).map(|bus| self.voltage(bus).arg()).collect()
    }

    /// Currents from the from bus and from the to bus into a branch, per unit.
    pub fn currents(&self, branch: usize) -> [Complex; 2] {
        let line = &self.model.branches[branch];
        let [ff, ft, tf, tt] = self.topology.two_port(&self.model, branch);
        let (from, to) = (self.voltage(line.from), self.voltage(line.to));
        [ff * from + ft * to, tf * from + tt * to]
    }

    /// Powers from the from bus and from the to bus into a branch, per unit; zero at an open end.
    pub fn flows(&self, branch: usize) -> [Complex; 2] {
        let line = &self.model.branches[branch];
        let [from, to] = self.currents(branch);
        [self.voltage(line.from) * from.conj(), self.voltage(line.to) * to.conj()]
    }

    /// The larger of the currents at a branch's ends as a share of what it is rated for; zero
    /// where it has no rating.
    pub fn loading(&self, branch: usize) -> f64 {
        let [from, to] = self.currents(branch);
        let [rated_from, rated_to] = self.model.branches[branch].rated;
        f64::max(from.abs() / rated_from, to.abs() / rated_to)
    }

    /// Active power that becomes heat in branches and shunts, per unit.
    pub fn losses_pu(&self) -> f64 {
        let branches = (0..self.model.branches.len()).map(|branch| {
            let [from, to] = self.flows(branch);
            from.re + to.re
        });
        let shunts = self.model.shunts.iter();
        let shunts = shunts.map(|&(bus, y)| y.re * self.voltage(bus).norm_sqr());
        branches.sum::<f64>() + shunts.sum::<f64>()
    }

    /// What an injection puts into its bus, per unit: what was set, followed to the voltage; of
    /// machines and sources, what the balance of their node asks of them. Zero where dead.
    ///
    /// Machines at one node share its reactive power in proportion to their ranges, in equal parts
    /// where a range is open; sources at one node share both powers in equal parts.
    pub fn power(&self, injection: usize) -> Complex {
        let own = &self.model.injections[injection];
        if !self.feeds(own) {
            return Complex::ZERO;
        }
        let held = self.system.kind[self.place(own.bus)];
        match own.holds {
            Holds::Power => self.followed(own),
            Holds::Magnitude(_) => {
                let q = match self.freed[injection] {
                    Some(q) => q,
                    None if held == Kind::Voltage => {
                        self.rest(own.bus).im / self.count(own.bus, |_| true)
                    }
                    None => self.share_of_range(injection),
                };
                Complex::new(own.s.re, q)
            }
            Holds::Voltage(_) => {
                let rest = self.rest(own.bus);
                let sources = self.count(own.bus, |holds| matches!(holds, Holds::Voltage(_)));
                Complex::new(rest.re / sources, rest.im / self.count(own.bus, |_| true))
            }
        }
    }

    /// What the machines at a bus's node that hold its voltage give together, per unit.
    pub(super) fn reactive_of_machines(&self, bus: usize) -> f64 {
        self.rest(bus).im
    }

    pub(super) fn place(&self, bus: usize) -> usize {
        self.system.plan.pattern.place(self.topology.node(bus))
    }

    fn feeds(&self, injection: &ModelInjection) -> bool {
        injection.in_service && self.energised(injection.bus)
    }

    /// Injections at a bus's node.
    fn at_node(&self, bus: usize) -> impl Iterator<Item = (usize, &ModelInjection)> + '_ {
        let node = self.topology.node(bus);
        let all = self.model.injections.iter().enumerate();
        all.filter(move |(_, i)| self.topology.node(i.bus) == node && self.feeds(i))
    }

    /// How many injections at a bus's node hold a voltage and are of a kind.
    fn count(&self, bus: usize, of: impl Fn(Holds) -> bool) -> f64 {
        let holding = self.at_node(bus).filter(|(i, _)| self.freed[*i].is_none());
        holding.filter(|(_, i)| i.holds != Holds::Power && of(i.holds)).count() as f64
    }

    /// What flows from a bus's node into the network less what its injections are known to give.
    fn rest(&self, bus: usize) -> Complex {
        let place = self.place(bus);
        let v = self.newton.v[place];
        let mut rest = v * self.system.current(&self.newton.v, place).conj();
        for (i, injection) in self.at_node(bus) {
            match injection.holds {
                Holds::Power => rest += -self.followed(injection),
                Holds::Magnitude(_) => {
                    let q = self.freed[i].unwrap_or(0.0);
                    rest += -Complex::new(injection.s.re, q);
                }
                Holds::Voltage(_) => {}
            }
        }
        rest
    }

    fn share_of_range(&self, injection: usize) -> f64 {
        let bus = self.model.injections[injection].bus;
        let machines = || {
            self.at_node(bus)
                .filter(|(i, machine)| machine.holds != Holds::Power && self.freed[*i].is_none())
        };
        let least: f64 = machines().map(|(_, machine)| machine.q_limits.0).sum();
        let range: f64 = machines().map(|(_, m)| m.q_limits.1 - m.q_limits.0).sum();
        let rest = self.rest(bus).im;
        if !(range.is_finite() && range > 0.0) {
            return rest / machines().count() as f64;
        }
        let (low, high) = self.model.injections[injection].q_limits;
        low + (rest - least) * (high - low) / range
    }

    /// Power that follows the voltage.
    fn followed(&self, injection: &ModelInjection) -> Complex {
        let square = self.voltage(injection.bus).norm_sqr();
        let [constant, current, impedance] = shares(injection.s, injection.zip);
        constant + current.scale(square.sqrt()) + impedance.scale(square)
    }
}
