//! The plan of a feeder whose network came from a file.
//!
//! Elements are called by their identifiers in the file. What measures the one injection of a bus
//! measures the bus as well, and the other way round: then the injection is meant, so that a
//! stand-in can take its place. The head is everything that a source gives: the points at the
//! sources themselves, else those of all that goes out of their busbar sections.

use std::collections::BTreeSet;

use grid::Network;
use grid::measurement::Quantity;
use grid::measurement::Target;
use grid::network::BranchIndex;
use grid::network::Connection;
use grid::network::Control;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::InjectionIndex;
use grid::network::Shunt;
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

/// The points that add up to what sources give, with their factors; none where one is missing.
///
/// Sources without points give what goes into everything else at their busbar section and at those
/// that couplers may join with it. Where a coupler is open both sides are balanced by themselves,
/// and the sum is the same: positions do not matter.
fn head(network: &Network, points: &[PlannedPoint], quantity: Quantity) -> Vec<(usize, f64)> {
    let measured = Measured { network, points, quantity };
    let is_source = |of: &&Injection| of.in_service && matches!(of.control, Control::Slack { .. });
    let (mut all, mut told) = (Vec::new(), BTreeSet::new());
    for source in network.injections.iter().filter(is_source) {
        if told.contains(&source.bus.0) {
            continue;
        }
        let section = section(network, source.bus.0);
        let own = measured.injections(&section, true);
        match own.or_else(|| measured.taken(&section)) {
            Some(found) => all.extend(found),
            None => return Vec::new(),
        }
        told.extend(section);
    }
    all
}

/// The buses that couplers, closed or open, may join with one, and that one.
fn section(network: &Network, bus: usize) -> BTreeSet<usize> {
    let mut section = BTreeSet::from([bus]);
    loop {
        let before = section.len();
        for switch in &network.switches {
            if let Connection::Buses(a, b) = switch.connection
                && (section.contains(&a.0) || section.contains(&b.0))
            {
                section.extend([a.0, b.0]);
            }
        }
        if section.len() == before {
            return section;
        }
    }
}

/// What points say of one quantity.
struct Measured<'a> {
    network: &'a Network,
    points: &'a [PlannedPoint],
    quantity: Quantity,
}

impl Measured<'_> {
    /// The point at a place, and its factor.
    fn at(&self, target: Target) -> Option<(usize, f64)> {
        let of = |p: &PlannedPoint| p.quantity == self.quantity && p.target == target;
        let found = self.points.iter().position(of);
        found.map(|place| (place, self.points[place].scale))
    }

    /// The points of all sources of a section, or of everything else that is injected there.
    fn injections(&self, section: &BTreeSet<usize>, sources: bool) -> Option<Vec<(usize, f64)>> {
        let of = self.network.injections.iter().enumerate().filter(|(_, of)| {
            let is_source = matches!(of.control, Control::Slack { .. });
            of.in_service && section.contains(&of.bus.0) && is_source == sources
        });
        of.map(|(index, _)| self.at(Target::Injection(InjectionIndex(index)))).collect()
    }

    /// The points of all that is taken out of a section: into branches and windings, and by what
    /// else stands there, of which an injection is measured. A shunt is not measured.
    fn taken(&self, section: &BTreeSet<usize>) -> Option<Vec<(usize, f64)>> {
        let draws = |shunt: &&Shunt| match self.quantity {
            Quantity::ActivePower => shunt.p_mw_at_1pu != 0.0,
            _ => shunt.q_mvar_at_1pu != 0.0,
        };
        let shunts = self.network.shunts.iter().filter(|shunt| shunt.in_service);
        if shunts.filter(draws).any(|shunt| section.contains(&shunt.bus)) {
            return None;
        }
        let others = self.injections(section, false)?;
        let mut all: Vec<(usize, f64)> =
            others.into_iter().map(|(point, scale)| (point, -scale)).collect();
        let branches = self.network.branches.iter().enumerate();
        for (place, branch) in branches.filter(|(_, branch)| branch.in_service) {
            let at = |side| self.at(Target::BranchEnd(BranchIndex(place), side));
            for (bus, near, far) in
                [(branch.from, Side::From, Side::To), (branch.to, Side::To, Side::From)]
            {
                if section.contains(&bus.0) {
                    let found = at(near).or_else(|| at(far).map(|(point, of)| (point, -of)));
                    all.push(found?);
                }
            }
        }
        let transformers = self.network.three_winding.iter().enumerate();
        for (of, transformer) in transformers.filter(|(_, of)| of.in_service) {
            let windings = transformer.windings.iter().enumerate();
            for (winding, _) in windings.filter(|(_, at)| section.contains(&at.bus.0)) {
                all.push(self.at(Target::winding(self.network, of, winding))?);
            }
        }
        (!all.is_empty()).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use grid::network::Branch;
    use grid::network::BranchClass;
    use grid::network::Bus;
    use grid::network::BusIndex;
    use grid::network::Impedance;
    use grid::network::Parameters;
    use grid::network::Switch;
    use grid::network::Zip;

    use super::*;

    /// A source and a load at bus 0, a load at bus 1, a coupler between both, lines to bus 2.
    fn network() -> Network {
        let bus = |id: &str| Bus { id: id.to_owned(), nominal_kv: 20.0, ..Bus::default() };
        let injection = |class, bus, control| Injection {
            id: String::new(),
            name: String::new(),
            class,
            bus: BusIndex(bus),
            control,
            p_mw: -1.0,
            q_mvar: 0.0,
            zip: Zip::default(),
            q_limits_mvar: None,
            in_service: true,
        };
        let slack = Control::Slack { vm_pu: 1.0, va_deg: 0.0, impedance_pu: None };
        let line = |from| Branch {
            id: format!("L{from}"),
            name: String::new(),
            class: BranchClass::Impedance,
            from: BusIndex(from),
            to: BusIndex(2),
            parameters: Parameters::Impedance(Impedance { x_pu: 0.1, ..Impedance::default() }),
            in_service: true,
        };
        Network {
            buses: ["B0", "B1", "B2"].map(bus).into(),
            branches: vec![line(0), line(1)],
            switches: vec![Switch {
                id: "S0".to_owned(),
                name: String::new(),
                connection: Connection::Buses(BusIndex(0), BusIndex(1)),
                closed: true,
            }],
            injections: vec![
                injection(InjectionClass::Source, 0, slack),
                injection(InjectionClass::Load, 0, Control::Power),
                injection(InjectionClass::Load, 1, Control::Power),
                injection(InjectionClass::Load, 2, Control::Power),
            ],
            ..Network::default()
        }
    }

    const SOURCE: Target = Target::Injection(InjectionIndex(0));
    const LOAD0: Target = Target::Injection(InjectionIndex(1));
    const LOAD1: Target = Target::Injection(InjectionIndex(2));
    const LINE0: Target = Target::BranchEnd(BranchIndex(0), Side::From);
    const LINE1: Target = Target::BranchEnd(BranchIndex(1), Side::From);
    const LINE1_FAR: Target = Target::BranchEnd(BranchIndex(1), Side::To);

    #[track_caller]
    fn check(targets: &[Target], expected: &[(usize, f64)]) {
        let point = |target: &Target| PlannedPoint {
            id: String::new(),
            quantity: Quantity::ActivePower,
            target: *target,
            conductor: None,
            unit: String::new(),
            scale: 2.0,
            unit_pu: 1.0,
            sigma_pu: 1.0,
            sigma_share: 0.0,
            range: (f64::NEG_INFINITY, f64::INFINITY),
            drift_pu_per_s: 0.0,
            averaged_over_ms: 0,
            stale_after_ms: 0,
        };
        let points: Vec<PlannedPoint> = targets.iter().map(point).collect();
        let mut found = head(&network(), &points, Quantity::ActivePower);
        found.sort_by_key(|of| of.0);
        assert_eq!(found, expected);
    }

    #[test]
    fn a_source_with_a_point_gives_what_it_says() {
        check(&[LINE0, SOURCE], &[(1, 2.0)]);
    }

    #[test]
    fn without_one_it_gives_all_that_goes_out_of_its_coupled_sections() {
        let all = [(0, 2.0), (1, 2.0), (2, -2.0), (3, -2.0)];
        check(&[LINE0, LINE1, LOAD0, LOAD1], &all);
        check(&[LINE0, LINE1_FAR, LOAD0, LOAD1], &[(0, 2.0), (1, -2.0), (2, -2.0), (3, -2.0)]);
    }

    #[test]
    fn a_load_or_line_there_that_nobody_measures_leaves_it_unknown() {
        check(&[LINE0], &[]);
        check(&[LINE0, LINE1], &[]);
        check(&[LINE0, LINE1, LOAD1], &[]);
        check(&[LINE0, LOAD0, LOAD1], &[]);
    }
}
