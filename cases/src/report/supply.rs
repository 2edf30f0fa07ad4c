//! What feeds what in an unbalanced network.
//!
//! A zone is what hangs together by lines and closed switches alone; between zones are transformers
//! and regulators. Told from the sources outward, each with what it hangs on, they are the one-line
//! diagram in words. A matrix between two voltage levels is taken for a transformer.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::VecDeque;

use grid::three_phase::Element;
use grid::three_phase::Kind;
use grid::three_phase::Network;

use super::Page;
use super::few;
use super::power;

/// How many zones are told one by one: a substation, its regulators, and the first beyond.
const ZONES_TOLD: usize = 12;

/// Ends of an element whose bases differ by more than this share are of two levels.
const SAME_LEVEL: f64 = 0.05;

/// A part of the network between transformers.
#[derive(Default)]
struct Zone<'a> {
    buses: Vec<&'a str>,
    /// The base of its voltage to ground.
    volt: f64,
    loads: usize,
    load_w: f64,
    sources: Vec<String>,
    /// What it hangs on by how many steps, and through what.
    fed: Option<(usize, usize, Vec<String>)>,
}

/// Tells it; gives how many zones nothing feeds.
pub(super) fn tell(network: &Network, page: &mut Page) -> usize {
    let buses = Buses::of(network);
    let mut zones = buses.zones();
    buses.feed(&mut zones);
    let mut order: Vec<usize> = (0..zones.len()).collect();
    let steps = |zone: usize| zones[zone].fed.as_ref().map_or(usize::MAX, |(steps, ..)| *steps);
    order.sort_by_key(|&zone| (steps(zone), Reverse(zones[zone].buses.len()), zone));
    let dead = order.iter().filter(|&&zone| zones[zone].fed.is_none()).count();
    page.heading(&format!(
        "Supply: {} zones between transformers are fed, {dead} are not, with switches as they are",
        zones.len() - dead
    ));
    let (told, rest) = order.split_at(order.len().min(ZONES_TOLD));
    for &zone in told {
        let of = &zones[zone];
        let by = match &of.fed {
            Some((_, from, through)) if !through.is_empty() => {
                format!("fed from {} through {}", zones[*from].called(), few(through))
            }
            Some(_) => format!("fed by {}", few(&of.sources)),
            None => "not fed".to_owned(),
        };
        page.line(&format!("  {:<26}{:>6}  {by}{}", of.called(), of.level(), of.load()));
    }
    if !rest.is_empty() {
        let count = rest.iter().map(|&zone| zones[zone].buses.len()).sum::<usize>();
        let load: f64 = rest.iter().map(|&zone| zones[zone].load_w).sum();
        let load = power(load / 1e6, "W");
        page.line(&format!("  … and {} zones more of {count} buses, load {load}", rest.len()));
    }
    dead
}

impl Zone<'_> {
    fn called(&self) -> String {
        match self.buses.as_slice() {
            [bus] => format!("bus {bus}"),
            [first, _] => format!("{first} and 1 bus"),
            [first, rest @ ..] => format!("{first} and {} buses", rest.len()),
            [] => "nothing".to_owned(),
        }
    }

    /// Line to line.
    fn level(&self) -> String {
        if self.volt > 0.0 {
            // Four digits: 4.16 kV, and not what a root of three leaves behind it.
            let kv = self.volt * 3.0_f64.sqrt() / 1e3;
            format!("{} kV", (kv * 1e3).round() / 1e3)
        } else {
            "?".to_owned()
        }
    }

    fn load(&self) -> String {
        match self.loads {
            0 => String::new(),
            1 => format!(", 1 load of {}", power(self.load_w / 1e6, "W")),
            count => format!(", {count} loads of {}", power(self.load_w / 1e6, "W")),
        }
    }
}

/// The buses, and what connects them.
struct Buses<'a> {
    network: &'a Network,
    names: Vec<&'a str>,
    /// The bus of each node.
    of_node: Vec<usize>,
    /// The zone of each bus.
    zone: Vec<usize>,
    zones: usize,
}

impl<'a> Buses<'a> {
    fn of(network: &'a Network) -> Buses<'a> {
        let mut number: BTreeMap<&str, usize> = BTreeMap::new();
        let mut names = Vec::new();
        let mut of_node = Vec::with_capacity(network.nodes.len());
        for node in &network.nodes {
            let next = number.len();
            let bus = *number.entry(&node.bus).or_insert(next);
            if bus == names.len() {
                names.push(node.bus.as_str());
            }
            of_node.push(bus);
        }
        let mut buses = Buses { network, names, of_node, zone: Vec::new(), zones: 0 };
        buses.find_zones();
        buses
    }

    /// The buses of an element that carries something, one a terminal, each once.
    fn ends(&self, element: &Element) -> Vec<usize> {
        let open = Kind::Switch { closed: false };
        let mut ends = Vec::new();
        if element.in_service && element.kind != open && element.kind != Kind::Source {
            for bus in element.nodes.iter().flatten().map(|&node| self.of_node[node]) {
                if !ends.contains(&bus) {
                    ends.push(bus);
                }
            }
        }
        ends
    }

    /// True of a transformer, and of a matrix whose ends are of two levels.
    fn transforms(&self, element: &Element) -> bool {
        let base = |node: &usize| self.network.nodes[*node].base_volt;
        let bases = || element.nodes.iter().flatten().map(base).filter(|&volt| volt > 0.0);
        let (low, high) = (bases().fold(f64::INFINITY, f64::min), bases().fold(0.0, f64::max));
        matches!(element.kind, Kind::Transformer(_)) || high > low * (1.0 + SAME_LEVEL)
    }

    fn find_zones(&mut self) {
        let mut near: Vec<Vec<usize>> = vec![Vec::new(); self.names.len()];
        for element in self.network.elements.iter().filter(|of| !self.transforms(of)) {
            let ends = self.ends(element);
            for pair in ends.windows(2) {
                near[pair[0]].push(pair[1]);
                near[pair[1]].push(pair[0]);
            }
        }
        self.zone = vec![usize::MAX; self.names.len()];
        for start in 0..self.names.len() {
            if self.zone[start] != usize::MAX {
                continue;
            }
            self.zone[start] = self.zones;
            let mut queue = vec![start];
            while let Some(bus) = queue.pop() {
                for &next in &near[bus] {
                    if self.zone[next] == usize::MAX {
                        self.zone[next] = self.zones;
                        queue.push(next);
                    }
                }
            }
            self.zones += 1;
        }
    }

    fn zones(&self) -> Vec<Zone<'a>> {
        let mut zones: Vec<Zone<'a>> = Vec::new();
        zones.resize_with(self.zones, Zone::default);
        for (bus, &name) in self.names.iter().enumerate() {
            zones[self.zone[bus]].buses.push(name);
        }
        for (node, of) in self.network.nodes.iter().enumerate() {
            let zone = &mut zones[self.zone[self.of_node[node]]];
            zone.volt = zone.volt.max(of.base_volt);
        }
        for load in self.network.loads.iter().filter(|load| load.in_service) {
            if let Some(&node) = load.legs.iter().flatten().flatten().next() {
                let zone = &mut zones[self.zone[self.of_node[node]]];
                zone.loads += 1;
                zone.load_w += load.p_w;
            }
        }
        zones
    }

    /// Finds what feeds each zone, from the sources on.
    fn feed(&self, zones: &mut [Zone<'_>]) {
        let mut links: BTreeMap<usize, BTreeMap<usize, Vec<String>>> = BTreeMap::new();
        let mut queue = VecDeque::new();
        for element in self.network.elements.iter().filter(|element| element.in_service) {
            if let (Kind::Source, Some(&node)) =
                (&element.kind, element.nodes.iter().flatten().next())
            {
                let bus = self.of_node[node];
                let zone = self.zone[bus];
                zones[zone].sources.push(format!("{} at {}", element.name, self.names[bus]));
                zones[zone].fed = Some((0, zone, Vec::new()));
                queue.push_back(zone);
            }
            let ends = self.ends(element);
            for (k, &one) in ends.iter().enumerate() {
                for &other in &ends[k + 1..] {
                    let (a, b) = (self.zone[one], self.zone[other]);
                    for (from, to) in [(a, b), (b, a)] {
                        if from != to {
                            let through = links.entry(from).or_default().entry(to).or_default();
                            through.push(element.name.clone());
                        }
                    }
                }
            }
        }
        while let Some(zone) = queue.pop_front() {
            let steps = zones[zone].fed.as_ref().map_or(0, |(steps, ..)| *steps);
            for (&next, through) in links.get(&zone).into_iter().flatten() {
                if zones[next].fed.is_none() {
                    zones[next].fed = Some((steps + 1, zone, through.clone()));
                    queue.push_back(next);
                }
            }
        }
    }
}
