//! Unbalanced networks as matrices: a folder with `nodes.csv`, `elements.json`, `loads.csv`, and
//! telemetry as CSV.
//!
//! `elements.json` has the primitive admittance of every element over its nodes, `"0"` is ground,
//! and sources as Norton equivalents; nothing in it is a switch, so nothing is merged. A load
//! consumes `(u / u_rated)^exponent` at every voltage.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use grid::Complex;
use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::network::Severity;
use grid::three_phase::Element;
use grid::three_phase::Kind;
use grid::three_phase::Law;
use grid::three_phase::Limits;
use grid::three_phase::Load;
use grid::three_phase::Matrix;
use grid::three_phase::Network;
use grid::three_phase::Node;
use grid::three_phase::measurement::Measurement;
use grid::three_phase::measurement::Target;
use serde::Deserialize;

use crate::Error;
use crate::Remark;
use crate::UnbalancedImport;
use crate::folder::is_new;
use crate::folder::unit_of;
use crate::table::Row;
use crate::table::Table;

#[derive(Deserialize)]
struct File {
    elements: Vec<ElementRow>,
    sources: Vec<SourceRow>,
}

#[derive(Deserialize)]
struct ElementRow {
    name: String,
    terminals: usize,
    nodes: Vec<String>,
    #[serde(rename = "Y")]
    y: Vec<Vec<[f64; 2]>>,
}

#[derive(Deserialize)]
struct SourceRow {
    name: String,
    nodes: Vec<String>,
    #[serde(rename = "Y")]
    y: Vec<Vec<[f64; 2]>>,
    #[serde(rename = "norton_current_A")]
    norton_ampere: Vec<[f64; 2]>,
}

/// True if a folder is of this kind.
pub fn is_folder(folder: &Path) -> bool {
    folder.join("elements.json").is_file() && folder.join("nodes.csv").is_file()
}

/// Reads the folder, without telemetry. Elements and loads that cannot be understood are left out
/// and named.
///
/// # Errors
/// A file that is missing or is not what its name says.
pub fn read_folder(folder: &Path) -> Result<UnbalancedImport, Error> {
    let mut reader = Reader::default();
    reader.import.network.name =
        folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    reader.read_nodes(&folder.join("nodes.csv"))?;
    reader.read_elements(&folder.join("elements.json"))?;
    reader.read_loads(&folder.join("loads.csv"))?;
    Ok(reader.import)
}

/// Reads telemetry of such a network: `meas_id, source, kind, element_type, element_id, terminal,
/// phase_node, unit_si, value_si, sigma_si`. Where `unit_si` is empty, values are in V, kW, kvar, A
/// and radians. Rows that cannot be understood are left out and named.
///
/// # Errors
/// The file cannot be read or is not CSV.
pub fn read_measurements(
    path: &Path,
    network: &Network,
) -> Result<(Vec<Measurement>, Vec<Remark>), Error> {
    let mut say = Vec::new();
    let table = Table::read(path, &mut say)?;
    let columns =
        ["meas_id", "source", "kind", "element_type", "phase_node", "value_si", "sigma_si"];
    let mut measurements = Vec::new();
    if table.demand(&columns, &mut say) {
        let names = |name: &str| network.element_index(name);
        let mut ids = BTreeSet::new();
        for row in table.rows() {
            if !is_new(&row, &mut ids, &mut say) {
                continue;
            }
            measurements.extend(measurement(&row, network, names, &mut say));
        }
    }
    Ok((measurements, say))
}

fn measurement(
    row: &Row<'_>,
    network: &Network,
    element: impl Fn(&str) -> Option<usize>,
    say: &mut Vec<Remark>,
) -> Option<Measurement> {
    let (quantity, usual) = match row.text("kind") {
        "v_mag" => (Quantity::VoltageMagnitude, "V"),
        "v_ang" => (Quantity::VoltageAngle, "rad"),
        "p_inj" | "p_flow" => (Quantity::ActivePower, "kW"),
        "q_inj" | "q_flow" => (Quantity::ReactivePower, "kvar"),
        "i_mag" => (Quantity::CurrentMagnitude, "A"),
        "i_ang" => (Quantity::CurrentAngle, "rad"),
        other => {
            row.fault("kind", format!("{other:?} is not known"), say);
            return None;
        }
    };
    let unit = match row.text("unit_si") {
        "" => usual,
        unit => unit,
    };
    let Some(unit) = si_from(unit, quantity) else {
        let problem = format!("{unit:?} is no unit of a {}", row.text("kind"));
        row.fault("unit_si", problem, say);
        return None;
    };
    let source = match row.text("source") {
        "scada" => Source::Scada,
        "meter" => Source::Meter,
        "pmu" => Source::Pmu,
        "pseudo" => Source::Pseudo,
        "reference" => Source::Reference,
        other => {
            row.fault("source", format!("{other:?} is not known"), say);
            return None;
        }
    };
    let Some(node) = network.node_index(row.text("phase_node")) else {
        row.fault("phase_node", format!("{:?} is no node", row.text("phase_node")), say);
        return None;
    };
    let target = if row.text("element_type") == "node" {
        Target::Node(node)
    } else {
        let Some(element) = element(row.text("element_id")) else {
            row.fault("element_id", format!("{:?} is no element", row.text("element_id")), say);
            return None;
        };
        let terminal = row.number("terminal", say)? as usize;
        if terminal == 0 || terminal > network.elements[element].terminals {
            row.fault("terminal", format!("{terminal} is no terminal, they begin with 1"), say);
            return None;
        }
        Target::Conductor { element, terminal: terminal - 1, node }
    };
    let (value, sigma) = (row.number("value_si", say)? * unit, row.number("sigma_si", say)? * unit);
    Some(Measurement { id: row.text("meas_id").to_owned(), source, quantity, target, value, sigma })
}

/// One of a unit in volts, watts, var, amperes or radians; nothing if it is none of the quantity.
/// A conductor's voltage is to ground: line to neutral says nothing else.
pub(crate) fn si_from(unit: &str, quantity: Quantity) -> Option<f64> {
    let small = unit.to_ascii_lowercase();
    let (factor, base) = unit_of(small.strip_suffix("_ln").unwrap_or(&small))?;
    match (quantity, base) {
        (Quantity::VoltageMagnitude, "v") | (Quantity::CurrentMagnitude, "a") => Some(factor),
        (Quantity::ActivePower, "w") | (Quantity::ReactivePower, "var") => Some(factor),
        (Quantity::VoltageAngle | Quantity::CurrentAngle, "rad") => Some(1.0),
        (Quantity::VoltageAngle | Quantity::CurrentAngle, "deg") => Some(1.0_f64.to_radians()),
        _ => None,
    }
}

#[derive(Default)]
struct Reader {
    import: UnbalancedImport,
    nodes: BTreeMap<String, usize>,
}

impl Reader {
    fn read_nodes(&mut self, path: &Path) -> Result<(), Error> {
        let say = &mut self.import.remarks;
        let table = Table::read(path, say)?;
        if !table.demand(&["node_id", "bus", "v_base_ln_volt"], say) {
            return Ok(());
        }
        for row in table.rows() {
            let id = row.text("node_id").to_owned();
            let base_volt = row.number("v_base_ln_volt", say).unwrap_or(0.0);
            if self.nodes.contains_key(&id) {
                let problem = format!("{id} stands here a second time; this row is left out");
                row.fault("node_id", problem, say);
                continue;
            }
            self.nodes.insert(id.clone(), self.import.network.nodes.len());
            let bus = row.text("bus").to_owned();
            self.import.network.nodes.push(Node { id, bus, base_volt });
        }
        Ok(())
    }

    fn read_elements(&mut self, path: &Path) -> Result<(), Error> {
        let text = fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let file: File = serde_json::from_str(&text)
            .map_err(|source| Error::Json { path: path.to_owned(), source })?;
        for row in file.elements {
            let (nodes, y) = (self.places(&row.nodes), matrix(&row.y, row.nodes.len()));
            if let Some((nodes, y)) = self.whole(path, &row.name, nodes, y) {
                let element = Element::fixed(row.name, row.terminals, nodes, y);
                self.import.network.elements.push(element);
            }
        }
        for row in file.sources {
            let (nodes, y) = (self.places(&row.nodes), matrix(&row.y, row.nodes.len()));
            if let Some((nodes, y)) = self.whole(path, &row.name, nodes, y) {
                let drives: Vec<Complex> =
                    row.norton_ampere.iter().map(|[re, im]| Complex::new(*re, *im)).collect();
                let element = Element::fixed(row.name, 2, nodes, y);
                self.import.network.elements.push(Element {
                    kind: Kind::Source,
                    drives,
                    ..element
                });
            }
        }
        Ok(())
    }

    fn read_loads(&mut self, path: &Path) -> Result<(), Error> {
        let mut say = Vec::new();
        let table = Table::read(path, &mut say)?;
        let columns = [
            "load_id",
            "connection",
            "phases",
            "nodes",
            "p_kw_total",
            "q_kvar_total",
            "v_rated_leg_volt",
            "exponent_p",
            "exponent_q",
        ];
        if table.demand(&columns, &mut say) {
            let mut ids = BTreeSet::new();
            for row in table.rows() {
                let id = row.text("load_id");
                if !ids.insert(id) {
                    let problem = format!("{id} stands here a second time; this row is left out");
                    row.fault("load_id", problem, &mut say);
                    continue;
                }
                let load = self.load(&row, &mut say);
                self.import.network.loads.extend(load);
            }
        }
        self.import.remarks.append(&mut say);
        Ok(())
    }

    fn load(&self, row: &Row<'_>, say: &mut Vec<Remark>) -> Option<Load> {
        let ids: Vec<String> = row.text("nodes").split_whitespace().map(str::to_owned).collect();
        let phases = row.number("phases", say)? as usize;
        let delta = row.text("connection") == "delta";
        let needed = if delta { phases.max(2) } else { phases + 1 };
        let nodes = match self.places(&ids) {
            Ok(nodes) if phases > 0 && nodes.len() == needed => nodes,
            Ok(nodes) => {
                let problem = format!("names {} nodes where {needed} are needed", nodes.len());
                row.fault("nodes", problem, say);
                return None;
            }
            Err(problem) => {
                row.fault("nodes", problem, say);
                return None;
            }
        };
        let leg = |phase: usize| {
            let other = if delta { (phase + 1) % nodes.len() } else { phases };
            [nodes[phase], nodes[other]]
        };
        let exponents = (row.number("exponent_p", say)?, row.number("exponent_q", say)?);
        Some(Load {
            name: row.text("load_id").to_owned(),
            legs: (0..phases).map(leg).collect(),
            rated_volt: row.number("v_rated_leg_volt", say)?,
            p_w: row.number("p_kw_total", say)? * 1000.0,
            q_var: row.number("q_kvar_total", say)? * 1000.0,
            law: match exponents {
                (0.0, 0.0) => Law::Power,
                (1.0, 1.0) => Law::Current,
                (2.0, 2.0) => Law::Impedance,
                (p, q) => Law::Exponents { p, q },
            },
            limits: Limits::NONE,
            in_service: true,
        })
    }

    fn places(&self, ids: &[String]) -> Result<Vec<Option<usize>>, String> {
        let find = |id: &String| match id.as_str() {
            "0" => Ok(None),
            id => match self.nodes.get(id) {
                Some(&at) => Ok(Some(at)),
                None => Err(format!("{id} is not in nodes.csv")),
            },
        };
        ids.iter().map(find).collect()
    }

    /// Both parts of an element, or a remark.
    fn whole(
        &mut self,
        path: &Path,
        name: &str,
        nodes: Result<Vec<Option<usize>>, String>,
        y: Option<Matrix>,
    ) -> Option<(Vec<Option<usize>>, Matrix)> {
        let twice = self.import.network.elements.iter().any(|of| of.name == name);
        let problem = match (nodes, y) {
            _ if twice => "stands here a second time; this one is left out".to_owned(),
            (Ok(nodes), Some(y)) => return Some((nodes, y)),
            (Err(problem), _) => problem,
            (Ok(nodes), None) => {
                format!("its matrix has not as many rows and columns as its {} nodes", nodes.len())
            }
        };
        self.import.remarks.push(Remark {
            severity: Severity::Fatal,
            place: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            element: name.to_owned(),
            problem,
        });
        None
    }
}

fn matrix(rows: &[Vec<[f64; 2]>], order: usize) -> Option<Matrix> {
    let values = rows.iter().flatten().map(|[re, im]| Complex::new(*re, *im)).collect();
    Matrix::from_rows(order, values)
}
