//! Loads, generators, sources, storage, wards.
//!
//! pandapower counts consumption as positive in its tables of loads, motors, storage and wards, and
//! generation in those of generators: here all of it is positive into the network.

use std::collections::BTreeMap;

use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::Bus;
use grid::network::BusIndex;
use grid::network::Control;
use grid::network::Impedance;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Parameters;
use grid::network::Severity;
use grid::network::Shunt;
use grid::network::Zip;
use grid::per_unit::base_ohm;

use crate::pandapower::Builder;
use crate::pandapower::Record;

impl Builder {
    fn add_injection(&mut self, table: &'static str, label: i64, injection: Injection) {
        let at = self.import.network.injections.len();
        self.injections.entry(table).or_default().insert(label, at);
        self.import.network.injections.push(injection);
    }

    pub(super) fn add_injections(&mut self) {
        self.add_powers("load", "LD", InjectionClass::Load, -1.0);
        self.add_powers("sgen", "SG", InjectionClass::StaticGenerator, 1.0);
        self.add_powers("storage", "ST", InjectionClass::Storage, -1.0);
        self.add_motors();
        self.add_asymmetric("asymmetric_load", "AL", InjectionClass::Load, -1.0);
        self.add_asymmetric("asymmetric_sgen", "AS", InjectionClass::StaticGenerator, 1.0);
        self.add_generators();
        self.add_sources();
        self.say_where_loads_are_mixed();
    }

    /// A table of fixed powers; `sign` turns its own into the network's.
    fn add_powers(&mut self, table: &'static str, prefix: &str, class: InjectionClass, sign: f64) {
        self.each(table, |to, record| {
            let bus = to.bus(record, "bus");
            let power = record.needs(["p_mw"], &mut to.import);
            let (Some(bus), Some([p_mw])) = (bus, power) else { return };
            let q_mvar = record.number_or("q_mvar", 0.0);
            let scale = sign * record.number_or("scaling", 1.0);
            let zip = if table == "load" { to.zip(record) } else { Zip::POWER };
            let sun = record.text("type").to_ascii_lowercase().contains("pv");
            let class = if class == InjectionClass::StaticGenerator && sun {
                InjectionClass::Photovoltaic
            } else {
                class
            };
            let injection = powers(record, prefix, class, bus, (p_mw * scale, q_mvar * scale), zip);
            to.add_injection(table, record.index(), injection);
        });
    }

    /// How a load follows the voltage. Before 3.0 one share was for both powers.
    fn zip(&mut self, record: Record<'_>) -> Zip {
        let share = |new: &str, old: &str| {
            record.number(new).or_else(|| record.number(old)).unwrap_or(0.0) / 100.0
        };
        let zip = Zip {
            p_impedance: share("const_z_p_percent", "const_z_percent"),
            p_current: share("const_i_p_percent", "const_i_percent"),
            q_impedance: share("const_z_q_percent", "const_z_percent"),
            q_current: share("const_i_q_percent", "const_i_percent"),
        };
        if zip != Zip::POWER && !self.options.voltage_dependent_loads {
            let problem = "user_pf_options make it one of constant power";
            record.say(Severity::Note, problem.to_owned(), &mut self.import);
            return Zip::POWER;
        }
        if zip.p_impedance + zip.p_current > 1.0 || zip.q_impedance + zip.q_current > 1.0 {
            let problem = "has shares of constant impedance and current above 100 percent";
            record.say(Severity::Warning, problem.to_owned(), &mut self.import);
        }
        zip
    }

    fn add_motors(&mut self) {
        self.each("motor", |to, record| {
            let bus = to.bus(record, "bus");
            let columns = ["pn_mech_mw", "efficiency_percent", "cos_phi", "loading_percent"];
            let numbers = record.needs(columns, &mut to.import);
            let (Some(bus), Some([mech, efficiency, cos, loading])) = (bus, numbers) else {
                return;
            };
            let scale = loading / 100.0 * record.number_or("scaling", 1.0);
            let p = mech / efficiency * 100.0 * scale;
            let q = ((p / cos).powi(2) - p * p).max(0.0).sqrt();
            let injection = powers(record, "MO", InjectionClass::Load, bus, (-p, -q), Zip::POWER);
            to.add_injection("motor", record.index(), injection);
        });
    }

    /// Loads by phase, as the balanced sum of their phases.
    fn add_asymmetric(
        &mut self,
        table: &'static str,
        prefix: &str,
        class: InjectionClass,
        sign: f64,
    ) {
        self.each(table, |to, record| {
            let Some(bus) = to.bus(record, "bus") else { return };
            let scale = sign * record.number_or("scaling", 1.0);
            let sum = |columns: [&str; 3]| {
                columns.iter().map(|column| record.number_or(column, 0.0)).sum::<f64>() * scale
            };
            let power =
                (sum(["p_a_mw", "p_b_mw", "p_c_mw"]), sum(["q_a_mvar", "q_b_mvar", "q_c_mvar"]));
            let problem = "has powers by phase: the network is balanced, so their sum is taken";
            record.say(Severity::Note, problem.to_owned(), &mut to.import);
            let injection = powers(record, prefix, class, bus, power, Zip::POWER);
            to.add_injection(table, record.index(), injection);
        });
    }

    fn add_generators(&mut self) {
        self.each("gen", |to, record| {
            let bus = to.bus(record, "bus");
            let numbers = record.needs(["p_mw", "vm_pu"], &mut to.import);
            let (Some(bus), Some([p_mw, vm_pu])) = (bus, numbers) else { return };
            let p_mw = p_mw * record.number_or("scaling", 1.0);
            let class = InjectionClass::Generator;
            let mut injection = powers(record, "G", class, bus, (p_mw, 0.0), Zip::POWER);
            injection.control = if record.flag("slack", false) {
                Control::Slack { vm_pu, va_deg: 0.0, impedance_pu: None }
            } else {
                Control::Voltage { vm_pu }
            };
            injection.q_limits_mvar = limits(record);
            to.add_injection("gen", record.index(), injection);
        });
    }

    fn add_sources(&mut self) {
        self.each("ext_grid", |to, record| {
            let bus = to.bus(record, "bus");
            let numbers = record.needs(["vm_pu"], &mut to.import);
            let (Some(bus), Some([vm_pu])) = (bus, numbers) else { return };
            let va_deg = record.number_or("va_degree", 0.0);
            let class = InjectionClass::Source;
            let mut injection = powers(record, "EG", class, bus, (0.0, 0.0), Zip::POWER);
            // Its short-circuit power is for short circuits: the power flow has it stiff.
            injection.control = Control::Slack { vm_pu, va_deg, impedance_pu: None };
            injection.q_limits_mvar = limits(record);
            to.add_injection("ext_grid", record.index(), injection);
        });
    }

    /// pandapower lets everything at a bus follow the unweighted mean of its loads' shares.
    fn say_where_loads_are_mixed(&mut self) {
        let mut at: BTreeMap<usize, Vec<&Injection>> = BTreeMap::new();
        let network = &self.import.network;
        let there =
            |injection: &&Injection| injection.in_service && injection.control == Control::Power;
        for injection in network.injections.iter().filter(there) {
            at.entry(injection.bus.0).or_default().push(injection);
        }
        let mixed: Vec<String> = at
            .iter()
            .filter(|(_, here)| here.iter().any(|injection| injection.zip != here[0].zip))
            .map(|(&bus, _)| network.buses[bus].id.clone())
            .collect();
        if !mixed.is_empty() {
            let problem = format!(
                "loads of different laws stand together at {}: each follows its own here, where \
                 pandapower gives all of them the mean",
                mixed.join(", ")
            );
            self.import.remark(Severity::Warning, "table load", "", problem);
        }
    }

    /// Wards: a load and a shunt; extended ones with a generator behind an impedance besides.
    pub(super) fn add_wards(&mut self) {
        for (table, prefix) in [("ward", "W"), ("xward", "XW")] {
            self.each(table, |to, record| {
                let Some(bus) = to.bus(record, "bus") else { return };
                let columns = ["ps_mw", "qs_mvar", "pz_mw", "qz_mvar"];
                let Some([ps, qs, pz, qz]) = record.needs(columns, &mut to.import) else { return };
                let class = InjectionClass::Load;
                let injection = powers(record, prefix, class, bus, (-ps, -qs), Zip::POWER);
                to.add_injection(table, record.index(), injection);
                to.import.network.shunts.push(Shunt {
                    id: format!("{prefix}{}", record.index()),
                    name: record.name(),
                    bus: bus.0,
                    p_mw_at_1pu: pz,
                    q_mvar_at_1pu: qz,
                    in_service: record.in_service(),
                });
                if table == "xward" {
                    to.add_inside(record, bus);
                }
            });
        }
    }

    /// The voltage inside an extended ward, at a bus of its own.
    fn add_inside(&mut self, record: Record<'_>, bus: BusIndex) {
        let columns = ["r_ohm", "x_ohm", "vm_pu"];
        let Some([r, x, vm_pu]) = record.needs(columns, &mut self.import) else { return };
        let network = &mut self.import.network;
        let nominal_kv = network.buses[bus.0].nominal_kv;
        let z = base_ohm(network.base_mva, nominal_kv);
        let (id, in_service) = (format!("XW{}", record.index()), record.in_service());
        let inside = BusIndex(network.buses.len());
        network.buses.push(Bus { id: id.clone(), name: String::new(), nominal_kv, in_service });
        let branch = Branch {
            id: id.clone(),
            name: String::new(),
            from: bus,
            to: inside,
            class: BranchClass::Impedance,
            parameters: Parameters::Impedance(Impedance {
                r_pu: r / z,
                x_pu: x / z,
                ..Impedance::default()
            }),
            in_service,
        };
        network.branches.push(branch);
        network.injections.push(Injection {
            id: format!("{id}.inside"),
            name: String::new(),
            class: InjectionClass::Generator,
            bus: inside,
            control: Control::Voltage { vm_pu },
            p_mw: 0.0,
            q_mvar: 0.0,
            zip: Zip::POWER,
            q_limits_mvar: None,
            in_service,
        });
        let problem = format!("has its inner voltage at a bus of its own, {id}");
        record.say(Severity::Note, problem, &mut self.import);
    }
}

/// An injection of fixed power, into the bus.
fn powers(
    record: Record<'_>,
    prefix: &str,
    class: InjectionClass,
    bus: BusIndex,
    (p_mw, q_mvar): (f64, f64),
    zip: Zip,
) -> Injection {
    Injection {
        id: format!("{prefix}{}", record.index()),
        name: record.name(),
        class,
        bus,
        control: Control::Power,
        p_mw,
        q_mvar,
        zip,
        q_limits_mvar: None,
        in_service: record.in_service(),
    }
}

/// Limits of reactive power; open where one is missing.
fn limits(record: Record<'_>) -> Option<(f64, f64)> {
    let (least, greatest) = (record.number("min_q_mvar"), record.number("max_q_mvar"));
    if least.is_none() && greatest.is_none() {
        return None;
    }
    Some((least.unwrap_or(f64::NEG_INFINITY), greatest.unwrap_or(f64::INFINITY)))
}
