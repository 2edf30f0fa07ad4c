//! The plan of a feeder whose network came from a file.
//!
//! Elements are called by their identifiers in the file. What measures the one injection of a bus
//! measures the bus as well, and the other way round: then the injection is meant, so that a
//! stand-in can take its place. The head is everything that a source gives: the points at the
//! sources themselves, else those at every branch that begins at one.

use grid::Network;
use grid::measurement::Quantity;
use grid::measurement::Target;
use grid::network::BranchIndex;
use grid::network::Connection;
use grid::network::Control;
use grid::network::InjectionClass;
use grid::network::InjectionIndex;
use grid::network::Side;
use schemas::reference::Point;

use super::Draft;
use super::Plan;
use super::PlannedInjection;
use super::PlannedPoint;
use super::Share;
use crate::estimate::networks::Part;

impl Draft {
    /// The network of a file, without points.
    pub(super) fn of_file(part: &Part, network: &Network) -> Draft {
        let network = network.clone();
        let mut draft = Draft::new(&part.feeder_id, network.frequency_hz);
        draft.own_buses = network.buses.len();
        let named = |ids: Vec<&String>| {
            ids.into_iter().enumerate().map(|(place, id)| (id.clone(), place)).collect()
        };
        draft.bus_at = named(network.buses.iter().map(|bus| &bus.id).collect());
        draft.branch_at = named(network.branches.iter().map(|branch| &branch.id).collect());
        let opened = network.switches.iter().map(|switch| opens(&network, switch.connection));
        draft.switches = part.switches.iter().cloned().zip(opened).collect();
        for (index, injection) in network.injections.iter().enumerate() {
            if !injection.in_service || matches!(injection.control, Control::Slack { .. }) {
                continue;
            }
            draft.injections.push(PlannedInjection {
                index,
                bus: injection.bus.0,
                at_bus: 0,
                battery_kw: 0.0,
                share: match injection.class {
                    InjectionClass::Load => {
                        Share::Planned(-1e3 * injection.p_mw, -1e3 * injection.q_mvar)
                    }
                    _ => Share::Nothing,
                },
                points: Vec::new(),
            });
        }
        draft.network = network;
        draft
    }

    /// An injection by its identifier, and its bus.
    pub(super) fn injection_of_file(&self, id: &str) -> Option<(Target, usize)> {
        let index = self.network.injections.iter().position(|injection| injection.id == id)?;
        let bus = self.network.injections[index].bus.0;
        Some((Target::Injection(InjectionIndex(index)), bus))
    }

    /// A winding by what the estimates call it, `TW0/2`, and its bus.
    pub(super) fn winding_of_file(&self, name: &str) -> Option<(Target, usize)> {
        let (id, number) = name.rsplit_once('/')?;
        let of = self.network.three_winding.iter().position(|of| of.id == id)?;
        let winding = ["1", "2", "3"].iter().position(|known| *known == number)?;
        let target = Target::winding(&self.network, of, winding);
        Some((target, target.bus(&self.network).0))
    }

    /// A point that says where a switch stands, under the switch's own name.
    pub(super) fn position(&mut self, row: &Point) {
        let id = &row.point_id;
        if !self.switches.iter().any(|(name, _)| name == id) {
            self.problems.push(format!("{id} is the name of no switch"));
        }
    }

    /// The plan, once all points are there.
    ///
    /// # Errors
    /// The network is refused; everything that is wrong, in words.
    pub(super) fn finish_file(mut self, part: &Part) -> Result<Plan, Vec<String>> {
        self.meant_of_buses();
        let head = [Quantity::ActivePower, Quantity::ReactivePower]
            .map(|quantity| head(&self.network, &self.points, quantity));
        let free = part.free_ratios.iter();
        let free = free.filter_map(|(id, told)| Some((*self.branch_at.get(id)?, *told))).collect();
        let windings: Vec<String> = (self.network.three_winding.iter())
            .flat_map(|of| [1, 2, 3].map(|winding| format!("{}/{winding}", of.id)))
            .collect();
        let mut plan = self.finish(head, free)?;
        plan.branches.extend(windings);
        Ok(plan)
    }

    /// Turns powers into a bus at which one injection stands into powers of that injection.
    fn meant_of_buses(&mut self) {
        for (place, point) in self.points.iter_mut().enumerate() {
            let Target::Bus(bus) = point.target else { continue };
            if !matches!(point.quantity, Quantity::ActivePower | Quantity::ReactivePower) {
                continue;
            }
            let injections = self.network.injections.iter().enumerate();
            let mut here = injections.filter(|(_, i)| i.in_service && i.bus == bus);
            let (Some((only, _)), None) = (here.next(), here.next()) else { continue };
            point.target = Target::Injection(InjectionIndex(only));
            if point.quantity == Quantity::ActivePower {
                let planned = self.injections.iter_mut().filter(|known| known.index == only);
                planned.for_each(|injection| injection.points.push(place));
            }
        }
    }
}

/// What a switch opens, in a word: a branch or winding, or two buses.
pub fn opens(network: &Network, connection: Connection) -> String {
    match connection {
        Connection::Buses(a, b) => format!("{}-{}", network.buses[a.0].id, network.buses[b.0].id),
        Connection::BranchEnd(branch, _) => network.branches[branch.0].id.clone(),
        Connection::WindingEnd(of, winding) => {
            format!("{}/{}", network.three_winding[of].id, winding + 1)
        }
    }
}

/// The points that add up to what sources give; none where one is missing.
fn head(network: &Network, points: &[PlannedPoint], quantity: Quantity) -> Vec<(usize, f64)> {
    let measures = |target: Target| {
        let found = points.iter().position(|p| p.quantity == quantity && p.target == target);
        found.map(|place| (place, points[place].scale))
    };
    let (mut all, mut buses) = (Vec::new(), Vec::new());
    for (index, injection) in network.injections.iter().enumerate() {
        if !injection.in_service || !matches!(injection.control, Control::Slack { .. }) {
            continue;
        }
        if let Some(found) = measures(Target::Injection(InjectionIndex(index))) {
            all.push(found);
            continue;
        }
        if buses.contains(&injection.bus) {
            continue;
        }
        buses.push(injection.bus);
        let mut begins = 0;
        for (place, branch) in network.branches.iter().enumerate().filter(|(_, b)| b.in_service) {
            let (near, far) = match injection.bus {
                bus if bus == branch.from => (Side::From, Side::To),
                bus if bus == branch.to => (Side::To, Side::From),
                _ => continue,
            };
            let at = |side| measures(Target::BranchEnd(BranchIndex(place), side));
            let found = at(near).or_else(|| at(far).map(|(point, scale)| (point, -scale)));
            let Some(found) = found else { return Vec::new() };
            all.push(found);
            begins += 1;
        }
        let transformers = network.three_winding.iter().enumerate();
        for (of, transformer) in transformers.filter(|(_, of)| of.in_service) {
            let windings = transformer.windings.iter().enumerate();
            for (winding, _) in windings.filter(|(_, at)| at.bus == injection.bus) {
                let found = measures(Target::winding(network, of, winding));
                let Some(found) = found else { return Vec::new() };
                all.push(found);
                begins += 1;
            }
        }
        if begins == 0 {
            return Vec::new();
        }
    }
    all
}
