//! Elements by identifier or, where it is unique, by name.

use std::collections::BTreeMap;

use crate::network::Network;

/// An element of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A bus.
    Bus(usize),
    /// A branch.
    Branch(usize),
    /// A three-winding transformer.
    ThreeWinding(usize),
    /// A shunt.
    Shunt(usize),
    /// A switch.
    Switch(usize),
    /// An injection.
    Injection(usize),
    /// A sensor.
    Sensor(usize),
}

/// All elements of a network by identifier and by name.
///
/// Buses and other elements are apart, because formats number each table from the start.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    ids: BTreeMap<String, Vec<Element>>,
    names: BTreeMap<String, Vec<Element>>,
}

impl Lookup {
    /// All elements of a network.
    pub fn new(network: &Network) -> Lookup {
        let mut lookup = Lookup::default();
        let mut add = |element: Element, id: &str, name: &str| {
            lookup.ids.entry(id.to_owned()).or_default().push(element);
            if !name.is_empty() {
                lookup.names.entry(name.to_owned()).or_default().push(element);
            }
        };
        for (i, bus) in network.buses.iter().enumerate() {
            add(Element::Bus(i), &bus.id, &bus.name);
        }
        for (i, branch) in network.branches.iter().enumerate() {
            add(Element::Branch(i), &branch.id, &branch.name);
        }
        for (i, transformer) in network.three_winding.iter().enumerate() {
            add(Element::ThreeWinding(i), &transformer.id, &transformer.name);
        }
        for (i, shunt) in network.shunts.iter().enumerate() {
            add(Element::Shunt(i), &shunt.id, &shunt.name);
        }
        for (i, switch) in network.switches.iter().enumerate() {
            add(Element::Switch(i), &switch.id, &switch.name);
        }
        for (i, injection) in network.injections.iter().enumerate() {
            add(Element::Injection(i), &injection.id, &injection.name);
        }
        for (i, sensor) in network.sensors.iter().enumerate() {
            add(Element::Sensor(i), &sensor.id, &sensor.name);
        }
        lookup
    }

    /// The one element of a kind with this identifier, else the only one with this name.
    fn find<T>(&self, key: &str, pick: impl Fn(Element) -> Option<T>) -> Option<T> {
        let of = |map: &BTreeMap<String, Vec<Element>>| {
            let mut found = map.get(key).into_iter().flatten().copied().filter_map(&pick);
            let first = found.next()?;
            found.next().is_none().then_some(first)
        };
        of(&self.ids).or_else(|| of(&self.names))
    }

    /// A bus.
    pub fn bus(&self, key: &str) -> Option<usize> {
        self.find(key, |element| match element {
            Element::Bus(i) => Some(i),
            _ => None,
        })
    }

    /// A branch.
    pub fn branch(&self, key: &str) -> Option<usize> {
        self.find(key, |element| match element {
            Element::Branch(i) => Some(i),
            _ => None,
        })
    }

    /// A three-winding transformer.
    pub fn three_winding(&self, key: &str) -> Option<usize> {
        self.find(key, |element| match element {
            Element::ThreeWinding(i) => Some(i),
            _ => None,
        })
    }

    /// A switch.
    pub fn switch(&self, key: &str) -> Option<usize> {
        self.find(key, |element| match element {
            Element::Switch(i) => Some(i),
            _ => None,
        })
    }

    /// An injection.
    pub fn injection(&self, key: &str) -> Option<usize> {
        self.find(key, |element| match element {
            Element::Injection(i) => Some(i),
            _ => None,
        })
    }
}
