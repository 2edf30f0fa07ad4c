//! Changes of switch positions that have one effect.

use std::collections::BTreeMap;

use crate::model::Acts;
use crate::model::Model;
use crate::network::Side;
use crate::topology::Topology;

/// A change of the network by switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What the switches do.
    pub acts: Acts,
    /// True if it is closed, false if it is opened.
    pub closes: bool,
    /// The switches. To open an end, any one of those in series there does it, and nothing tells
    /// which; to close it, all of these are closed that are open now. Between buses it is the
    /// other way round: switches beside each other open together, and any of them closes.
    pub switches: Vec<usize>,
}

impl Change {
    /// Makes the change.
    pub(super) fn apply(&self, model: &Model, topology: &mut Topology) {
        let all = self.closes == matches!(self.acts, Acts::Connects(..));
        let most = if all { self.switches.len() } else { 1 };
        for &switch in self.switches.iter().take(most) {
            topology.set(model, switch, self.closes);
        }
    }
}

/// Every change that is possible, by its first switch.
pub(super) fn all(model: &Model, topology: &Topology) -> Vec<Change> {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Place {
        End(usize, Side),
        Pair(usize, usize),
    }
    let mut places: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
    for (number, switch) in model.switches.iter().enumerate() {
        let place = match switch.acts {
            Acts::Connects(branch, side) => Place::End(branch, side),
            Acts::Joins(a, b) => Place::Pair(a.min(b), a.max(b)),
        };
        places.entry(place).or_default().push(number);
    }
    let mut changes: Vec<Change> = Vec::with_capacity(places.len());
    for (place, switches) in places {
        let acts = model.switches[switches[0]].acts;
        let closed = |switch: &usize| topology.closed()[*switch];
        let closes = match place {
            Place::End(..) => !switches.iter().all(closed),
            Place::Pair(..) => !switches.iter().any(closed),
        };
        let moved = switches.into_iter().filter(|switch| closed(switch) != closes).collect();
        changes.push(Change { acts, closes, switches: moved });
    }
    changes.sort_by_key(|change| change.switches[0]);
    changes
}
