//! The network as a tree in breadth-first order, the form that [`Sweep`](super::Sweep) walks.
//!
//! A transformer becomes two edges with its star point between them. Node 0 is the source.
//!
//! **Invariant:** a parent's number is below its children's; node 0 is its own parent
//! and always live.

use std::collections::VecDeque;

use crate::complex::Complex;
use crate::network::BusIndex;
use crate::network::Network;
use crate::network::NetworkError;

/// Nodes in breadth-first order with what leads to each.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    // Made once, one entry a node.
    parent: Vec<usize>,
    series_z: Vec<Complex>,
    shunt_y: Vec<Complex>,
    shift_deg: Vec<f64>,

    // Made once, one entry an element of the network.
    node_of_bus: Vec<usize>,
    node_of_branch: Vec<usize>,
    nodes_of_transformer: Vec<(usize, usize)>,

    // State, one entry a node.
    closed: Vec<bool>,
    live: Vec<bool>,
}

/// An element seen from one of its buses.
#[derive(Clone, Copy)]
enum Edge {
    Branch(usize),
    Transformer(usize),
}

/// Marks what has not been reached yet.
const UNREACHED: usize = usize::MAX;

impl Tree {
    pub(super) fn new(network: &Network) -> Result<Tree, NetworkError> {
        let edges_at = edges_by_bus(network);
        let mut tree = Tree::root(network);
        let mut used_branch = vec![false; network.branches().len()];
        let mut used_transformer = vec![false; network.transformers().len()];
        let mut queue = VecDeque::from([network.source()]);
        while let Some(bus) = queue.pop_front() {
            for &(edge, far) in &edges_at[bus.0] {
                let used = match edge {
                    Edge::Branch(number) => &mut used_branch[number],
                    Edge::Transformer(number) => &mut used_transformer[number],
                };
                if std::mem::replace(used, true) {
                    continue;
                }
                if tree.node_of_bus[far.0] != UNREACHED {
                    let bus_id = network.buses()[far.0].id.clone();
                    return Err(NetworkError::NotRadial { element: name(network, edge), bus_id });
                }
                match edge {
                    Edge::Branch(number) => tree.add_branch(network, number, bus, far),
                    Edge::Transformer(number) => tree.add_transformer(network, number, bus, far),
                }
                queue.push_back(far);
            }
        }
        match tree.node_of_bus.iter().position(|&node| node == UNREACHED) {
            None => Ok(tree),
            Some(bus) => {
                Err(NetworkError::Disconnected { bus_id: network.buses()[bus].id.clone() })
            }
        }
    }

    fn root(network: &Network) -> Tree {
        let mut tree = Tree {
            parent: Vec::new(),
            series_z: Vec::new(),
            shunt_y: Vec::new(),
            shift_deg: Vec::new(),
            node_of_bus: vec![UNREACHED; network.buses().len()],
            node_of_branch: vec![UNREACHED; network.branches().len()],
            nodes_of_transformer: vec![(UNREACHED, UNREACHED); network.transformers().len()],
            closed: Vec::new(),
            live: Vec::new(),
        };
        tree.node_of_bus[network.source().0] = tree.push(0, Complex::ZERO, 0.0);
        tree
    }

    fn push(&mut self, parent: usize, series_z: Complex, shift_deg: f64) -> usize {
        self.parent.push(parent);
        self.series_z.push(series_z);
        self.shunt_y.push(Complex::ZERO);
        self.shift_deg.push(shift_deg);
        self.closed.push(true);
        self.live.push(true);
        self.parent.len() - 1
    }

    fn add_branch(&mut self, network: &Network, number: usize, near: BusIndex, far: BusIndex) {
        let branch = &network.branches()[number];
        let kv = network.buses()[near.0].nominal_kv;
        let y_end = branch.end_y_pu(kv, network.frequency_hz());
        let parent = self.node_of_bus[near.0];
        let node = self.push(parent, branch.series_z_pu(kv), self.shift_deg[parent]);
        self.shunt_y[parent] += y_end;
        self.shunt_y[node] += y_end;
        self.node_of_bus[far.0] = node;
        self.node_of_branch[number] = node;
    }

    fn add_transformer(&mut self, network: &Network, number: usize, near: BusIndex, far: BusIndex) {
        let transformer = &network.transformers()[number];
        let half_z = transformer.series_z_pu().scale(0.5);
        let parent = self.node_of_bus[near.0];
        // Seen from the low-voltage side the high-voltage side leads.
        let sign = if far == transformer.lv { 1.0 } else { -1.0 };
        let shift_deg = self.shift_deg[parent] + sign * transformer.shift_deg;
        let star = self.push(parent, half_z, self.shift_deg[parent]);
        self.shunt_y[star] = transformer.magnetising_y_pu();
        let node = self.push(star, half_z, shift_deg);
        self.node_of_bus[far.0] = node;
        self.nodes_of_transformer[number] = (star, node);
    }

    pub(super) fn len(&self) -> usize {
        self.parent.len()
    }

    pub(super) fn parent(&self, node: usize) -> usize {
        self.parent[node]
    }

    pub(super) fn series_z(&self, node: usize) -> Complex {
        self.series_z[node]
    }

    pub(super) fn shunt_y(&self, node: usize) -> Complex {
        self.shunt_y[node]
    }

    /// How far the node's reference lags the source's, in degrees.
    pub(super) fn shift_deg(&self, node: usize) -> f64 {
        self.shift_deg[node]
    }

    pub(super) fn live(&self, node: usize) -> bool {
        self.live[node]
    }

    pub(super) fn node_of_bus(&self, bus: BusIndex) -> usize {
        self.node_of_bus[bus.0]
    }

    /// The node that the branch leads to.
    pub(super) fn node_of_branch(&self, branch: usize) -> usize {
        self.node_of_branch[branch]
    }

    /// The star point of a transformer and the node it leads to.
    pub(super) fn nodes_of_transformer(&self, transformer: usize) -> (usize, usize) {
        self.nodes_of_transformer[transformer]
    }

    /// Opens or closes the edge that leads to a node.
    pub(super) fn set_closed(&mut self, node: usize, closed: bool) {
        self.closed[node] = closed;
        for i in 1..self.live.len() {
            self.live[i] = self.closed[i] && self.live[self.parent[i]];
        }
    }
}

/// For each bus, the elements at it and the bus at their other end.
fn edges_by_bus(network: &Network) -> Vec<Vec<(Edge, BusIndex)>> {
    let mut edges = vec![Vec::new(); network.buses().len()];
    for (number, transformer) in network.transformers().iter().enumerate() {
        edges[transformer.hv.0].push((Edge::Transformer(number), transformer.lv));
        edges[transformer.lv.0].push((Edge::Transformer(number), transformer.hv));
    }
    for (number, branch) in network.branches().iter().enumerate() {
        edges[branch.from.0].push((Edge::Branch(number), branch.to));
        edges[branch.to.0].push((Edge::Branch(number), branch.from));
    }
    edges
}

fn name(network: &Network, edge: Edge) -> String {
    match edge {
        Edge::Branch(number) => network.branches()[number].id.clone(),
        Edge::Transformer(number) => network.transformers()[number].id.clone(),
    }
}
