//! Why a switch is suspected, for people.

use crate::estimation::topology_error::action::Change;
use crate::estimation::topology_error::screen::Screen;
use crate::measurement::Measurement;
use crate::model::Acts;
use crate::model::Model;
use crate::network::Network;
use crate::network::Side;
use crate::topology::Topology;

/// Most elements a sentence names.
const NAMED: usize = 4;

/// Why a change of a switch is suspected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Buses behind it are alive by its stated position and report nothing.
    SilentBehind(Vec<usize>),
    /// Buses behind it are alive by its stated position and read zero.
    ZeroBehind(Vec<usize>),
    /// Buses behind it are dead by its stated position and report voltage or power.
    AliveBehind(Vec<usize>),
    /// These measurements see a flow where it is said to be open.
    FlowThroughOpen(Vec<usize>),
    /// These measurements around it do not fit its stated position.
    Misfit(Vec<usize>),
    /// Nothing of its own: with it everything fits a little better.
    Fit,
}

/// The reason of each of some changes made together.
pub(super) fn of(
    model: &Model,
    stated: &Topology,
    silent: &[usize],
    screen: &Screen,
    changes: &[Change],
) -> Vec<Reason> {
    let each = changes.iter().map(|change| {
        let mut moved = stated.clone();
        change.apply(model, &mut moved);
        one(model, stated, &moved, silent, screen, change, changes.len() > 1)
    });
    each.collect()
}

fn one(
    model: &Model,
    stated: &Topology,
    moved: &Topology,
    silent: &[usize],
    screen: &Screen,
    change: &Change,
    transfer: bool,
) -> Reason {
    let alive = |of: &Topology, bus: usize| of.energised(of.node(bus));
    let turned: Vec<usize> = (0..model.bus_kv.len())
        .filter(|&bus| alive(stated, bus) != change.closes && alive(moved, bus) == change.closes)
        .collect();
    let among = |has: &dyn Fn(usize) -> bool| -> Vec<usize> {
        turned.iter().copied().filter(|&bus| has(bus)).collect()
    };
    if change.closes {
        let loud = among(&|bus| !screen.reading[bus].is_empty());
        if !loud.is_empty() {
            return Reason::AliveBehind(loud);
        }
        if let Acts::Connects(branch, side) = change.acts
            && let Some(flows) = screen.flow.get(&(branch, side))
        {
            return Reason::FlowThroughOpen(flows.clone());
        }
    } else if !transfer {
        let quiet = among(&|bus| silent.contains(&bus));
        if !quiet.is_empty() {
            return Reason::SilentBehind(quiet);
        }
        let zero = among(&|bus| screen.reading[bus].is_empty() && !screen.zero[bus].is_empty());
        if !zero.is_empty() {
            return Reason::ZeroBehind(zero);
        }
    }
    let ends = Screen::ends(model, change);
    let mut odd: Vec<usize> = ends.iter().flat_map(|&bus| screen.odd[bus].clone()).collect();
    odd.sort_unstable();
    odd.dedup();
    if odd.is_empty() { Reason::Fit } else { Reason::Misfit(odd) }
}

impl Reason {
    /// Says it: what is stated, and what speaks against it, everything by its identifier.
    pub fn describe(
        &self,
        change: &Change,
        network: &Network,
        measurements: &[Measurement],
    ) -> String {
        let said = if change.closes { "open" } else { "closed" };
        let ids: Vec<&str> =
            change.switches.iter().map(|&switch| network.switches[switch].id.as_str()).collect();
        let switch = ids.join(" or ");
        let bus = |bus: &usize| match network.buses.get(*bus) {
            Some(bus) => bus.id.clone(),
            None => "a star point".to_owned(),
        };
        let buses = |of: &[usize]| list(of.iter().map(bus));
        let rows = |of: &[usize]| list(of.iter().map(|&at| measurements[at].id.clone()));
        let against = match self {
            Reason::SilentBehind(of) => {
                format!("everything behind it ({}) reports nothing", buses(of))
            }
            Reason::ZeroBehind(of) => format!("everything behind it ({}) reads zero", buses(of)),
            Reason::AliveBehind(of) => format!("what is behind it ({}) is alive", buses(of)),
            Reason::FlowThroughOpen(of) => {
                let place = match change.acts {
                    Acts::Connects(branch, side) => match network.branches.get(branch) {
                        Some(branch) => format!("at the {} end of {}", end(side), branch.id),
                        None => "there".to_owned(),
                    },
                    Acts::Joins(..) => "there".to_owned(),
                };
                format!("{place} a flow is measured ({})", rows(of))
            }
            Reason::Misfit(of) => {
                format!("what is measured around it does not fit that ({})", rows(of))
            }
            Reason::Fit => "all measurements together fit better if it is not".to_owned(),
        };
        format!("{switch} is said to be {said}, but {against}")
    }
}

fn end(side: Side) -> &'static str {
    match side {
        Side::From => "from",
        Side::To => "to",
    }
}

fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(NAMED);
    let mut said: Vec<String> = items.take(NAMED).collect();
    if more > 0 {
        said.push(format!("{more} more"));
    }
    said.join(", ")
}
