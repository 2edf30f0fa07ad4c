//! Sensors: what is measured, where, and how well.
//!
//! A sensor of this format holds two or more values; each becomes a measuring point of its own,
//! `30/p` and `30/q` of sensor 30. A sensor with a value is also a measurement.

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

use super::BASE_MVA;
use super::Component;
use super::Object;
use super::Outcome;
use super::Reader;
use super::row::Row;

pub(super) const VOLTAGE: Component = Component {
    name: "sym_voltage_sensor",
    read: &["id", "measured_object", "u_measured", "u_angle_measured", "u_sigma"],
    row: voltage,
};

pub(super) const POWER: Component = Component {
    name: "sym_power_sensor",
    read: &[
        "id",
        "measured_object",
        "measured_terminal_type",
        "p_measured",
        "q_measured",
        "p_sigma",
        "q_sigma",
        "power_sigma",
    ],
    row: power,
};

pub(super) const CURRENT: Component = Component {
    name: "sym_current_sensor",
    read: &[
        "id",
        "measured_object",
        "measured_terminal_type",
        "angle_measurement_type",
        "i_measured",
        "i_angle_measured",
        "i_sigma",
        "i_angle_sigma",
    ],
    row: current,
};

/// The terminals of the format that are read, by number.
const TERMINALS: [&str; 10] = [
    "branch_from",
    "branch_to",
    "source",
    "shunt",
    "load",
    "generator",
    "branch3_1",
    "branch3_2",
    "branch3_3",
    "node",
];

/// A measured voltage; its angle is as good as its magnitude, as the library has it.
fn voltage(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let bus = reader.node(row, "measured_object")?;
    let target = Target::Bus(BusIndex(bus));
    let volts = reader.kv(bus) * 1e3;
    let sigma = sigma(row, "u_sigma")?.map(|sigma| sigma / volts);
    let magnitude = row.number("u_measured")?.map(|value| value / volts);
    reader.point(row, "v_mag", Quantity::VoltageMagnitude, target, (magnitude, sigma));
    if let Some(angle) = row.number("u_angle_measured")? {
        let sigma = sigma.map(|sigma| sigma / magnitude.unwrap_or(1.0));
        reader.point(row, "v_ang", Quantity::VoltageAngle, target, (Some(angle), sigma));
    }
    Ok(())
}

/// A measured power. A sigma of the apparent power is shared by both, by halves of its square.
fn power(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let Some((target, sign)) = reader.terminal(row)? else { return Ok(()) };
    let apparent = sigma(row, "power_sigma")?.map(|sigma| sigma / 2.0_f64.sqrt());
    let (p_sigma, q_sigma) = match (sigma(row, "p_sigma")?, sigma(row, "q_sigma")?) {
        (Some(p), Some(q)) => (Some(p), Some(q)),
        (None, None) => (apparent, apparent),
        _ => return Err("is left out: one of p_sigma and q_sigma is missing".to_owned()),
    };
    let base = BASE_MVA * 1e6;
    let pu = |value: Option<f64>| value.map(|value| sign * value / base);
    let p = (pu(row.number("p_measured")?), p_sigma.map(|sigma| sigma / base));
    let q = (pu(row.number("q_measured")?), q_sigma.map(|sigma| sigma / base));
    reader.point(row, "p", Quantity::ActivePower, target, p);
    reader.point(row, "q", Quantity::ReactivePower, target, q);
    Ok(())
}

fn current(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let Some((target, _)) = reader.terminal(row)? else { return Ok(()) };
    if !matches!(target, Target::BranchEnd(..)) {
        return Err("is left out: a current is measured at an end of a branch".to_owned());
    }
    let bus = target.bus(&reader.import.network);
    let base = base_ka(BASE_MVA, reader.kv(bus.0)) * 1e3;
    let pu = |value: Option<f64>| value.map(|value| value / base);
    let magnitude = (pu(row.number("i_measured")?), pu(sigma(row, "i_sigma")?));
    reader.point(row, "i_mag", Quantity::CurrentMagnitude, target, magnitude);
    let Some(angle) = row.number("i_angle_measured")? else { return Ok(()) };
    if row.integer("angle_measurement_type")? == 1 {
        let angle = (Some(angle), sigma(row, "i_angle_sigma")?);
        reader.point(row, "i_ang", Quantity::CurrentAngle, target, angle);
    } else {
        let problem = "has an angle against the local voltage: only its magnitude is read";
        reader.import.remark(Severity::Warning, row.place(), row.element(), problem);
    }
    Ok(())
}

/// A standard deviation, if it is given.
fn sigma(row: &Row<'_>, name: &str) -> Result<Option<f64>, String> {
    match row.number(name)? {
        Some(sigma) if sigma.is_nan() || sigma <= 0.0 => {
            Err(format!("is left out: {name} is {sigma} and must be above zero"))
        }
        given => Ok(given),
    }
}

impl Reader {
    /// Where a sensor of powers or currents measures, and the sign that makes a power one into the
    /// bus or, at an end of a branch, out of it; nothing where there is no such measuring point.
    fn terminal(&mut self, row: &Row<'_>) -> Result<Option<(Target, f64)>, String> {
        let number = row.integer("measured_terminal_type")?;
        let terminal = usize::try_from(number).ok().and_then(|number| TERMINALS.get(number));
        let Some(terminal) = terminal else {
            return Err(format!("is left out: measured_terminal_type {number} is not known"));
        };
        let id = row.integer("measured_object")?;
        let object = self.objects.get(&id).copied();
        let at = |index: usize| Target::Injection(InjectionIndex(index));
        let end = |branch: usize, side: Side| Target::BranchEnd(BranchIndex(branch), side);
        let winding = |of: usize, at: usize| Target::winding(&self.import.network, of, at);
        let found = match (*terminal, object) {
            ("branch_from", Some(Object::Branch(branch))) => (end(branch, Side::From), 1.0),
            ("branch_to", Some(Object::Branch(branch))) => (end(branch, Side::To), 1.0),
            ("source", Some(Object::Source(index))) => (at(index), 1.0),
            ("generator", Some(Object::Generator(index))) => (at(index), 1.0),
            ("load", Some(Object::Load(index))) => (at(index), -1.0),
            ("node", Some(Object::Node(bus))) => (Target::Bus(BusIndex(bus)), 1.0),
            ("shunt", Some(Object::Shunt)) => return self.no_point(row, "a shunt"),
            ("branch3_1", Some(Object::ThreeWinding(of))) => (winding(of, 0), 1.0),
            ("branch3_2", Some(Object::ThreeWinding(of))) => (winding(of, 1), 1.0),
            ("branch3_3", Some(Object::ThreeWinding(of))) => (winding(of, 2), 1.0),
            ("branch_from" | "branch_to", Some(Object::Link)) => {
                return self.no_point(row, "a link");
            }
            (_, None) if self.left_out.contains(&id) => {
                return self.no_point(row, "a component that is left out");
            }
            (_, None) => {
                return Err(format!("is left out: measured_object is {id}, and there is none"));
            }
            (terminal, Some(_)) => {
                return Err(format!("is left out: it measures a {terminal}, and {id} is none"));
            }
        };
        Ok(Some(found))
    }

    fn no_point<T>(&mut self, row: &Row<'_>, what: &str) -> Result<Option<T>, String> {
        let problem = format!("is left out: it is at {what}, where there is no measuring point");
        self.import.remark(Severity::Warning, row.place(), row.element(), problem);
        Ok(None)
    }

    /// Enters one quantity of a sensor: value and standard deviation per unit.
    fn point(
        &mut self,
        row: &Row<'_>,
        what: &str,
        quantity: Quantity,
        target: Target,
        (value, sigma): (Option<f64>, Option<f64>),
    ) {
        let id = row.integer("id").map_or_else(|_| what.to_owned(), |id| format!("{id}/{what}"));
        let Some(sigma_pu) = sigma.filter(|sigma| sigma.is_finite()) else {
            let problem = format!("measures {what} without a finite sigma: that is left out");
            self.import.remark(Severity::Warning, row.place(), row.element(), problem);
            return;
        };
        if let Some(value) = value {
            let id = id.clone();
            let source = Source::Scada;
            let measurement = Measurement { id, source, quantity, target, value, sigma: sigma_pu };
            self.import.measurements.push(measurement);
        }
        let sensor =
            Sensor { id, name: String::new(), quantity, target, value_pu: value, sigma_pu };
        self.import.network.sensors.push(sensor);
    }
}
