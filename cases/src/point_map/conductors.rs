//! The point map of an unbalanced network: a place is a conductor.
//!
//! Columns are those of a balanced map, and `phase`: the number of the conductor as the file has it
//! (`1` of the node `671.1`), or `a`, `b`, `c`. It may be empty where the element has one
//! conductor alone, or where the name of a node stands for it.
//!
//! - `v_…`: a bus with its phase, or a node; a voltage is of the conductor to ground, whether the
//!   unit says `V` or `V_ln`.
//! - `…_inj`: a bus or node, with everything that is connected there, or a load, which must be the
//!   only one at its conductor: what is estimated is what a node draws.
//! - `…_flow`, `i_…`: an element, its `side` (`from`, `to`, or the number of a terminal), the phase
//!   of the node there. Nothing flows into what is a switch or a source that could be told apart.
//! - `status`: an element that is a switch.
//! - `tap`: a transformer, its `side` the winding; in `step`s from the middle of its range, or `pu`
//!   of the winding's rated voltage.
//!
//! Names are found without regard to case, elements and loads also without their class.

use std::collections::BTreeMap;
use std::path::Path;

use grid::measurement::Quantity;
use grid::three_phase::Kind as ElementKind;
use grid::three_phase::Network;
use grid::three_phase::measurement::Target;

use super::COLUMNS;
use super::Kind;
use super::Measures;
use super::PointMap;
use super::cells::Asked;
use super::cells::Cells;
use super::near;
use super::read_rows;
use crate::Error;
use crate::Remark;
use crate::elements::si_from;
use crate::folder::unit_of;
use crate::table::Row;

/// Reads a point map of an unbalanced network.
///
/// # Errors
/// The file cannot be read. Rows that are at fault are fatal remarks, all of them.
pub fn read(path: &Path, network: &Network) -> Result<PointMap<Target>, Error> {
    let names = Names::new(network);
    let columns: Vec<&str> = COLUMNS.iter().copied().chain(["phase"]).collect();
    read_rows(path, &columns, |row, say| {
        let reader = Reader { row, cells: Cells(row), network, names: &names };
        reader.cells.point(say, |asked, sign, say| match asked.quantity {
            None if asked.kind == Kind::Tap => reader.tap(asked, sign, say),
            None => reader.switch(sign, say),
            Some(quantity) => reader.value(quantity, asked, sign, say),
        })
    })
}

/// What things are called, in small letters.
struct Names {
    nodes: BTreeMap<String, usize>,
    buses: BTreeMap<String, Vec<usize>>,
    elements: BTreeMap<String, Vec<usize>>,
    loads: BTreeMap<String, Vec<usize>>,
}

impl Names {
    fn new(network: &Network) -> Names {
        let small = |id: &str| id.to_lowercase();
        let mut buses: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, node) in network.nodes.iter().enumerate() {
            buses.entry(small(&node.bus)).or_default().push(at);
        }
        let nodes = network.nodes.iter().enumerate();
        Names {
            nodes: nodes.map(|(at, node)| (small(&node.id), at)).collect(),
            buses,
            elements: by_name(network.elements.iter().map(|element| element.name.as_str())),
            loads: by_name(network.loads.iter().map(|load| load.name.as_str())),
        }
    }
}

/// Places by whole names and by what stands behind the class.
fn by_name<'n>(names: impl Iterator<Item = &'n str>) -> BTreeMap<String, Vec<usize>> {
    let (mut whole, mut bare): (BTreeMap<String, Vec<usize>>, BTreeMap<String, Vec<usize>>) =
        Default::default();
    for (at, name) in names.enumerate() {
        let name = name.to_lowercase();
        if let Some((_, of)) = name.split_once('.') {
            bare.entry(of.to_owned()).or_default().push(at);
        }
        whole.entry(name).or_default().push(at);
    }
    bare.into_iter().for_each(|(name, at)| {
        whole.entry(name).or_insert(at);
    });
    whole
}

/// A row that is being read.
struct Reader<'n> {
    row: Row<'n>,
    cells: Cells<'n>,
    network: &'n Network,
    names: &'n Names,
}

impl Reader<'_> {
    fn switch(&self, sign: f64, say: &mut Vec<Remark>) -> Option<Measures<Target>> {
        let element = self.element("switch", say)?;
        let switches = self.network.switches();
        let Some(switch) = switches.iter().position(|&switch| switch == element) else {
            let problem = format!("{} is no switch", self.network.elements[element].name);
            self.row.fault("element", problem, say);
            return None;
        };
        self.cells.nothing_but_position(&["side", "phase"], say);
        Some(Measures::Position { switch, inverted: sign < 0.0 })
    }

    fn tap(&self, asked: Asked, sign: f64, say: &mut Vec<Remark>) -> Option<Measures<Target>> {
        let element = self.element("transformer", say)?;
        let of = &self.network.elements[element];
        let ElementKind::Transformer(sheet) = &of.kind else {
            self.row.fault("element", format!("{} has no taps", of.name), say);
            return None;
        };
        let winding = self.terminal(sheet.windings.len(), say)?;
        let unit =
            if self.row.text("unit").is_empty() { asked.unit } else { self.row.text("unit") };
        let steps = match unit {
            "step" => true,
            "pu" => false,
            other => {
                self.row.fault("unit", format!("{other:?} is neither step nor pu"), say);
                return None;
            }
        };
        let scale = self.row.number_or("scale", 1.0, say)?;
        Some(Measures::Tap { element, winding, factor: sign * scale, steps })
    }

    fn value(
        &self,
        quantity: Quantity,
        asked: Asked,
        sign: f64,
        say: &mut Vec<Remark>,
    ) -> Option<Measures<Target>> {
        let row = &self.row;
        let scale = self.cells.scale(quantity, sign, say);
        let target = self.target(asked.kind, say);
        let unit = if row.text("unit").is_empty() { asked.unit } else { row.text("unit") };
        let base_volt = target.map_or(1.0, |target| match target {
            Target::Node(node) | Target::Conductor { node, .. } => {
                self.network.nodes[node].base_volt
            }
        });
        if base_volt <= 0.0 {
            let problem = "is at a node without a voltage base, which nothing reaches".to_owned();
            row.fault("element", problem, say);
            return None;
        }
        let per_unit = of_unit(unit, quantity, base_volt);
        let scale = scale.map(|scale| sign * scale);
        self.cells.value(quantity, (target, scale), (unit, per_unit), say)
    }

    fn target(&self, kind: Kind, say: &mut Vec<Remark>) -> Option<Target> {
        if kind == Kind::Branch {
            return self.conductor(say);
        }
        if !self.row.text("side").is_empty() {
            let problem = "only an element has sides: passed over".to_owned();
            self.row.tell(grid::network::Severity::Note, "side", problem, say);
        }
        let key = self.row.text("element").to_lowercase();
        if let Some(&node) = self.names.nodes.get(&key) {
            let phase = self.phase();
            if !phase.is_empty() && phase != phase_of(&self.network.nodes[node].id) {
                let problem = format!("{phase} is not the phase of the node {key}");
                self.row.fault("phase", problem, say);
                return None;
            }
            return Some(Target::Node(node));
        }
        let load = self.names.loads.get(&key).filter(|_| kind == Kind::Injection);
        if let Some(loads) = load {
            let load = self.only("load", loads, say)?;
            return self.of_load(load, say);
        }
        let Some(nodes) = self.names.buses.get(&key) else {
            let mut known: Vec<&str> =
                self.network.nodes.iter().flat_map(|node| [&*node.bus, &*node.id]).collect();
            let what = if kind == Kind::Injection { "load, bus or node" } else { "bus or node" };
            if kind == Kind::Injection {
                known.extend(self.network.loads.iter().map(|load| load.name.as_str()));
            }
            self.unknown(what, &known, say);
            return None;
        };
        self.choose("bus", nodes, say).map(Target::Node)
    }

    /// A conductor of an element.
    fn conductor(&self, say: &mut Vec<Remark>) -> Option<Target> {
        let element = self.element("element", say)?;
        let of = &self.network.elements[element];
        let kind = match of.kind {
            ElementKind::Switch { .. } => "a switch",
            ElementKind::Source => "a source",
            _ => "",
        };
        if !kind.is_empty() {
            let problem = format!("{} is {kind}: measure what lies beside it", of.name);
            self.row.fault("element", problem, say);
            return None;
        }
        let terminal = self.terminal(of.terminals, say)?;
        let mut nodes: Vec<usize> = of.terminal(terminal).iter().flatten().copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let node = self.choose("terminal", &nodes, say)?;
        Some(Target::Conductor { element, terminal, node })
    }

    /// One of so many terminals, from 0.
    fn terminal(&self, terminals: usize, say: &mut Vec<Remark>) -> Option<usize> {
        let terminal = match self.row.text("side") {
            "from" | "1" => 0,
            "to" | "2" => 1,
            "3" => 2,
            _ => usize::MAX,
        };
        if terminal < terminals {
            return Some(terminal);
        }
        let sides = ["from", "to", "3"][..terminals.min(3)].join(", ");
        let problem = format!("{:?} is none of {sides}", self.row.text("side"));
        self.row.fault("side", problem, say);
        None
    }

    /// The node of a load, where it is the only one there.
    fn of_load(&self, load: usize, say: &mut Vec<Remark>) -> Option<Target> {
        let of = &self.network.loads[load];
        let mut nodes: Vec<usize> = of.legs.iter().flatten().flatten().copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let node = self.choose("load", &nodes, say)?;
        let here = |load: &&grid::three_phase::Load| {
            load.in_service && load.legs.iter().flatten().flatten().any(|&at| at == node)
        };
        let others: Vec<&str> = (self.network.loads.iter().filter(here))
            .map(|load| load.name.as_str())
            .filter(|name| *name != of.name)
            .collect();
        if others.is_empty() && !self.network.source_nodes().contains(&node) {
            return Some(Target::Node(node));
        }
        let id = &self.network.nodes[node].id;
        let others = if others.is_empty() { "a source".to_owned() } else { others.join(", ") };
        let problem =
            format!("at {id} there is {others}, too; name the node, with what all of them draw");
        self.row.fault("element", problem, say);
        None
    }

    fn element(&self, what: &str, say: &mut Vec<Remark>) -> Option<usize> {
        let key = self.row.text("element").to_lowercase();
        match self.names.elements.get(&key) {
            Some(elements) => self.only(what, elements, say),
            None => {
                let known: Vec<&str> =
                    self.network.elements.iter().map(|element| element.name.as_str()).collect();
                self.unknown(what, &known, say);
                None
            }
        }
    }

    fn only(&self, what: &str, found: &[usize], say: &mut Vec<Remark>) -> Option<usize> {
        if let [only] = found {
            return Some(*only);
        }
        let key = self.row.text("element");
        let problem = format!("{key:?} is the name of {} {what}s; name the class", found.len());
        self.row.fault("element", problem, say);
        None
    }

    /// The node of the row's phase among some; the only one where it says none.
    fn choose(&self, what: &str, nodes: &[usize], say: &mut Vec<Remark>) -> Option<usize> {
        let phase = self.phase();
        let id = |node: usize| self.network.nodes[node].id.as_str();
        if let ([only], "") = (nodes, phase.as_str()) {
            return Some(*only);
        }
        let found = nodes.iter().copied().find(|&node| phase_of(id(node)) == phase);
        if found.is_none() {
            let mut phases: Vec<&str> = nodes.iter().map(|&node| phase_of(id(node))).collect();
            phases.sort_unstable();
            let phases = phases.join(", ");
            let problem = if phase.is_empty() {
                format!("is empty, and the {what} has the phases {phases}")
            } else {
                format!("{:?} is none of the {what}'s phases {phases}", self.row.text("phase"))
            };
            self.row.fault("phase", problem, say);
        }
        found
    }

    /// The phase as identifiers of nodes have it.
    fn phase(&self) -> String {
        match self.row.text("phase").to_lowercase().as_str() {
            "a" => "1".to_owned(),
            "b" => "2".to_owned(),
            "c" => "3".to_owned(),
            other => other.to_owned(),
        }
    }

    fn unknown(&self, what: &str, known: &[&str], say: &mut Vec<Remark>) {
        let key = self.row.text("element");
        let problem = format!("there is no {what} {key:?}{}", near(key, known));
        self.row.fault("element", problem, say);
    }
}

/// What stands behind the last point of a node's identifier.
fn phase_of(node_id: &str) -> &str {
    node_id.rsplit_once('.').map_or(node_id, |(_, phase)| phase)
}

/// One of a unit: of the voltage base, in watts, var, amperes or radians.
fn of_unit(unit: &str, quantity: Quantity, base_volt: f64) -> Option<f64> {
    match (quantity, unit_of(unit)) {
        (Quantity::VoltageMagnitude, Some((_, "pu"))) => Some(1.0),
        (Quantity::VoltageMagnitude, _) => si_from(unit, quantity).map(|volt| volt / base_volt),
        _ => si_from(unit, quantity),
    }
}
