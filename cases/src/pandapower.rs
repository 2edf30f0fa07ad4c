//! pandapower's JSON, as `to_json` writes it: format 2.0 to 3.x.
//!
//! A file is one object whose tables are pandas data frames in split orient. Identifiers are a
//! prefix for the table and the row's label: `B` bus, `L` line, `T` transformer, `TW` transformer
//! with three windings, `IMP` impedance, `LD` load, `SG` static generator, `G` generator, `EG`
//! external grid, `ST` storage, `MO` motor, `AL` and `AS` asymmetric load and static generator,
//! `W` ward, `XW` extended ward, `SH` shunt, `S` switch, `M` measurement.
//!
//! The network is the one that pandapower's power flow sees (`build_branch.py`, `build_bus.py` and
//! `build_gen.py` of version 3.5.6): transformers as T or π as `user_pf_options` say (T otherwise),
//! wards and extended wards as shunts, injections and a generator behind an impedance. What differs
//! or cannot be expressed is a remark with its table and row:
//!
//! - *fatal* where an element had to be left out (direct-current lines, converters, …);
//! - *warning* where it is taken otherwise than pandapower would (controllers that are not run);
//! - *note* for what does not change the solution.

mod branches;
mod frame;
mod injections;
mod measurements;
mod switches;
mod transformers;

use std::collections::BTreeMap;
use std::path::Path;

use grid::Network;
use grid::network::Bus;
use grid::network::BusIndex;
use grid::network::Severity;
use serde_json::Map;
use serde_json::Value;

use self::frame::Frame;
use self::frame::Record;
use crate::Error;
use crate::Import;

/// Tables of elements that no balanced alternating-current model here has.
const NOT_MODELLED: [&str; 14] = [
    "dcline",
    "svc",
    "ssc",
    "tcsc",
    "vsc",
    "vsc_stacked",
    "vsc_bipolar",
    "b2b_vsc",
    "bi_vsc",
    "bus_dc",
    "line_dc",
    "load_dc",
    "source_dc",
    "sgen_dc",
];

/// Tables that are read here.
const READ: [&str; 20] = [
    "bus",
    "line",
    "trafo",
    "trafo3w",
    "impedance",
    "shunt",
    "ward",
    "xward",
    "switch",
    "load",
    "sgen",
    "gen",
    "ext_grid",
    "storage",
    "motor",
    "asymmetric_load",
    "asymmetric_sgen",
    "measurement",
    "trafo_characteristic_table",
    "shunt_characteristic_table",
];

/// Tables whose rows say nothing of the electrical network.
const BESIDE: [&str; 15] = [
    "poly_cost",
    "pwl_cost",
    "piecewise_linear_cost",
    "polynomial_cost",
    "group",
    "bus_geodata",
    "line_geodata",
    "bus_dc_geodata",
    "characteristic",
    "q_capability_characteristic",
    "q_capability_curve_table",
    "loadcases",
    "substation",
    "std_types",
    "profiles",
];

/// Rows of a table by their labels, as positions in the network.
type Labels = BTreeMap<i64, usize>;

/// How the file wants its power flow to be.
struct Options {
    pi_transformers: bool,
    losses_at: usize,
    voltage_dependent_loads: bool,
    switch_rx_ratio: f64,
    format: (u32, u32),
}

/// An import in the making.
struct Builder {
    frames: BTreeMap<String, Frame>,
    options: Options,

    import: Import,
    buses: Labels,
    /// Of every table of branches.
    branches: BTreeMap<&'static str, Labels>,
    three_winding: Labels,
    /// Of every table of injections.
    injections: BTreeMap<&'static str, Labels>,
}

/// True if a JSON value is a pandapower network.
pub fn recognises(value: &Value) -> bool {
    let class = value.get("_class").and_then(Value::as_str);
    class == Some("pandapowerNet")
        || value.get("_object").is_some_and(|net| net.get("bus").is_some())
}

/// Reads a pandapower network from a file.
///
/// # Errors
/// The file cannot be read, is not JSON, is no pandapower network, or is one of a version before
/// 2.0, whose units and signs were others.
pub fn read(path: &Path) -> Result<Import, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(read)?;
    let json = |source| Error::Json { path: path.to_owned(), source };
    let value: Value = serde_json::from_str(&text).map_err(json)?;
    from_value(path, &value)
}

/// Reads a pandapower network from the JSON of a file.
///
/// # Errors
/// It is no pandapower network, or one of a version before 2.0.
pub fn from_value(path: &Path, value: &Value) -> Result<Import, Error> {
    let malformed =
        |problem: &str| Error::Malformed { path: path.to_owned(), problem: problem.to_owned() };
    let net = value.get("_object").and_then(Value::as_object);
    let net = net.ok_or_else(|| malformed("is no pandapower network: it has no _object"))?;
    let format = format_of(net);
    if format < (2, 0) {
        return Err(malformed(
            "is of pandapower 1.x, in kW and with other signs; open it with a current pandapower \
             and save it again",
        ));
    }
    let mut builder = Builder::new(net, format);
    if !builder.frames.contains_key("bus") {
        return Err(malformed("is no pandapower network: it has no table bus"));
    }
    builder.add_buses();
    builder.add_lines();
    builder.add_transformers();
    builder.add_three_winding();
    builder.add_impedances();
    builder.add_shunts();
    builder.add_injections();
    builder.add_wards();
    builder.add_switches();
    builder.add_measurements();
    builder.say_what_is_left();
    Ok(builder.import)
}

/// The version of the format, major and minor; of a file without, the oldest that is read.
fn format_of(net: &Map<String, Value>) -> (u32, u32) {
    let version = net.get("format_version").or_else(|| net.get("version"));
    let text = match version {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => return (2, 0),
    };
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(2), parts.next().unwrap_or(0))
}

impl Builder {
    fn new(net: &Map<String, Value>, format: (u32, u32)) -> Builder {
        let number = |key: &str| net.get(key).and_then(Value::as_f64);
        let mut import = Import {
            network: Network {
                name: net.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
                base_mva: number("sn_mva").filter(|&base| base > 0.0).unwrap_or(1.0),
                frequency_hz: number("f_hz").filter(|&f| f > 0.0).unwrap_or(50.0),
                ..Network::default()
            },
            ..Import::default()
        };
        let mut frames = BTreeMap::new();
        for (name, value) in net {
            match Frame::read(name, value, READ.contains(&name.as_str())) {
                Ok(Some(frame)) => {
                    frames.insert(name.clone(), frame);
                }
                Ok(None) => {}
                // Results are not read, in whatever form they are.
                Err(_) if name.starts_with("res_") || name.starts_with('_') => {}
                Err(problem) => {
                    import.remark(Severity::Fatal, format!("table {name}"), "", problem);
                }
            }
        }
        let options = Options::read(net.get("user_pf_options"), format, &mut import);
        Builder {
            frames,
            options,
            import,
            buses: Labels::new(),
            branches: BTreeMap::new(),
            three_winding: Labels::new(),
            injections: BTreeMap::new(),
        }
    }

    /// Reads the rows of a table, if it is there, with the builder at hand.
    fn each(&mut self, table: &str, mut read: impl FnMut(&mut Builder, Record<'_>)) {
        let Some(frame) = self.frames.remove(table) else { return };
        for record in frame.records() {
            read(self, record);
        }
        self.frames.insert(table.to_owned(), frame);
    }

    /// The bus that a cell refers to; says if it is not there.
    fn bus(&mut self, record: Record<'_>, column: &str) -> Option<BusIndex> {
        let label = record.integer(column);
        let found = label.and_then(|label| self.buses.get(&label));
        if let Some(&bus) = found {
            return Some(BusIndex(bus));
        }
        let problem = match label {
            Some(label) => {
                format!("{column} is {label}, which is not in table bus; it is left out")
            }
            None => format!("has no {column}; it is left out"),
        };
        record.say(Severity::Fatal, problem, &mut self.import);
        None
    }

    fn add_buses(&mut self) {
        self.each("bus", |to, record| {
            let Some([nominal_kv]) = record.needs(["vn_kv"], &mut to.import) else { return };
            if to.buses.contains_key(&record.index()) {
                let problem = "has a label that stands in the table before; it is left out";
                record.say(Severity::Fatal, problem.to_owned(), &mut to.import);
                return;
            }
            to.buses.insert(record.index(), to.import.network.buses.len());
            to.import.network.buses.push(Bus {
                id: format!("B{}", record.index()),
                name: record.name(),
                nominal_kv,
                in_service: record.in_service(),
            });
        });
    }

    /// Names everything that nobody has read.
    fn say_what_is_left(&mut self) {
        let mut beside = Vec::new();
        for (name, frame) in &self.frames {
            let rows = frame.len();
            let silent = name.starts_with("res_") || name.starts_with('_');
            if rows == 0 || silent || READ.contains(&name.as_str()) {
                continue;
            }
            if NOT_MODELLED.contains(&name.as_str()) {
                for record in frame.records() {
                    let (severity, problem) = if record.in_service() {
                        (Severity::Fatal, "is of a kind that is not modelled; it is left out")
                    } else {
                        (Severity::Note, "is of a kind that is not modelled, and out of service")
                    };
                    record.say(severity, problem.to_owned(), &mut self.import);
                }
            } else if name == "controller" {
                let problem = format!(
                    "{rows} controllers are not run: taps and set points stand as they are stored"
                );
                self.import.remark(Severity::Warning, format!("table {name}"), "", problem);
            } else if BESIDE.contains(&name.as_str()) {
                beside.push(format!("{name} ({rows} rows)"));
            } else {
                let problem = format!("is not known here; its {rows} rows are not read");
                self.import.remark(Severity::Warning, format!("table {name}"), "", problem);
            }
        }
        if !beside.is_empty() {
            let problem =
                format!("say nothing of the network and are not read: {}", beside.join(", "));
            self.import.remark(Severity::Note, "tables", "", problem);
        }
    }
}

impl Options {
    fn read(value: Option<&Value>, format: (u32, u32), to: &mut Import) -> Options {
        let get = |key: &str| value.and_then(|options| options.get(key));
        let text = |key: &str| get(key).and_then(Value::as_str).unwrap_or_default();
        let say = |severity: Severity, problem: &str, to: &mut Import| {
            to.remark(severity, "user_pf_options", "", problem);
        };
        if get("calculate_voltage_angles") == Some(&Value::Bool(false)) {
            let problem = "calculate_voltage_angles is false: angles and shifts of transformers \
                           are computed here all the same";
            say(Severity::Warning, problem, to);
        }
        if get("consider_line_temperature") == Some(&Value::Bool(true)) {
            say(Severity::Warning, "lines are taken at the temperature of their data sheet", to);
        }
        if get("distributed_slack") == Some(&Value::Bool(true)) {
            say(Severity::Warning, "distributed_slack: the sources balance the network here", to);
        }
        Options {
            pi_transformers: text("trafo_model") == "pi",
            losses_at: match text("trafo3w_losses") {
                "mv" => 1,
                "lv" => 2,
                "star" => 3,
                _ => 0,
            },
            voltage_dependent_loads: get("voltage_depend_loads") != Some(&Value::Bool(false)),
            switch_rx_ratio: get("switch_rx_ratio").and_then(Value::as_f64).unwrap_or(2.0),
            format,
        }
    }
}
