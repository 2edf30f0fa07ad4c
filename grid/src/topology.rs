//! Topology: from switch positions to electrical nodes and islands.
//!
//! Closed switches between buses make one *node* of them, topologically and never as a small
//! impedance, which would ruin every matrix it is in. An open end of a branch leaves the branch on
//! its other end, with what it draws there. A node's *island* is what it is connected with; an
//! island without a source is dead, which is a result and not an error.
//!
//! # Costs
//!
//! A switch at the end of a branch costs a search from both of its sides, as far as the smaller
//! side goes, and one pass over the nodes where an island is split or joined. A switch between
//! buses numbers the nodes anew, which takes time in proportion to the network.
//!
//! **Invariant:** nodes and islands are functions of the positions alone, not of the order in which
//! switches moved: nodes are numbered by their first bus, an island is called by its first node.

use std::collections::VecDeque;

use crate::complex::Complex;
use crate::model::Acts;
use crate::model::Holds;
use crate::model::Model;
use crate::model::TwoPort;
use crate::network::Side;

/// What a change of one switch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The nodes have new numbers: everything that is indexed by node is to be built anew.
    pub renumbered: bool,
    /// Islands have been split, joined, or have died or come to life.
    pub islands: bool,
    /// The branch whose admittance changed, if one did.
    pub branch: Option<usize>,
}

/// Nodes and islands of a model under given switch positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    // Made once.
    branches_of_bus: Rows,

    // State.
    closed: Vec<bool>,
    /// Open switches at each end of each branch.
    open_at: Vec<[u16; 2]>,
    node_of_bus: Vec<u32>,
    buses_of_node: Rows,
    island_of_node: Vec<u32>,
    live: Vec<bool>,
}

/// Lists of numbers, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rows {
    start: Vec<u32>,
    item: Vec<u32>,
}

impl Rows {
    /// `count` lists; each pair is a list and what belongs into it.
    fn new(count: usize, pairs: impl Iterator<Item = (usize, usize)> + Clone) -> Rows {
        let mut start = vec![0_u32; count + 1];
        for (row, _) in pairs.clone() {
            start[row + 1] += 1;
        }
        for row in 0..count {
            start[row + 1] += start[row];
        }
        let mut next = start.clone();
        let mut item = vec![0_u32; start[count] as usize];
        for (row, value) in pairs {
            item[next[row] as usize] = value as u32;
            next[row] += 1;
        }
        Rows { start, item }
    }

    fn row(&self, row: usize) -> &[u32] {
        &self.item[self.start[row] as usize..self.start[row + 1] as usize]
    }
}

impl Topology {
    /// The topology of a model with all switches in their normal positions.
    pub fn new(model: &Model) -> Topology {
        let closed: Vec<bool> = model.switches.iter().map(|switch| switch.closed).collect();
        Topology::with_positions(model, &closed)
    }

    /// The topology of a model with given switch positions, one a switch.
    ///
    /// # Panics
    /// There are not as many positions as switches.
    pub fn with_positions(model: &Model, closed: &[bool]) -> Topology {
        assert_eq!(closed.len(), model.switches.len(), "one position a switch");
        let ends = model.branches.iter().enumerate();
        let pairs = ends.flat_map(|(b, branch)| [(branch.from, b), (branch.to, b)]);
        let mut open_at = vec![[0_u16; 2]; model.branches.len()];
        for (switch, &closed) in model.switches.iter().zip(closed) {
            if let (Acts::Connects(branch, side), false) = (switch.acts, closed) {
                open_at[branch][side as usize] += 1;
            }
        }
        let mut topology = Topology {
            branches_of_bus: Rows::new(model.bus_kv.len(), pairs),
            closed: closed.to_vec(),
            open_at,
            node_of_bus: Vec::new(),
            buses_of_node: Rows::default(),
            island_of_node: Vec::new(),
            live: Vec::new(),
        };
        topology.number_nodes(model);
        topology
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.island_of_node.len()
    }

    /// The node of a bus.
    pub fn node(&self, bus: usize) -> usize {
        self.node_of_bus[bus] as usize
    }

    /// The node of each bus.
    pub fn node_of_buses(&self) -> &[u32] {
        &self.node_of_bus
    }

    /// The branches that have an end at a bus, ascending, whether it is connected or not; one with
    /// both ends there comes once.
    pub fn branches_at(&self, bus: usize) -> impl Iterator<Item = usize> + '_ {
        let row = self.branches_of_bus.row(bus);
        let again = |k: usize| k > 0 && row[k - 1] == row[k];
        row.iter().enumerate().filter(move |&(k, _)| !again(k)).map(|(_, &branch)| branch as usize)
    }

    /// The buses of a node, ascending.
    pub fn buses(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.buses_of_node.row(node).iter().map(|&bus| bus as usize)
    }

    /// The island of a node: its first node.
    pub fn island(&self, node: usize) -> usize {
        self.island_of_node[node] as usize
    }

    /// True if the node is connected with a source.
    pub fn energised(&self, node: usize) -> bool {
        self.live[self.island_of_node[node] as usize]
    }

    /// Positions of the switches.
    pub fn closed(&self) -> &[bool] {
        &self.closed
    }

    /// True if an end of a branch is connected: no switch at it is open.
    pub fn end_closed(&self, branch: usize, side: Side) -> bool {
        self.open_at[branch][side as usize] == 0
    }

    /// True if a branch connects its two ends.
    pub fn connects(&self, model: &Model, branch: usize) -> bool {
        let line = &model.branches[branch];
        self.open_at[branch] == [0, 0] && self.takes_part(model, line.from, line.to, branch)
    }

    fn takes_part(&self, model: &Model, from: usize, to: usize, branch: usize) -> bool {
        model.branches[branch].in_service && model.bus_in_service[from] && model.bus_in_service[to]
    }

    /// The two-port of a branch as it is connected: an open end is eliminated.
    pub fn two_port(&self, model: &Model, branch: usize) -> TwoPort {
        let line = &model.branches[branch];
        let (from, to) = (line.from, line.to);
        let [ff, ft, tf, tt] = line.y;
        let zero = Complex::ZERO;
        let from_in = line.in_service && model.bus_in_service[from];
        let to_in = line.in_service && model.bus_in_service[to];
        let [open_from, open_to] = self.open_at[branch];
        match (from_in && open_from == 0, to_in && open_to == 0) {
            (true, true) => line.y,
            (true, false) => [ff - ft * tf / tt, zero, zero, zero],
            (false, true) => [zero, zero, zero, tt - tf * ft / ff],
            (false, false) => [zero; 4],
        }
    }

    /// Finds nodes and islands anew after the model changed otherwise than by a switch: a branch, a
    /// bus or a source went out of service or came back.
    pub fn refresh(&mut self, model: &Model) {
        self.number_nodes(model);
    }

    /// Moves a switch and says what came of it.
    pub fn set(&mut self, model: &Model, switch: usize, closed: bool) -> Change {
        if self.closed[switch] == closed {
            return Change::default();
        }
        self.closed[switch] = closed;
        match model.switches[switch].acts {
            Acts::Joins(..) => {
                self.number_nodes(model);
                Change { renumbered: true, islands: true, branch: None }
            }
            Acts::Connects(branch, side) => self.connect(model, branch, side, closed),
        }
    }

    fn connect(&mut self, model: &Model, branch: usize, side: Side, closed: bool) -> Change {
        let before = self.connects(model, branch);
        let was_closed = self.end_closed(branch, side);
        let count = &mut self.open_at[branch][side as usize];
        *count = if closed { *count - 1 } else { *count + 1 };
        if self.end_closed(branch, side) == was_closed {
            return Change::default();
        }
        let line = &model.branches[branch];
        let (from, to) = (self.node(line.from), self.node(line.to));
        let islands = match (before, self.connects(model, branch)) {
            (false, true) => self.join(from, to),
            (true, false) => self.split(model, from, to),
            _ => false,
        };
        if islands {
            self.find_live(model);
        }
        Change { renumbered: false, islands, branch: Some(branch) }
    }

    /// Makes one island of two; false if they were one.
    fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.island_of_node[a], self.island_of_node[b]);
        if a == b {
            return false;
        }
        for island in &mut self.island_of_node {
            if *island == a || *island == b {
                *island = a.min(b);
            }
        }
        true
    }

    /// Makes two islands of one where `a` and `b` are no longer connected; false if they are.
    fn split(&mut self, model: &Model, a: usize, b: usize) -> bool {
        if a == b {
            return false;
        }
        let Some(part) = self.part_without_way(model, a, b) else { return false };
        let island = self.island_of_node[a];
        let first = part.iter().copied().min().expect("a part holds the node it began at") as u32;
        for &node in &part {
            self.island_of_node[node] = first;
        }
        if first == island {
            // The part took the name along: the rest gets its own first node's.
            let mut inside = vec![false; self.nodes()];
            part.iter().for_each(|&node| inside[node] = true);
            let rest = |(n, i): (usize, &u32)| *i == island && !inside[n];
            let name = self.island_of_node.iter().enumerate().position(rest);
            let name = name.expect("the other side holds a node") as u32;
            for (node, island_of) in self.island_of_node.iter_mut().enumerate() {
                if *island_of == island && !inside[node] {
                    *island_of = name;
                }
            }
        }
        true
    }

    /// Searches from both nodes at once, a node each in turn: the nodes of the side that ends
    /// first without having met the other; nothing if they meet.
    fn part_without_way(&self, model: &Model, a: usize, b: usize) -> Option<Vec<usize>> {
        const FREE: u8 = 2;
        let mut side_of = vec![FREE; self.nodes()];
        let mut found = [vec![a], vec![b]];
        let mut queue = [VecDeque::from([a]), VecDeque::from([b])];
        (side_of[a], side_of[b]) = (0, 1);
        loop {
            for side in 0..2 {
                let Some(node) = queue[side].pop_front() else {
                    return Some(std::mem::take(&mut found[side]));
                };
                for next in self.neighbours(model, node) {
                    match side_of[next] {
                        FREE => {
                            side_of[next] = side as u8;
                            found[side].push(next);
                            queue[side].push_back(next);
                        }
                        other if other != side as u8 => return None,
                        _ => {}
                    }
                }
            }
        }
    }

    fn neighbours<'a>(&'a self, model: &'a Model, node: usize) -> impl Iterator<Item = usize> + 'a {
        self.buses(node)
            .flat_map(|bus| self.branches_of_bus.row(bus))
            .map(|&branch| branch as usize)
            .filter(|&branch| self.connects(model, branch))
            .map(move |branch| {
                let line = &model.branches[branch];
                let (from, to) = (self.node(line.from), self.node(line.to));
                if from == node { to } else { from }
            })
    }

    fn number_nodes(&mut self, model: &Model) {
        let buses = model.bus_kv.len();
        let mut sets = Sets::new(buses);
        for (switch, &closed) in model.switches.iter().zip(&self.closed) {
            let Acts::Joins(a, b) = switch.acts else { continue };
            if closed && model.bus_in_service[a] && model.bus_in_service[b] {
                sets.join(a, b);
            }
        }
        self.node_of_bus = vec![u32::MAX; buses];
        let mut nodes = 0;
        for bus in 0..buses {
            let first = sets.first(bus);
            if first == bus {
                self.node_of_bus[bus] = nodes;
                nodes += 1;
            } else {
                self.node_of_bus[bus] = self.node_of_bus[first];
            }
        }
        let pairs = self.node_of_bus.iter().enumerate().map(|(bus, &node)| (node as usize, bus));
        self.buses_of_node = Rows::new(nodes as usize, pairs);
        let mut islands = Sets::new(nodes as usize);
        for branch in 0..model.branches.len() {
            if self.connects(model, branch) {
                let line = &model.branches[branch];
                islands.join(self.node(line.from), self.node(line.to));
            }
        }
        self.island_of_node = (0..nodes as usize).map(|node| islands.first(node) as u32).collect();
        self.find_live(model);
    }

    fn find_live(&mut self, model: &Model) {
        self.live.clear();
        self.live.resize(self.nodes(), false);
        for injection in &model.injections {
            let feeds = matches!(injection.holds, Holds::Voltage(_)) && injection.in_service;
            if feeds && model.bus_in_service[injection.bus] {
                let island = self.island(self.node(injection.bus));
                self.live[island] = true;
            }
        }
    }
}

/// Disjoint sets of numbers, each called by its least (union-find with path halving).
struct Sets {
    parent: Vec<u32>,
}

impl Sets {
    fn new(count: usize) -> Sets {
        Sets { parent: (0..count as u32).collect() }
    }

    fn first(&mut self, mut of: usize) -> usize {
        while self.parent[of] as usize != of {
            let above = self.parent[self.parent[of] as usize];
            self.parent[of] = above;
            of = above as usize;
        }
        of
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first(a), self.first(b));
        let (least, other) = (a.min(b), a.max(b));
        self.parent[other] = least as u32;
    }
}
