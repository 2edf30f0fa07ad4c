//! Power Grid Model JSON: the dataset format of the open library of that name (LF Energy).
//!
//! Read is an input dataset of version 1.0, in objects or in compact rows (`attributes` names their
//! columns). Everything is SI there (V, W, var, A, ohm, F) and becomes the network's kV, MW, Mvar,
//! kA here. Identifiers are the file's integers as text; the two statuses of a branch become
//! switches at its ends, `7/from` and `7/to`, because that is what they are.
//!
//! The electrical model is the library's own (its documentation, *Components*): a transformer is a
//! π whose impedances follow the tap, a source stands behind its short-circuit impedance, a
//! three-winding transformer is a star whose magnetising branch is a π at side 1. Two things are
//! not the library's: a closed link makes its two nodes one, where the library puts an impedance of
//! 10⁻⁶ per unit, and what is unbalanced is taken as its balanced total, as its symmetric
//! calculation does.
//!
//! **Not read**: zero sequence, faults, asymmetrical lines and sensors, regulators. All are named.

mod branches;
mod nodes;
mod row;
mod sensors;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use grid::network::Severity;
use serde_json::Value;

use self::row::Row;
use crate::import::Error;
use crate::import::Import;

/// The power base of what is imported, in MVA: the library's own.
pub const BASE_MVA: f64 = 1.0;

/// The frequency in Hz that is assumed: the file does not say one, the library's default is this.
pub const FREQUENCY_HZ: f64 = 50.0;

/// What a component of the file became, by its identifier.
#[derive(Clone, Copy, Debug)]
enum Object {
    Node(usize),
    Branch(usize),
    Link,
    ThreeWinding(usize),
    Shunt,
    Source(usize),
    Load(usize),
    Generator(usize),
}

/// The state of an import.
struct Reader {
    frequency_hz: f64,

    import: Import,
    objects: BTreeMap<i64, Object>,
    /// Identifiers of components that are left out, so that their sensors are said to be, too.
    left_out: BTreeSet<i64>,
}

/// What becomes of a row, or why it becomes nothing.
type Outcome = Result<(), String>;

/// A kind of component: its name, the attributes that are read, and what reads a row.
struct Component {
    name: &'static str,
    read: &'static [&'static str],
    row: fn(&mut Reader, &Row<'_>) -> Outcome,
}

/// All kinds that are read, in an order in which whatever is referred to comes first.
const COMPONENTS: &[Component] = &[
    nodes::NODE,
    branches::LINE,
    branches::LINK,
    branches::GENERIC_BRANCH,
    branches::TRANSFORMER,
    branches::THREE_WINDING,
    nodes::SHUNT,
    nodes::SOURCE,
    nodes::SYM_LOAD,
    nodes::SYM_GEN,
    nodes::ASYM_LOAD,
    nodes::ASYM_GEN,
    sensors::VOLTAGE,
    sensors::POWER,
    sensors::CURRENT,
];

/// Kinds that are known and not read: how much it matters, and what that means.
const NAMED: &[(&str, Severity, &str)] = &[
    (
        "asym_line",
        Severity::Fatal,
        "is left out: its phases are given apart, and only balanced lines are read",
    ),
    ("asym_voltage_sensor", Severity::Warning, "is left out: it measures three phases apart"),
    ("asym_power_sensor", Severity::Warning, "is left out: it measures three phases apart"),
    ("asym_current_sensor", Severity::Warning, "is left out: it measures three phases apart"),
    ("fault", Severity::Note, "is left out: short circuits are not computed here"),
    ("transformer_tap_regulator", Severity::Warning, "is left out: the tap stays at its tap_pos"),
    (
        "voltage_regulator",
        Severity::Fatal,
        "is left out: its machine keeps its power and holds no voltage",
    ),
];

/// Reads a file at 50 Hz.
///
/// # Errors
/// The file cannot be read, is not JSON, or is not an input dataset.
pub fn read(path: &Path) -> Result<Import, Error> {
    read_at(path, FREQUENCY_HZ)
}

/// Reads a file at a frequency, which turns capacitances into susceptances.
///
/// # Errors
/// As for [`read`].
pub fn read_at(path: &Path, frequency_hz: f64) -> Result<Import, Error> {
    let text =
        fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let value = serde_json::from_str(&text)
        .map_err(|source| Error::Json { path: path.to_owned(), source })?;
    let mut import = parse(&value, frequency_hz)
        .map_err(|problem| Error::Malformed { path: path.to_owned(), problem })?;
    if let Some(stem) = path.file_stem() {
        import.network.name = stem.to_string_lossy().into_owned();
    }
    Ok(import)
}

/// True if a JSON looks like a dataset of this format.
pub fn is_dataset(value: &Value) -> bool {
    ["version", "type", "is_batch", "data"].iter().all(|key| value.get(key).is_some())
}

/// The network of a dataset.
///
/// # Errors
/// What is wrong with the envelope, if it is not an input dataset of version 1.
pub fn parse(value: &Value, frequency_hz: f64) -> Result<Import, String> {
    let data = envelope(value)?;
    let mut reader = Reader {
        frequency_hz,
        import: Import::default(),
        objects: BTreeMap::new(),
        left_out: BTreeSet::new(),
    };
    reader.import.network.base_mva = BASE_MVA;
    reader.import.network.frequency_hz = frequency_hz;
    let attributes = &value["attributes"];
    for (name, rows) in data {
        reader.name_unread(name, rows, &attributes[name.as_str()])?;
    }
    for component in COMPONENTS {
        if let Some(rows) = data.get(component.name) {
            reader.table(component, rows, &attributes[component.name])?;
        }
    }
    Ok(reader.import)
}

/// The tables of an input dataset.
fn envelope(value: &Value) -> Result<&serde_json::Map<String, Value>, String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    if !is_dataset(value) {
        return Err("has no version, type, is_batch and data at its top: it is not a dataset of \
                    Power Grid Model"
            .to_owned());
    }
    if text("version") != "1.0" {
        return Err(format!("is of version {}; read is 1.0", value["version"]));
    }
    if text("type") != "input" || value["is_batch"] != Value::Bool(false) {
        return Err(format!(
            "is a dataset of type {} with is_batch {}; a network is one of type \"input\" that is \
             no batch",
            value["type"], value["is_batch"],
        ));
    }
    value["data"].as_object().ok_or_else(|| "has data that is not an object of tables".to_owned())
}

impl Reader {
    /// Reads a table; says which of its attributes were not.
    fn table(&mut self, of: &Component, rows: &Value, attributes: &Value) -> Result<(), String> {
        let mut unread = BTreeSet::new();
        for row in Row::all(of.name, rows, attributes)? {
            unread
                .extend(row.attributes().filter(|name| !of.read.contains(name)).map(String::from));
            if let Err(problem) = (of.row)(self, &row) {
                // Without a sensor the network is still the one in the file.
                let sensor = of.name.ends_with("_sensor");
                let severity = if sensor { Severity::Warning } else { Severity::Fatal };
                self.import.remark(severity, row.place(), row.element(), problem);
            }
        }
        if !unread.is_empty() {
            let names: Vec<&str> = unread.iter().map(String::as_str).collect();
            let problem = format!("has attributes that are not read: {}", names.join(", "));
            self.import.remark(Severity::Note, format!("data.{}", of.name), "", problem);
        }
        Ok(())
    }

    /// Names every row of a table that is not read.
    fn name_unread(&mut self, name: &str, rows: &Value, columns: &Value) -> Result<(), String> {
        if COMPONENTS.iter().any(|component| component.name == name) {
            return Ok(());
        }
        let known = NAMED.iter().find(|(known, ..)| *known == name);
        let (severity, problem) = match known {
            Some((_, severity, problem)) => (*severity, *problem),
            None => (Severity::Fatal, "is left out: this kind of component is not known here"),
        };
        for row in Row::all(name, rows, columns)? {
            if let Ok(id) = row.integer("id") {
                self.left_out.insert(id);
            }
            self.import.remark(severity, row.place(), row.element(), problem);
        }
        Ok(())
    }

    /// Enters a component under its identifier, which is the file's alone.
    fn enter(&mut self, row: &Row<'_>, object: Object) -> Result<String, String> {
        let id = row.integer("id")?;
        if self.objects.contains_key(&id) {
            return Err(format!("is left out: the identifier {id} is another component's too"));
        }
        self.objects.insert(id, object);
        Ok(id.to_string())
    }

    /// The bus of the node that an attribute names.
    fn node(&self, row: &Row<'_>, attribute: &str) -> Result<usize, String> {
        let id = row.integer(attribute)?;
        match self.objects.get(&id) {
            Some(Object::Node(bus)) => Ok(*bus),
            _ => Err(format!("is left out: {attribute} is {id}, and there is no such node")),
        }
    }

    /// The nominal voltage of a bus in kV.
    fn kv(&self, bus: usize) -> f64 {
        self.import.network.buses[bus].nominal_kv
    }
}
