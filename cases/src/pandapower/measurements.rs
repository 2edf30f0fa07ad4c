//! The table of measurements.
//!
//! Powers at buses and of loads count consumption as positive (since format 2.4; injection at buses
//! before), flows from the bus into the branch, generators what they generate. Units are MW, Mvar,
//! kA, per unit and degrees.

use grid::measurement::Measurement;
use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::measurement::Target;
use grid::network::BranchIndex;
use grid::network::BusIndex;
use grid::network::InjectionIndex;
use grid::network::Sensor;
use grid::network::Severity;
use grid::network::Side;
use grid::per_unit::base_ka;

use crate::pandapower::Builder;
use crate::pandapower::Record;

impl Builder {
    pub(super) fn add_measurements(&mut self) {
        self.each("measurement", |to, record| match to.measurement(record) {
            Ok(measurement) => {
                to.import.network.sensors.push(Sensor {
                    id: measurement.id.clone(),
                    name: record.name(),
                    quantity: measurement.quantity,
                    target: measurement.target,
                    value_pu: Some(measurement.value),
                    sigma_pu: measurement.sigma,
                });
                to.import.measurements.push(measurement);
            }
            Err(problem) => {
                let problem = format!("{problem}; it is left out");
                record.say(Severity::Warning, problem, &mut to.import);
            }
        });
    }

    fn measurement(&self, record: Record<'_>) -> Result<Measurement, String> {
        let quantity = match record.text("measurement_type") {
            "v" => Quantity::VoltageMagnitude,
            "va" => Quantity::VoltageAngle,
            "p" => Quantity::ActivePower,
            "q" => Quantity::ReactivePower,
            "i" => Quantity::CurrentMagnitude,
            "ia" => Quantity::CurrentAngle,
            other => return Err(format!("measures {other:?}, which is not known")),
        };
        let (target, bus) = self.target(record)?;
        let at_bus = matches!(target, Target::Bus(_));
        let fits = match quantity {
            Quantity::VoltageMagnitude | Quantity::VoltageAngle => at_bus,
            Quantity::CurrentMagnitude | Quantity::CurrentAngle => {
                matches!(target, Target::BranchEnd(..))
            }
            Quantity::ActivePower | Quantity::ReactivePower => true,
        };
        if !fits {
            let (kind, element) = (record.text("measurement_type"), record.text("element_type"));
            return Err(format!("measures {kind} at a {element}, where there is none"));
        }
        let network = &self.import.network;
        let scale = match quantity {
            Quantity::VoltageMagnitude => 1.0,
            Quantity::VoltageAngle | Quantity::CurrentAngle => 1.0_f64.to_radians(),
            Quantity::ActivePower | Quantity::ReactivePower => 1.0 / network.base_mva,
            Quantity::CurrentMagnitude => {
                1.0 / base_ka(network.base_mva, network.buses[bus.0].nominal_kv)
            }
        };
        let (value, sigma) = (record.number("value"), record.number("std_dev"));
        let value = value.ok_or("has no value")?;
        let sigma = sigma.filter(|&sigma| sigma > 0.0).ok_or("has no std_dev above zero")?;
        Ok(Measurement {
            id: format!("M{}", record.index()),
            source: Source::Scada,
            quantity,
            target,
            value: value * scale * self.sign(record, quantity),
            sigma: sigma * scale,
        })
    }

    /// What turns a value into one by the crate's signs.
    fn sign(&self, record: Record<'_>, quantity: Quantity) -> f64 {
        let power = matches!(quantity, Quantity::ActivePower | Quantity::ReactivePower);
        let consumes = match record.text("element_type") {
            "bus" => self.options.format >= (2, 4),
            "load" | "ward" | "xward" | "storage" | "motor" => true,
            _ => false,
        };
        if power && consumes { -1.0 } else { 1.0 }
    }

    /// Where it is measured, and the bus whose bases count.
    fn target(&self, record: Record<'_>) -> Result<(Target, BusIndex), String> {
        let table = record.text("element_type");
        let label = record.integer("element").ok_or("names no element")?;
        let missing = || format!("is at {label} of table {table}, which is not there");
        let network = &self.import.network;
        match table {
            "bus" => {
                let bus = BusIndex(*self.buses.get(&label).ok_or_else(missing)?);
                Ok((Target::Bus(bus), bus))
            }
            "line" | "trafo" | "impedance" => {
                let labels = self.branches.get(table);
                let at = labels.and_then(|labels| labels.get(&label)).ok_or_else(missing)?;
                let branch = &network.branches[*at];
                let side = self.side(record, branch.from, branch.to)?;
                let bus = if side == Side::From { branch.from } else { branch.to };
                Ok((Target::BranchEnd(BranchIndex(*at), side), bus))
            }
            "trafo3w" => {
                let of = *self.three_winding.get(&label).ok_or_else(missing)?;
                let winding = self.winding(record, of)?;
                let bus = network.three_winding[of].windings[winding].bus;
                Ok((Target::winding(network, of, winding), bus))
            }
            "load" | "sgen" | "gen" | "ext_grid" | "storage" | "motor" | "asymmetric_load"
            | "asymmetric_sgen" => {
                let labels = self.injections.get(table);
                let at = labels.and_then(|labels| labels.get(&label)).ok_or_else(missing)?;
                let bus = network.injections[*at].bus;
                Ok((Target::Injection(InjectionIndex(*at)), bus))
            }
            other => Err(format!("is at a {other}, which has no measuring point here")),
        }
    }

    /// A winding by its name or by the label of its bus.
    fn winding(&self, record: Record<'_>, of: usize) -> Result<usize, String> {
        let named = ["hv", "mv", "lv"].iter().position(|name| *name == record.text("side"));
        let bus = record.integer("side").and_then(|label| self.buses.get(&label).copied());
        let windings = self.import.network.three_winding[of].windings.iter();
        let at_bus = || windings.map(|winding| Some(winding.bus.0)).position(|at| at == bus);
        named.or_else(|| bus.and_then(|_| at_bus())).ok_or("names no winding".to_owned())
    }

    /// A side by its name or by the label of its bus.
    fn side(&self, record: Record<'_>, from: BusIndex, to: BusIndex) -> Result<Side, String> {
        match record.text("side") {
            "from" | "hv" => return Ok(Side::From),
            "to" | "lv" => return Ok(Side::To),
            _ => {}
        }
        let bus = record.integer("side").and_then(|label| self.buses.get(&label).copied());
        match bus.map(BusIndex) {
            Some(bus) if bus == from => Ok(Side::From),
            Some(bus) if bus == to => Ok(Side::To),
            _ => Err("names no side of its branch".to_owned()),
        }
    }
}
