//! Nodes and what stands at them: shunts, sources, loads, generators.
//!
//! Signs turn here: the format counts what an appliance draws, a network what it injects. A source
//! is a voltage behind the impedance of its short-circuit power.

use grid::network::Bus;
use grid::network::BusIndex;
use grid::network::Control;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Severity;
use grid::network::Shunt;
use grid::network::Zip;

use super::BASE_MVA;
use super::Component;
use super::Object;
use super::Outcome;
use super::Reader;
use super::row::Row;

/// Short-circuit power in VA of a source that gives none (the library's default).
const SOURCE_SK_VA: f64 = 1e10;

/// An impedance in per unit below which a source is stiff: a thousand MVA over it move the voltage
/// by 1e-6 per unit, while its admittance leaves a power flow no digits for anything else.
const STIFF_PU: f64 = 1e-9;

/// Its ratio of resistance to reactance.
const SOURCE_RX_RATIO: f64 = 0.1;

pub(super) const NODE: Component = Component { name: "node", read: &["id", "u_rated"], row: node };

pub(super) const SHUNT: Component =
    Component { name: "shunt", read: &["id", "node", "status", "g1", "b1"], row: shunt };

pub(super) const SOURCE: Component = Component {
    name: "source",
    read: &["id", "node", "status", "u_ref", "u_ref_angle", "sk", "rx_ratio"],
    row: source,
};

const LOAD: &[&str] = &["id", "node", "status", "type", "p_specified", "q_specified"];

pub(super) const SYM_LOAD: Component = Component {
    name: "sym_load",
    read: LOAD,
    row: |reader, row| reader.power(row, InjectionClass::Load, Phases::Balanced),
};

pub(super) const SYM_GEN: Component = Component {
    name: "sym_gen",
    read: LOAD,
    row: |reader, row| reader.power(row, InjectionClass::StaticGenerator, Phases::Balanced),
};

pub(super) const ASYM_LOAD: Component = Component {
    name: "asym_load",
    read: LOAD,
    row: |reader, row| reader.power(row, InjectionClass::Load, Phases::Apart),
};

pub(super) const ASYM_GEN: Component = Component {
    name: "asym_gen",
    read: LOAD,
    row: |reader, row| reader.power(row, InjectionClass::StaticGenerator, Phases::Apart),
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phases {
    Balanced,
    Apart,
}

fn node(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let nominal_kv = row.above_zero("u_rated")? / 1e3;
    let bus = reader.import.network.buses.len();
    let id = reader.enter(row, Object::Node(bus))?;
    let bus = Bus { id, name: String::new(), nominal_kv, in_service: true };
    reader.import.network.buses.push(bus);
    Ok(())
}

/// Siemens times the square of kV are MW, and a capacitor's susceptance brings Mvar in.
fn shunt(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let bus = reader.node(row, "node")?;
    let square = reader.kv(bus) * reader.kv(bus);
    let (g, b) = (row.need("g1")?, row.need("b1")?);
    let in_service = row.status("status")?;
    let id = reader.enter(row, Object::Shunt)?;
    reader.import.network.shunts.push(Shunt {
        id,
        name: String::new(),
        bus,
        p_mw_at_1pu: g * square,
        q_mvar_at_1pu: -b * square,
        in_service,
    });
    Ok(())
}

/// A voltage behind `z = base / sk`, split by the ratio of resistance to reactance.
fn source(reader: &mut Reader, row: &Row<'_>) -> Outcome {
    let bus = BusIndex(reader.node(row, "node")?);
    let vm_pu = row.above_zero("u_ref")?;
    let va_deg = row.or("u_ref_angle", 0.0)?.to_degrees();
    let (sk, ratio) = (row.or("sk", SOURCE_SK_VA)?, row.or("rx_ratio", SOURCE_RX_RATIO)?);
    if sk.is_nan() || sk <= 0.0 {
        return Err(format!("is left out: sk is {sk} and must be above zero"));
    }
    let z = BASE_MVA * 1e6 / sk;
    let x = z / 1.0_f64.hypot(ratio);
    let impedance_pu = (z >= STIFF_PU).then_some((x * ratio, x));
    let in_service = row.status("status")?;
    let id = reader.enter(row, Object::Source(reader.import.network.injections.len()))?;
    if impedance_pu.is_none() {
        let problem = format!("has a short-circuit power of {sk:e} VA: it is taken for stiff");
        reader.import.remark(Severity::Note, row.place(), row.element(), problem);
    }
    reader.import.network.injections.push(Injection {
        id,
        name: String::new(),
        class: InjectionClass::Source,
        bus,
        control: Control::Slack { vm_pu, va_deg, impedance_pu },
        p_mw: 0.0,
        q_mvar: 0.0,
        zip: Zip::POWER,
        q_limits_mvar: None,
        in_service,
    });
    Ok(())
}

impl Reader {
    /// A load or generator.
    fn power(&mut self, row: &Row<'_>, class: InjectionClass, phases: Phases) -> Outcome {
        let bus = BusIndex(self.node(row, "node")?);
        let zip = zip(row)?;
        let (p, q) = match phases {
            Phases::Balanced => {
                (self.specified(row, "p_specified")?, self.specified(row, "q_specified")?)
            }
            Phases::Apart => (row.phases("p_specified")?, row.phases("q_specified")?),
        };
        let in_service = row.status("status")?;
        let index = self.import.network.injections.len();
        let load = class == InjectionClass::Load;
        let object = if load { Object::Load(index) } else { Object::Generator(index) };
        let id = self.enter(row, object)?;
        if phases == Phases::Apart {
            let problem = "has a power for each phase: their total is taken, in balance";
            self.import.remark(Severity::Warning, row.place(), row.element(), problem);
        }
        let sign = if load { -1e-6 } else { 1e-6 };
        self.import.network.injections.push(Injection {
            id,
            name: String::new(),
            class,
            bus,
            control: Control::Power,
            p_mw: sign * p,
            q_mvar: sign * q,
            zip,
            q_limits_mvar: None,
            in_service,
        });
        Ok(())
    }

    /// A specified power: none is given in a file that is meant for state estimation.
    fn specified(&mut self, row: &Row<'_>, name: &str) -> Result<f64, String> {
        if let Some(value) = row.number(name)? {
            return Ok(value);
        }
        let problem = format!("has no {name}: 0 is taken, which matters to a power flow only");
        self.import.remark(Severity::Warning, row.place(), row.element(), problem);
        Ok(0.0)
    }
}

/// How a load follows the voltage.
fn zip(row: &Row<'_>) -> Result<Zip, String> {
    match row.integer("type")? {
        0 => Ok(Zip::POWER),
        1 => Ok(Zip { p_impedance: 1.0, q_impedance: 1.0, ..Zip::POWER }),
        2 => Ok(Zip { p_current: 1.0, q_current: 1.0, ..Zip::POWER }),
        other => Err(format!(
            "is left out: type is {other}; known are 0 (power), 1 (impedance), 2 (current)"
        )),
    }
}
