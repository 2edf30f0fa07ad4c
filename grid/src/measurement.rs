//! Measurements: a quantity, where it was measured, its value, and how far it may be off.
//!
//! Everything is per unit of the network's bases by the time it is a [`Measurement`]: powers of
//! the power base, voltages of the bus's nominal voltage, currents of `s_base / (√3 v_nominal)`;
//! angles are radians. Signs follow the crate: an injection into a bus is positive, a flow from the
//! bus into the branch.

use crate::network::BranchIndex;
use crate::network::BusIndex;
use crate::network::InjectionIndex;
use crate::network::Network;
use crate::network::Side;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Voltage magnitude.
    VoltageMagnitude,
    /// Voltage angle against the common time reference (IEEE C37.118).
    VoltageAngle,
    /// Active power.
    ActivePower,
    /// Reactive power.
    ReactivePower,
    /// Current magnitude, without an angle.
    CurrentMagnitude,
    /// Current angle against the common time reference.
    CurrentAngle,
}

/// Where it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// At a bus: its voltage, or everything that is injected at it.
    Bus(BusIndex),
    /// At one load, machine or source.
    Injection(InjectionIndex),
    /// At an end of a branch. Behind the branches of a network come the windings of its
    /// three-winding transformers, three each, as the [model](crate::model) has them: between bus
    /// and star point.
    BranchEnd(BranchIndex, Side),
}

impl Target {
    /// The end at its bus of a winding, from 0, of a three-winding transformer.
    pub fn winding(network: &Network, transformer: usize, winding: usize) -> Target {
        let branch = BranchIndex(network.branches.len() + 3 * transformer + winding);
        // The star point is behind the first winding and before the others.
        Target::BranchEnd(branch, if winding == 0 { Side::From } else { Side::To })
    }

    /// The three-winding transformer and its winding, from 0, if it is at one.
    pub fn as_winding(self, network: &Network) -> Option<(usize, usize)> {
        let Target::BranchEnd(branch, _) = self else { return None };
        let at = branch.0.checked_sub(network.branches.len())?;
        Some((at / 3, at % 3))
    }

    /// The kind of element that it is at, its number, and how many there are of it. Windings count
    /// as the branches that they are in the model.
    pub(crate) fn place(self, network: &Network) -> (&'static str, usize, usize) {
        match self {
            Target::Bus(bus) => ("bus", bus.0, network.buses.len()),
            Target::Injection(at) => ("injection", at.0, network.injections.len()),
            Target::BranchEnd(branch, _) => {
                let windings = 3 * network.three_winding.len();
                ("branch", branch.0, network.branches.len() + windings)
            }
        }
    }

    /// The bus that it is at.
    pub fn bus(self, network: &Network) -> BusIndex {
        if let Some((transformer, winding)) = self.as_winding(network) {
            return network.three_winding[transformer].windings[winding].bus;
        }
        match self {
            Target::Bus(bus) => bus,
            Target::Injection(injection) => network.injections[injection.0].bus,
            Target::BranchEnd(branch, Side::From) => network.branches[branch.0].from,
            Target::BranchEnd(branch, Side::To) => network.branches[branch.0].to,
        }
    }
}

/// What a value is worth by where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A remote terminal unit.
    Scada,
    /// A meter.
    Meter,
    /// A phasor measurement unit.
    Pmu,
    /// A forecast or an allocated load that stands in for a measurement.
    Pseudo,
    /// An agreed angle that ties phases or islands to a reference.
    Reference,
}

/// One measured value, per unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Its identifier.
    pub id: String,
    /// Where it comes from.
    pub source: Source,
    /// What is measured.
    pub quantity: Quantity,
    /// Where.
    pub target: Target,
    /// The value.
    pub value: f64,
    /// Its standard deviation; above zero.
    pub sigma: f64,
}
