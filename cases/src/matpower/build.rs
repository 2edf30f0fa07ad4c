//! From the tables of a case to a network.
//!
//! Columns are MATPOWER's (*MATPOWER User's Manual*, appendix B). What a row says that a network
//! cannot hold, or that is probably not meant, becomes a remark with the row's line.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::Bus;
use grid::network::BusIndex;
use grid::network::Control;
use grid::network::Impedance;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Network;
use grid::network::Parameters;
use grid::network::Severity;
use grid::network::Shunt;
use grid::network::Zip;

use super::Case;
use super::value::Matrix;
use crate::import::Import;

/// The base voltage in kV that is assumed where the file has none.
const ASSUMED_KV: f64 = 1.0;

/// How many buses are listed by number.
const LISTED: usize = 8;

/// What a bus is to MATPOWER's power flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Load,
    Voltage,
    Reference,
    Isolated,
}

/// A network that is being built.
struct Builder<'a> {
    case: &'a Case<'a>,

    import: Import,
    bus_of_number: BTreeMap<i64, usize>,
    types: Vec<Type>,
    /// What a bus holds: magnitude per unit, angle in degrees.
    set: Vec<(f64, f64)>,
    counts: BTreeMap<&'static str, usize>,
}

/// The network of a case.
pub(super) fn import(case: &Case<'_>) -> Import {
    let network = Network {
        name: case.name.clone(),
        // A case has no frequency, and nothing in it depends on one.
        frequency_hz: 50.0,
        base_mva: case.base_mva,
        ..Network::default()
    };
    let mut builder = Builder {
        case,
        import: Import { network, ..Import::default() },
        bus_of_number: BTreeMap::new(),
        types: Vec::new(),
        set: Vec::new(),
        counts: BTreeMap::new(),
    };
    builder.buses();
    builder.settle_types();
    builder.machines();
    builder.branches();
    builder.import
}

impl Builder<'_> {
    fn say(&mut self, severity: Severity, table: &Matrix, row: usize, of: &str, problem: String) {
        let place = self.case.place(table, row);
        self.import.remark(severity, place, of, problem);
    }

    /// The next identifier of a kind.
    fn count(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        format!("{kind}{}", *count - 1)
    }

    /// True if numbers of a row that must be finite are; says which are not.
    fn finite(&mut self, table: &Matrix, row: usize, of: &str, columns: &[(&str, usize)]) -> bool {
        let values = table.at(row);
        let wrong = columns.iter().find(|(_, column)| !values[*column].is_finite());
        if let Some((name, column)) = wrong {
            let problem = format!("is left out: its {name} is {}", values[*column]);
            self.say(Severity::Fatal, table, row, of, problem);
        }
        wrong.is_none()
    }

    fn buses(&mut self) {
        const NEEDED: [(&str, usize); 7] =
            [("type", 1), ("Pd", 2), ("Qd", 3), ("Gs", 4), ("Bs", 5), ("Va", 8), ("baseKV", 9)];
        let table = self.case.bus;
        let mut assumed = Vec::new();
        for row in 0..table.rows {
            let values = table.at(row);
            let of = format!("bus {}", values[0]);
            if !self.finite(table, row, &of, &NEEDED) {
                continue;
            }
            let number = values[0] as i64;
            if number as f64 != values[0] || self.bus_of_number.contains_key(&number) {
                let problem = "is left out: its number is not a whole one of its own".to_owned();
                self.say(Severity::Fatal, table, row, &of, problem);
                continue;
            }
            let kind = self.bus_type(row, &of, values[1]);
            let mut nominal_kv = values[9];
            if nominal_kv <= 0.0 {
                assumed.push(number.to_string());
                self.import.placeholders.insert(self.import.network.buses.len());
                nominal_kv = ASSUMED_KV;
            }
            let bus = self.import.network.buses.len();
            self.bus_of_number.insert(number, bus);
            self.types.push(kind);
            self.set.push((values[7], values[8]));
            self.import.network.buses.push(Bus {
                id: format!("B{number}"),
                name: number.to_string(),
                nominal_kv,
                in_service: kind != Type::Isolated,
            });
            self.demand(bus, values);
        }
        self.say_assumed_kv(&assumed);
    }

    fn bus_type(&mut self, row: usize, of: &str, number: f64) -> Type {
        match number {
            1.0 => Type::Load,
            2.0 => Type::Voltage,
            3.0 => Type::Reference,
            4.0 => Type::Isolated,
            _ => {
                let problem =
                    format!("has the type {number}, which is none; it is a load bus here");
                self.say(Severity::Warning, self.case.bus, row, of, problem);
                Type::Load
            }
        }
    }

    /// The load and the shunt of a bus.
    fn demand(&mut self, bus: usize, values: &[f64]) {
        let (pd, qd, gs, bs) = (values[2], values[3], values[4], values[5]);
        if pd != 0.0 || qd != 0.0 {
            let id = self.count("LD");
            let control = Control::Power;
            let load = injection(id, InjectionClass::Load, bus, control, (-pd, -qd));
            self.import.network.injections.push(load);
        }
        if gs != 0.0 || bs != 0.0 {
            let id = self.count("SH");
            self.import.network.shunts.push(Shunt {
                id,
                name: String::new(),
                bus,
                p_mw_at_1pu: gs,
                q_mvar_at_1pu: -bs,
                in_service: true,
            });
        }
    }

    fn say_assumed_kv(&mut self, numbers: &[String]) {
        if numbers.is_empty() {
            return;
        }
        let all = numbers.len() == self.import.network.buses.len();
        let mut of = format!("of bus {}", numbers[..numbers.len().min(LISTED)].join(", "));
        if numbers.len() > LISTED {
            of = format!("{of} and {} others", numbers.len() - LISTED);
        }
        let of = if all && numbers.len() > 1 { "of every bus" } else { of.as_str() };
        let problem = format!(
            "the base voltage {of} is not above zero: {ASSUMED_KV} kV is assumed; what is per unit \
             does not depend on it, kV, kA and ohm do and are not judged"
        );
        self.import.remark(Severity::Warning, self.case.file, "", problem);
    }

    /// Bus types as MATPOWER's `bustypes` has them: only machines in service hold a voltage.
    fn settle_types(&mut self) {
        let table = self.case.gens;
        let mut fed = BTreeSet::new();
        for row in 0..table.rows {
            let values = table.at(row);
            let bus = self.bus_of_number.get(&(values[0] as i64));
            if let Some(&bus) = bus.filter(|_| values[7] > 0.0) {
                fed.insert(bus);
                // Of several machines at a bus the last one's set point is MATPOWER's.
                let (before, _) = self.set[bus];
                let (vg, holds) = (values[5], self.types[bus]);
                let earlier = (0..row).any(|other| {
                    let other = table.at(other);
                    other[0] == values[0] && other[7] > 0.0
                });
                let several = earlier && before != vg;
                if several && matches!(holds, Type::Voltage | Type::Reference) {
                    let of = format!("machines at bus {}", values[0]);
                    let problem = format!("hold {before} and {vg} per unit: the last one counts");
                    self.say(Severity::Warning, table, row, &of, problem);
                }
                self.set[bus].0 = vg;
            }
        }
        for bus in 0..self.types.len() {
            let holds = matches!(self.types[bus], Type::Voltage | Type::Reference);
            if holds && !fed.contains(&bus) {
                self.types[bus] = Type::Load;
                let of = format!("bus {}", self.import.network.buses[bus].name);
                let problem = "holds its voltage without a machine in service: it is a load bus, \
                               as in MATPOWER";
                self.import.remark(Severity::Warning, self.case.file, of, problem);
            }
        }
        if !self.types.contains(&Type::Reference)
            && let Some(bus) = self.types.iter().position(|kind| *kind == Type::Voltage)
        {
            self.types[bus] = Type::Reference;
            let of = format!("bus {}", self.import.network.buses[bus].name);
            let problem = "is taken for the reference, which the case has not: it is the first bus \
                           that holds its voltage, as in MATPOWER";
            self.import.remark(Severity::Warning, self.case.file, of, problem);
        }
    }

    fn machines(&mut self) {
        const NEEDED: [(&str, usize); 4] = [("Pg", 1), ("Qg", 2), ("Vg", 5), ("status", 7)];
        let table = self.case.gens;
        let mut referred = BTreeSet::new();
        for row in 0..table.rows {
            let values = table.at(row);
            let of = format!("machine at bus {}", values[0]);
            let Some(&bus) = self.bus_of_number.get(&(values[0] as i64)) else {
                let problem = "is left out: there is no such bus".to_owned();
                self.say(Severity::Fatal, table, row, &of, problem);
                continue;
            };
            if !self.finite(table, row, &of, &NEEDED) {
                continue;
            }
            let in_service = values[7] > 0.0;
            let (vm_pu, va_deg) = self.set[bus];
            let first = in_service && referred.insert(bus);
            let (kind, class, control) = match self.types[bus] {
                Type::Reference if first => (
                    "EG",
                    InjectionClass::Source,
                    Control::Slack { vm_pu, va_deg, impedance_pu: None },
                ),
                // Others at the reference keep their power: the first one closes the balance.
                Type::Reference | Type::Load | Type::Isolated => {
                    ("SG", InjectionClass::StaticGenerator, Control::Power)
                }
                Type::Voltage => ("G", InjectionClass::Generator, Control::Voltage { vm_pu }),
            };
            let id = self.count(kind);
            let q_limits_mvar = self.reactive_limits(row, &of, values);
            self.import.network.injections.push(Injection {
                q_limits_mvar,
                in_service,
                ..injection(id, class, bus, control, (values[1], values[2]))
            });
        }
    }

    fn reactive_limits(&mut self, row: usize, of: &str, values: &[f64]) -> Option<(f64, f64)> {
        let (q_max, q_min) = (values[3], values[4]);
        if q_min <= q_max {
            return Some((q_min, q_max));
        }
        let problem =
            format!("has limits of reactive power {q_min} to {q_max}: they are passed over");
        self.say(Severity::Warning, self.case.gens, row, of, problem);
        None
    }

    fn branches(&mut self) {
        const NEEDED: [(&str, usize); 6] =
            [("r", 2), ("x", 3), ("b", 4), ("ratio", 8), ("angle", 9), ("status", 10)];
        let table = self.case.branch;
        for row in 0..table.rows {
            let values = table.at(row);
            let name = format!("{}-{}", values[0], values[1]);
            let of = format!("branch {name}");
            let end = |column: usize| self.bus_of_number.get(&(values[column] as i64)).copied();
            let (Some(from), Some(to)) = (end(0), end(1)) else {
                let problem = "is left out: there is no bus at one of its ends".to_owned();
                self.say(Severity::Fatal, table, row, &of, problem);
                continue;
            };
            if !self.finite(table, row, &of, &NEEDED) {
                continue;
            }
            let kv = |bus: usize| self.import.network.buses[bus].nominal_kv;
            let tap_ratio = if values[8] == 0.0 { 1.0 } else { values[8] };
            let line = tap_ratio == 1.0 && values[9] == 0.0 && kv(from) == kv(to);
            let rated_mva = Some(values[5]).filter(|mva| *mva > 0.0 && mva.is_finite());
            let impedance = Impedance {
                r_pu: values[2],
                x_pu: values[3],
                b_pu: values[4],
                tap_ratio,
                shift_deg: values[9],
                rated_ka: rated_mva.map(|mva| mva / (3.0_f64.sqrt() * kv(to))),
                ..Impedance::default()
            };
            let class = if line { BranchClass::Line } else { BranchClass::Transformer };
            let id = self.count(if line { "L" } else { "T" });
            self.import.network.branches.push(Branch {
                id,
                name,
                from: BusIndex(from),
                to: BusIndex(to),
                class,
                parameters: Parameters::Impedance(impedance),
                in_service: values[10] > 0.0,
            });
        }
    }
}

/// An injection in service, without limits.
fn injection(
    id: String,
    class: InjectionClass,
    bus: usize,
    control: Control,
    (p_mw, q_mvar): (f64, f64),
) -> Injection {
    Injection {
        id,
        name: String::new(),
        class,
        bus: BusIndex(bus),
        control,
        p_mw,
        q_mvar,
        zip: Zip::POWER,
        q_limits_mvar: None,
        in_service: true,
    }
}
