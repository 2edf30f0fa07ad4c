//! The network: nodes, elements, loads, and what controls them.

use std::collections::BTreeMap;

use crate::three_phase::Control;
use crate::three_phase::Element;
use crate::three_phase::Kind;
use crate::three_phase::Load;

/// A node: one conductor of one bus.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Its identifier, as in `671.2`.
    pub id: String,
    /// Its bus.
    pub bus: String,
    /// The base of its voltage to ground in volts; 0 where none is known.
    pub base_volt: f64,
}

/// An unbalanced network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// What it is called.
    pub name: String,
    /// Nominal frequency in Hz.
    pub frequency_hz: f64,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// All elements, sources among them.
    pub elements: Vec<Element>,
    /// All loads.
    pub loads: Vec<Load>,
    /// What moves taps and switches capacitors, in the order in which they are asked.
    pub controls: Vec<Control>,
}

impl Network {
    /// The position of a node by its identifier. Takes time in proportion to the nodes.
    pub fn node_index(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }

    /// The position of an element by its name. Takes time in proportion to the elements.
    pub fn element_index(&self, name: &str) -> Option<usize> {
        self.elements.iter().position(|element| element.name == name)
    }

    /// The position of a load by its name. Takes time in proportion to the loads.
    pub fn load_index(&self, name: &str) -> Option<usize> {
        self.loads.iter().position(|load| load.name == name)
    }

    /// For each node the first of those that the chosen elements, closed switches as a rule, make
    /// one with it, conductor by conductor.
    pub fn merged_nodes(&self, chosen: impl Fn(&Element) -> bool) -> Vec<usize> {
        let mut sets = Sets::new(self.nodes.len());
        for element in self.elements.iter().filter(|element| element.in_service) {
            if element.terminals == 2 && chosen(element) {
                for (a, b) in element.terminal(0).iter().zip(element.terminal(1)) {
                    if let (Some(a), Some(b)) = (a, b) {
                        sets.join(*a, *b);
                    }
                }
            }
        }
        (0..self.nodes.len()).map(|node| sets.root(node)).collect()
    }

    /// The network with closed switches as one node each and without those switches, and for each
    /// node of this network its position in the new one.
    pub fn merged(&self) -> (Network, Vec<usize>) {
        let closed = |element: &Element| element.kind == (Kind::Switch { closed: true });
        let roots = self.merged_nodes(closed);
        let mut position = BTreeMap::new();
        let mut network = Network { nodes: Vec::new(), ..self.clone() };
        for (node, &root) in roots.iter().enumerate() {
            if node == root {
                position.insert(root, network.nodes.len());
                network.nodes.push(self.nodes[node].clone());
            }
        }
        let place: Vec<usize> = roots.iter().map(|root| position[root]).collect();
        for element in &mut network.elements {
            if element.kind == (Kind::Switch { closed: true }) {
                element.in_service = false;
            }
            element.nodes.iter_mut().flatten().for_each(|node| *node = place[*node]);
        }
        for load in &mut network.loads {
            load.legs.iter_mut().flatten().flatten().for_each(|node| *node = place[*node]);
        }
        (network, place)
    }

    /// The island of each node, by its first node, where anything that is in service connects it
    /// with a source; nothing where it is dead.
    pub fn islands(&self) -> Vec<Option<usize>> {
        let mut sets = Sets::new(self.nodes.len());
        let mut fed = vec![false; self.nodes.len()];
        for element in self.elements.iter().filter(|element| element.in_service) {
            if element.kind == (Kind::Switch { closed: false }) {
                continue;
            }
            let mut nodes = element.nodes.iter().flatten();
            let Some(&first) = nodes.next() else { continue };
            nodes.for_each(|&node| sets.join(first, node));
            fed[first] |= element.kind == Kind::Source;
        }
        let mut alive = vec![false; self.nodes.len()];
        for node in (0..self.nodes.len()).filter(|&node| fed[node]) {
            alive[sets.root(node)] = true;
        }
        let island = |node: usize| Some(sets.root(node)).filter(|&root| alive[root]);
        (0..self.nodes.len()).map(island).collect()
    }
}

/// Disjoint sets; the root is the smallest member.
struct Sets {
    parent: Vec<usize>,
}

impl Sets {
    fn new(count: usize) -> Sets {
        Sets { parent: (0..count).collect() }
    }

    fn root(&mut self, mut of: usize) -> usize {
        while self.parent[of] != of {
            self.parent[of] = self.parent[self.parent[of]];
            of = self.parent[of];
        }
        of
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }
}
