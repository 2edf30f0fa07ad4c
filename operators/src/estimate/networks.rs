//! Networks that came from files, cut into what can be estimated apart.
//!
//! A file is one network; workers share the load by feeder. Two parts of a network can be estimated
//! each by itself if nothing connects them, also when every switch is closed: so a part is a
//! *potential island*, whatever its switches do. It takes the place of a feeder in everything that
//! is keyed by one. What no source can ever reach is dead wherever it is counted, and belongs to
//! the first part.
//!
//! The operators open no file: who reads the network hands it over, with the names under which its
//! switches are heard of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use grid::BusIndex;
use grid::Network;
use grid::network::BranchIndex;
use grid::network::Connection;
use grid::network::Control;
use grid::three_phase;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::IgnoredAny;

/// A network of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyNetwork {
    /// Balanced: positive sequence, a node a bus.
    Balanced(Network),
    /// Unbalanced: conductor by conductor. It is one part, whatever it is made of.
    Unbalanced(Box<three_phase::Network>),
}

/// How many elements it has.
impl fmt::Display for AnyNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnyNetwork::Balanced(of) => {
                let branches = of.branches.len() + of.three_winding.len();
                let (buses, switches) = (of.buses.len(), of.switches.len());
                write!(
                    f,
                    "{buses} buses, {branches} branches and transformers, {switches} switches"
                )
            }
            AnyNetwork::Unbalanced(of) => {
                let switches = of.switches().len();
                let elements = of.elements.len() - switches;
                write!(f, "{} nodes, {elements} elements, {switches} switches", of.nodes.len())
            }
        }
    }
}

impl Default for AnyNetwork {
    fn default() -> AnyNetwork {
        AnyNetwork::Balanced(Network::default())
    }
}

/// A network that is estimated by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Under which feeder it stands in points, switches and estimates.
    pub feeder_id: String,
    /// The network.
    pub network: AnyNetwork,
    /// The names under which its switches are heard of, in its order.
    pub switches: Vec<String>,
    /// Identifiers of branches of a balanced network whose ratio is estimated, each with the
    /// relative standard deviation of the one that the network states; nothing where that is not
    /// believed at all.
    pub free_ratios: BTreeMap<String, Option<f64>>,
}

impl Part {
    /// The network, if it is balanced.
    pub fn balanced(&self) -> Option<&Network> {
        match &self.network {
            AnyNetwork::Balanced(network) => Some(network),
            AnyNetwork::Unbalanced(_) => None,
        }
    }
}

/// Networks by feeder; shared by all workers. As text it is a fingerprint a feeder, so that another
/// network is another setting; it is not read back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Networks(Arc<BTreeMap<String, Part>>);

impl Networks {
    /// These parts, each under its feeder.
    pub fn new(parts: Vec<Part>) -> Networks {
        let by_feeder = parts.into_iter().map(|part| (part.feeder_id.clone(), part));
        Networks(Arc::new(by_feeder.collect()))
    }

    /// The network of a feeder, if it is one of these.
    pub fn get(&self, feeder_id: &str) -> Option<&Part> {
        self.0.get(feeder_id)
    }

    /// All of them, in the order of their feeders.
    pub fn iter(&self) -> impl Iterator<Item = &Part> {
        self.0.values()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(feeder, part)| (feeder, fingerprint(part))))
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Networks, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Ok(Networks::default())
    }
}

/// A number that tells parts apart: FNV-1a, 64 bit, of everything in it as text.
fn fingerprint(part: &Part) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in format!("{part:?}").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// Cuts a network into its potential islands. One keeps its name; several are called
/// `NAME/BUS`, by the bus of the first source in each.
///
/// Every element that refers to a bus or branch must refer to one that is there
/// ([`fatal`](grid::network::check::fatal)).
pub fn split(network: &Network, name: &str) -> Vec<(String, Network)> {
    let root = potential_islands(network);
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for injection in &network.injections {
        let source = matches!(injection.control, Control::Slack { .. }) && injection.in_service;
        let island = root[injection.bus.0];
        if source && !parts.iter().any(|(known, _)| *known == island) {
            parts.push((island, injection.bus.0));
        }
    }
    if parts.len() <= 1 {
        return vec![(name.to_owned(), network.clone())];
    }
    let part_of = |bus: usize| {
        let part = parts.iter().position(|(island, _)| *island == root[bus]);
        part.unwrap_or(0)
    };
    let named = parts.iter().map(|(_, bus)| format!("{name}/{}", network.buses[*bus].id));
    let cut = (0..parts.len()).map(|part| cut(network, &|bus| part_of(bus) == part));
    named.zip(cut).collect()
}

/// For each bus the least bus that it may be connected with.
fn potential_islands(network: &Network) -> Vec<usize> {
    fn find(root: &mut [usize], mut bus: usize) -> usize {
        while root[bus] != bus {
            root[bus] = root[root[bus]];
            bus = root[bus];
        }
        bus
    }
    let mut root: Vec<usize> = (0..network.buses.len()).collect();
    let mut join = |a: usize, b: usize| {
        let (a, b) = (find(&mut root, a), find(&mut root, b));
        root[a.max(b)] = a.min(b);
    };
    network.branches.iter().for_each(|branch| join(branch.from.0, branch.to.0));
    for transformer in &network.three_winding {
        let [high, middle, low] = [0, 1, 2].map(|k| transformer.windings[k].bus.0);
        join(high, middle);
        join(high, low);
    }
    for switch in &network.switches {
        if let Connection::Buses(a, b) = switch.connection {
            join(a.0, b.0);
        }
    }
    (0..network.buses.len()).map(|bus| find(&mut root, bus)).collect()
}

/// The elements at some buses, by their new places.
fn cut(network: &Network, inside: &dyn Fn(usize) -> bool) -> Network {
    let places = |keep: Vec<bool>| -> Vec<usize> {
        let place = |next: &mut usize, keep: &bool| {
            let place = *next;
            *next += usize::from(*keep);
            Some(place)
        };
        keep.iter().scan(0, place).collect()
    };
    let buses = places((0..network.buses.len()).map(inside).collect());
    let branches = places(network.branches.iter().map(|b| inside(b.from.0)).collect());
    let transformers =
        places(network.three_winding.iter().map(|t| inside(t.windings[0].bus.0)).collect());
    let mut part = Network {
        name: network.name.clone(),
        frequency_hz: network.frequency_hz,
        base_mva: network.base_mva,
        ..Network::default()
    };
    let kept = network.buses.iter().enumerate().filter(|(bus, _)| inside(*bus));
    part.buses = kept.map(|(_, bus)| bus.clone()).collect();
    for branch in network.branches.iter().filter(|branch| inside(branch.from.0)) {
        let (from, to) = (BusIndex(buses[branch.from.0]), BusIndex(buses[branch.to.0]));
        part.branches.push(grid::network::Branch { from, to, ..branch.clone() });
    }
    for of in network.three_winding.iter().filter(|of| inside(of.windings[0].bus.0)) {
        let mut of = of.clone();
        of.windings.iter_mut().for_each(|winding| winding.bus = BusIndex(buses[winding.bus.0]));
        part.three_winding.push(of);
    }
    for shunt in network.shunts.iter().filter(|shunt| inside(shunt.bus)) {
        part.shunts.push(grid::network::Shunt { bus: buses[shunt.bus], ..shunt.clone() });
    }
    for switch in &network.switches {
        let (bus, connection) = match switch.connection {
            Connection::Buses(a, b) => {
                (a.0, Connection::Buses(BusIndex(buses[a.0]), BusIndex(buses[b.0])))
            }
            Connection::BranchEnd(branch, side) => {
                let moved = BranchIndex(branches[branch.0]);
                (network.branches[branch.0].from.0, Connection::BranchEnd(moved, side))
            }
            Connection::WindingEnd(of, winding) => {
                let bus = network.three_winding[of].windings[0].bus.0;
                (bus, Connection::WindingEnd(transformers[of], winding))
            }
        };
        if inside(bus) {
            part.switches.push(grid::network::Switch { connection, ..switch.clone() });
        }
    }
    for injection in network.injections.iter().filter(|injection| inside(injection.bus.0)) {
        let bus = BusIndex(buses[injection.bus.0]);
        part.injections.push(grid::network::Injection { bus, ..injection.clone() });
    }
    part
}
