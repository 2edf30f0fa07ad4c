//! The plan of a feeder whose network is an unbalanced file.
//!
//! Its buses are the nodes, called `BUS.PHASE` as the file has them; its branches the conductors of
//! what carries current between buses, called `ELEMENT.PHASE` by the node of the first terminal.
//! What is connected at a node, of however many loads, is one injection: a measured power is of the
//! node. Its share is what the loads there draw in the file's own power flow. The head is all
//! nodes of sources: each its own points, else those of everything that begins there.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use grid::BusIndex;
use grid::measurement::Quantity;
use grid::three_phase::Kind;
use grid::three_phase::Network;
use grid::three_phase::measurement::Target;
use schemas::reference::Point;

use super::Physics;
use super::Plan;
use super::PlannedInjection;
use super::PlannedPoint;
use super::PlannedTap;
use super::Rating;
use super::SWITCH;
use super::Share;
use super::TAP;
use super::planned;
use super::quantity_of;
use crate::estimate::networks::Part;

/// The power base of a phase in MVA: of the size of what flows in one.
const BASE_MVA: f64 = 0.1;

/// The name of a conductor: its element's and the phase of its node.
pub fn conductor_name(network: &Network, element: usize, node: usize) -> String {
    format!("{}.{}", network.elements[element].name, phase_of(&network.nodes[node].id))
}

/// What stands behind the last point of a node's identifier.
pub fn phase_of(node_id: &str) -> &str {
    node_id.rsplit_once('.').map_or(node_id, |(_, phase)| phase)
}

/// The plan of an unbalanced network.
///
/// # Errors
/// The network cannot be estimated; everything that is wrong, in words.
pub(super) fn plan<'a>(
    part: &Part,
    network: &Network,
    rows: impl Iterator<Item = &'a Point>,
    frequency_hz: f64,
) -> Result<Plan, Vec<String>> {
    let unfit = network.unfit();
    if !unfit.is_empty() {
        return Err(unfit);
    }
    let (mut points, mut taps, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    let places = Places::new(network);
    for row in rows {
        if row.element == SWITCH {
            if !part.switches.contains(&row.point_id) {
                problems.push(format!("{} is the name of no switch", row.point_id));
            }
            continue;
        }
        if row.element == TAP {
            match places.tap(row) {
                Some(tap) => taps.push(tap),
                None => problems.push(missing(row)),
            }
            continue;
        }
        match places.point(row) {
            Ok(point) => points.push(point),
            Err(problem) => problems.push(problem),
        }
    }
    let head = [Quantity::ActivePower, Quantity::ReactivePower]
        .map(|quantity| head(network, &points, quantity));
    let conductors = network.conductors();
    let names = conductors.iter().map(|&(element, node)| conductor_name(network, element, node));
    let branches = names.collect();
    let rating = |&(_, node): &(usize, usize)| Rating {
        base_a: 1e6 * BASE_MVA / network.nodes[node].base_volt,
        most: [f64::INFINITY; 2],
    };
    let ratings = conductors.iter().map(rating).collect();
    let switches = network.switches().into_iter().map(|at| network.elements[at].name.clone());
    Ok(Plan {
        physics: Physics::Unbalanced(Box::new(network.clone())),
        base_mva: BASE_MVA,
        buses: network.nodes.iter().map(|node| node.id.clone()).collect(),
        own_buses: network.nodes.len(),
        branches,
        ratings,
        switches: part.switches.iter().cloned().zip(switches).collect(),
        // A folder of matrices says none.
        nominal_hz: Some(network.frequency_hz).filter(|hz| *hz > 0.0).unwrap_or(frequency_hz),
        free_ratios: Vec::new(),
        injections: injections(network, &points),
        points,
        taps,
        head,
        problems,
    })
}

fn missing(row: &Point) -> String {
    let (id, element, of) = (&row.point_id, &row.element, &row.element_id);
    format!("{id} measures the {element} {of}, which is not there")
}

/// Nodes and elements by name.
struct Places<'n> {
    network: &'n Network,
    nodes: BTreeMap<&'n str, usize>,
    elements: BTreeMap<&'n str, usize>,
}

impl<'n> Places<'n> {
    fn new(network: &'n Network) -> Places<'n> {
        let nodes = network.nodes.iter().enumerate();
        let elements = network.elements.iter().enumerate();
        Places {
            network,
            nodes: nodes.map(|(at, node)| (node.id.as_str(), at)).collect(),
            elements: elements.map(|(at, element)| (element.name.as_str(), at)).collect(),
        }
    }

    fn point(&self, row: &Point) -> Result<PlannedPoint, String> {
        let Some((conductor, node)) = self.target(row) else {
            return Err(missing(row));
        };
        let base_a = 1e6 * BASE_MVA / self.network.nodes[node].base_volt;
        let (quantity, unit_pu) = quantity_of(row, BASE_MVA, base_a)?;
        let target = grid::measurement::Target::Bus(BusIndex(node));
        Ok(PlannedPoint { conductor, ..planned(row, quantity, target, unit_pu)? })
    }

    /// A tap: of `transformer.t/2` the second winding's, in steps from the middle of its range or
    /// per unit.
    fn tap(&self, row: &Point) -> Option<PlannedTap> {
        let (name, winding) = row.element_id.rsplit_once('/')?;
        let element = *self.elements.get(name)?;
        let Kind::Transformer(sheet) = &self.network.elements[element].kind else { return None };
        let winding = winding.parse::<usize>().ok()?.checked_sub(1)?;
        let of = sheet.windings.get(winding)?;
        let step = of.tap_step();
        let scale = match row.quantity.as_str() {
            "tap_step" => (row.scale * step, (of.tap_min + of.tap_max) / 2.0),
            "tap_pu" => (row.scale, 0.0),
            _ => return None,
        };
        // Half a step for what is rounded.
        let range = (of.tap_min - step / 2.0, of.tap_max + step / 2.0);
        Some(PlannedTap { id: row.point_id.clone(), winding: (element, winding), scale, range })
    }

    /// The conductor where it is one, and the node.
    fn target(&self, row: &Point) -> Option<(Option<Target>, usize)> {
        match row.element.as_str() {
            "bus" => Some((None, *self.nodes.get(row.element_id.as_str())?)),
            "branch" => {
                let (name, phase) = row.element_id.rsplit_once('.')?;
                let element = *self.elements.get(name)?;
                let terminal = terminal(row.side.as_deref()?)?;
                let of = &self.network.elements[element];
                if terminal >= of.terminals {
                    return None;
                }
                let mut nodes = of.terminal(terminal).iter().flatten();
                let here = |node: &&usize| phase_of(&self.network.nodes[**node].id) == phase;
                let node = *nodes.find(here)?;
                Some((Some(Target::Conductor { element, terminal, node }), node))
            }
            _ => None,
        }
    }
}

/// A terminal from 0, by its word or number.
pub fn terminal(side: &str) -> Option<usize> {
    match side {
        "from" | "1" => Some(0),
        "to" | "2" => Some(1),
        "3" => Some(2),
        _ => None,
    }
}

/// What is connected, node by node, without the sources.
fn injections(network: &Network, points: &[PlannedPoint]) -> Vec<PlannedInjection> {
    let drawn = network.drawn();
    let idle: BTreeSet<usize> =
        network.zero_injection_nodes().into_iter().chain(network.source_nodes()).collect();
    let nodes = (0..network.nodes.len()).filter(|node| !idle.contains(node));
    let injection = |node: usize| {
        let measures = |point: &PlannedPoint| {
            point.quantity == Quantity::ActivePower && at_node(point) == Some(node)
        };
        PlannedInjection {
            index: node,
            bus: node,
            at_bus: 1,
            battery_kw: 0.0,
            share: Share::Stated(drawn[node].re / 1e3, drawn[node].im / 1e3),
            points: (0..points.len()).filter(|&point| measures(&points[point])).collect(),
        }
    };
    nodes.map(injection).collect()
}

/// The node of a point that is of a node.
fn at_node(point: &PlannedPoint) -> Option<usize> {
    match (point.conductor, point.target) {
        (None, grid::measurement::Target::Bus(node)) => Some(node.0),
        _ => None,
    }
}

/// The points that add up to what sources give; none where one is missing.
fn head(network: &Network, points: &[PlannedPoint], quantity: Quantity) -> Vec<(usize, f64)> {
    let found = |is: &dyn Fn(&PlannedPoint) -> bool| {
        let place = points.iter().position(|point| point.quantity == quantity && is(point))?;
        Some((place, points[place].scale))
    };
    let loaded: BTreeSet<usize> = network
        .loads
        .iter()
        .flat_map(|load| load.legs.iter().flatten().flatten())
        .copied()
        .collect();
    let mut all = Vec::new();
    for source in network.source_nodes() {
        if let Some(own) = found(&|point| at_node(point) == Some(source)) {
            all.push(own);
            continue;
        }
        // Not all that a source gives goes into what begins there.
        if loaded.contains(&source) {
            return Vec::new();
        }
        for (at, element) in network.elements.iter().enumerate() {
            let here = element.nodes.contains(&Some(source)) && element.in_service;
            if !here || element.kind == Kind::Source {
                continue;
            }
            for terminal in 0..element.terminals {
                if !element.terminal(terminal).contains(&Some(source)) {
                    continue;
                }
                let target = Target::Conductor { element: at, terminal, node: source };
                let Some(flow) = found(&|point| point.conductor == Some(target)) else {
                    return Vec::new();
                };
                all.push(flow);
            }
        }
    }
    all
}
