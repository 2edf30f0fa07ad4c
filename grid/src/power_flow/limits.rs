//! Machines at their limits of reactive power.
//!
//! A machine that would have to give more than it can holds its limit instead of its voltage; when
//! the voltage then passes what it should be to the other side, it takes it up again. Machines at
//! one node act together, as they hold one voltage.

use std::collections::BTreeMap;

use crate::model::Holds;
use crate::power_flow::PowerFlow;
use crate::power_flow::Settings;
use crate::power_flow::newton::End;
use crate::power_flow::system::Kind;

/// Solutions in a row before the search for machines at their limits is given up.
const ROUNDS_MAX: usize = 30;

/// How often a machine may take its voltage up again in one solve; then its limit stands, or two
/// machines could take turns forever.
const RETURNS_MAX: usize = 3;

/// Reactive power beyond a limit, and voltage beyond a setpoint, that does not count, per unit.
const SLACK_PU: f64 = 1e-7;

impl PowerFlow {
    /// From a solution to one in which no machine is beyond its limits.
    pub(super) fn within_limits(&mut self, settings: &Settings) -> End {
        let mut returns: BTreeMap<usize, usize> = BTreeMap::new();
        for _ in 0..ROUNDS_MAX {
            let mut changed = false;
            for machines in self.machines_of_nodes().into_values() {
                changed |= self.free_or_hold(&machines, &mut returns);
            }
            if !changed {
                return End::Solved;
            }
            self.kinds_changed();
            self.prepare();
            match self.attempt(settings) {
                End::Solved => {}
                other => return other,
            }
        }
        End::Tired
    }

    /// Machines that hold a voltage, by the place of their node.
    fn machines_of_nodes(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut machines: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, injection) in self.model.injections.iter().enumerate() {
            let holds = matches!(injection.holds, Holds::Magnitude(_)) && injection.in_service;
            let place = self.place(injection.bus);
            let free = matches!(self.system.kind[place], Kind::Power | Kind::Magnitude);
            if holds && free && self.model.bus_in_service[injection.bus] {
                machines.entry(place).or_default().push(i);
            }
        }
        machines
    }

    /// Frees the machines of a node, or lets them hold their voltage again; true if either.
    fn free_or_hold(&mut self, machines: &[usize], returns: &mut BTreeMap<usize, usize>) -> bool {
        let first = machines[0];
        let limits = |i: usize| self.model.injections[i].q_limits;
        let least: f64 = machines.iter().map(|&i| limits(i).0).sum();
        let most: f64 = machines.iter().map(|&i| limits(i).1).sum();
        let Some(held) = self.freed[first] else {
            let given = self.reactive_of_machines(self.model.injections[first].bus);
            let at_most = given > most + SLACK_PU;
            if !at_most && given >= least - SLACK_PU {
                return false;
            }
            for &i in machines {
                let (low, high) = self.model.injections[i].q_limits;
                self.freed[i] = Some(if at_most { high } else { low });
            }
            return true;
        };
        let Holds::Magnitude(set) = self.model.injections[first].holds else { return false };
        let vm = self.voltage(self.model.injections[first].bus).abs();
        // Where both limits are one there is nothing to take up.
        let (low, high) = self.model.injections[first].q_limits;
        let back = (held >= high && vm > set + SLACK_PU) || (held <= low && vm < set - SLACK_PU);
        let count = returns.entry(first).or_default();
        if !back || low >= high || *count == RETURNS_MAX {
            return false;
        }
        *count += 1;
        machines.iter().for_each(|&i| self.freed[i] = None);
        true
    }
}
