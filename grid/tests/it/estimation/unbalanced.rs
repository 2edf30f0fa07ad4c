//! Three-phase cases: the same core on phase nodes.

use std::collections::BTreeMap;
use std::path::Path;

use grid::Complex;
use grid::estimation::Circuit;
use grid::estimation::Estimator;
use grid::estimation::Row;
use grid::estimation::Settings;
use grid::estimation::Terminal;
use grid::estimation::What;
use serde_json::Value;

use super::sets::files;
use crate::places;

/// How far an estimate may be from the stored optimum, per unit (stored to twelve digits).
const STATE: f64 = 1e-8;
/// The same behind the ungrounded transformer of ieee37, where the voltage to ground hangs on an
/// admittance of 1e-8 of its neighbours: the rounding of the elements to twelve digits moves it by
/// 1e-6, all three phases alike.
const FLOATING: (&str, f64) = ("775.", 2e-6);
/// How far an objective may be off, as a share of it: the elements are stored to twelve digits,
/// and between closely coupled nodes the thirteenth is a current of 1e-8 per unit.
const OBJECTIVE: f64 = 1e-5;

pub(crate) type Record = BTreeMap<String, String>;

pub(crate) fn table(path: &Path) -> Vec<Record> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let record = |line: &str| {
        head.iter().map(|name| (*name).to_owned()).zip(line.split(',').map(str::to_owned)).collect()
    };
    lines.map(record).collect()
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn number(record: &Record, column: &str) -> f64 {
    record[column].parse().unwrap()
}

/// A feeder: its phase nodes with their voltage bases, and its elements in per unit.
pub(crate) struct Feeder {
    pub(crate) nodes: Vec<String>,
    elements: Vec<Element>,
}

struct Element {
    name: String,
    conductors: usize,
    /// Nodes of the conductors, terminal by terminal; none is ground.
    nodes: Vec<Option<usize>>,
    y: Vec<Vec<Complex>>,
}

impl Feeder {
    pub(crate) fn read(folder: &Path) -> Feeder {
        let nodes = table(&folder.join("nodes.csv"));
        let base_va =
            json(&folder.join("case.json"))["power_base_va_of_value_pu"].as_f64().unwrap();
        let base: Vec<f64> = nodes.iter().map(|node| number(node, "v_base_ln_volt")).collect();
        let nodes: Vec<String> =
            nodes.into_iter().map(|mut n| n.remove("node_id").unwrap()).collect();
        let elements = json(&folder.join("elements.json"));
        let elements = elements["elements"].as_array().unwrap();
        let elements = elements.iter().map(|of| element(of, &nodes, &base, base_va)).collect();
        Feeder { nodes, elements }
    }

    pub(crate) fn node(&self, id: &str) -> usize {
        self.nodes.iter().position(|node| node == id).unwrap()
    }

    fn admittances(&self) -> Vec<(usize, usize, Complex)> {
        let mut entries = Vec::new();
        for element in &self.elements {
            for (row, line) in element.nodes.iter().zip(&element.y) {
                for (column, &y) in element.nodes.iter().zip(line) {
                    if let (Some(row), Some(column)) = (*row, *column) {
                        entries.push((row, column, y));
                    }
                }
            }
        }
        entries
    }

    /// The current of a phase at a terminal of an element.
    fn terminal(&self, element: &str, terminal: usize, node: usize) -> Terminal {
        let element = self.elements.iter().find(|known| known.name == element).unwrap();
        let first = (terminal - 1) * element.conductors;
        let conductor = (first..first + element.conductors)
            .find(|&conductor| element.nodes[conductor] == Some(node))
            .unwrap();
        let terms = element.nodes.iter().zip(&element.y[conductor]);
        let terms = terms.filter_map(|(&of, &y)| of.map(|of| (of, y))).collect();
        Terminal { node, terms }
    }
}

fn element(of: &Value, nodes: &[String], base: &[f64], base_va: f64) -> Element {
    let names = of["nodes"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let ends: Vec<Option<usize>> =
        names.map(|name| nodes.iter().position(|node| node == name)).collect();
    let of_end = |end: Option<usize>| end.map_or(1.0, |node| base[node]);
    let complex =
        |value: &Value| Complex::new(value[0].as_f64().unwrap(), value[1].as_f64().unwrap());
    let rows = of["Y"].as_array().unwrap().iter().zip(&ends);
    let y = rows
        .map(|(row, &a)| {
            let row = row.as_array().unwrap().iter().zip(&ends);
            row.map(|(y, &b)| complex(y).scale(of_end(a) * of_end(b) / base_va)).collect()
        })
        .collect();
    Element {
        name: of["name"].as_str().unwrap().to_owned(),
        conductors: of["conductors"].as_u64().unwrap() as usize,
        nodes: ends,
        y,
    }
}

/// The circuit and rows of a measurement set.
pub(crate) fn compile(feeder: &Feeder, measurements: &[Record]) -> (Circuit, Vec<Row>) {
    let count = feeder.nodes.len();
    let phase = |id: &String| id.rsplit('.').next().unwrap().parse::<f64>().unwrap() - 1.0;
    let turn = |id: &String| -phase(id) * 120.0_f64.to_radians();
    let mut circuit = Circuit {
        nodes: count,
        admittances: feeder.admittances(),
        start: feeder.nodes.iter().map(|id| Complex::from_polar(1.0, turn(id))).collect(),
        island: vec![0; count],
        references: vec![0],
        zero_injection: vec![true; count],
        ..Circuit::default()
    };
    let source = (0..count).filter(|&node| feeder.nodes[node].starts_with("sourcebus."));
    let held: Vec<(usize, Complex)> = source.map(|node| (node, circuit.start[node])).collect();
    circuit.start_without_load(&held);
    let mut rows = Vec::new();
    for (at, record) in measurements.iter().enumerate() {
        let node = feeder.node(&record["phase_node"]);
        let kind = record["kind"].as_str();
        let what = match kind {
            "v_mag" => What::Magnitude(node),
            "v_ang" => What::Angle(node),
            "p_inj" => What::ActiveInjection(node),
            "q_inj" => What::ReactiveInjection(node),
            _ => {
                let terminal = record["terminal"].parse().unwrap();
                let terminal = feeder.terminal(&record["element_id"], terminal, node);
                let known = circuit.terminals.iter().position(|known| *known == terminal);
                let at = known.unwrap_or_else(|| {
                    circuit.terminals.push(terminal);
                    circuit.terminals.len() - 1
                });
                if kind == "p_flow" { What::ActiveFlow(at) } else { What::ReactiveFlow(at) }
            }
        };
        if kind.ends_with("inj") {
            circuit.zero_injection[node] = false;
        }
        let (value, sigma) = (number(record, "value_pu"), number(record, "sigma_pu"));
        rows.push(Row { what, members: vec![(at, 1.0)], value, sigma, active: true });
    }
    (circuit, rows)
}

#[track_caller]
fn check_optimum(case: &str) {
    let Some(folder) = places::case(case) else { return };
    let feeder = Feeder::read(&folder);
    let checks = json(&folder.join("checks.json"));
    for set in files(&folder.join("answers"), "wls_", ".csv") {
        let measurements = table(&folder.join(format!("meas_{set}.csv")));
        let (circuit, rows) = compile(&feeder, &measurements);
        let mut estimator = Estimator::of_circuit(&circuit, rows);
        let outcome = estimator.solve(&Settings::default());
        assert!(outcome.is_solved(), "{case} {set}: {outcome:?}");
        for record in table(&folder.join("answers").join(format!("wls_{set}.csv"))) {
            let angle = number(&record, "va_deg").to_radians();
            let expected = Complex::from_polar(number(&record, "vm_pu"), angle);
            let v = estimator.voltage(feeder.node(&record["node_id"])).unwrap();
            let off = (v - expected).abs();
            let floats = record["node_id"].starts_with(FLOATING.0);
            let most = if floats { FLOATING.1 } else { STATE };
            assert!(off < most, "{case} {set} {}: {off:e}", record["node_id"]);
        }
        let stored = &checks["state_estimation"][set.as_str()];
        let expected = stored["J"].as_f64().unwrap();
        let objective = estimator.objective();
        assert!((objective - expected).abs() < OBJECTIVE * expected, "{case} {set}: {objective}");
        let freedom = estimator.degrees_of_freedom() as u64;
        assert_eq!(freedom, stored["dof"].as_u64().unwrap(), "{case} {set}");
    }
}

#[test]
fn ieee13_is_at_its_optimum() {
    check_optimum("ieee13_unbal");
}

#[test]
fn ieee37_is_at_its_optimum() {
    check_optimum("ieee37_unbal");
}
