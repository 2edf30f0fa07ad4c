//! Switches: what is opened and closed.

use crate::network::BranchIndex;
use crate::network::BusIndex;
use crate::network::Side;

/// A switch, breaker, disconnector or fuse.
#[derive(Clone, Debug, PartialEq)]
pub struct Switch {
    /// Its identifier.
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
    /// What it connects.
    pub connection: Connection,
    /// Its normal position.
    pub closed: bool,
}

/// What a switch connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Two busbar sections. Closed, they are one electrical node.
    Buses(BusIndex, BusIndex),
    /// The end of a branch and its bus. Open, the branch stays under voltage from its other end.
    BranchEnd(BranchIndex, Side),
    /// A winding (0, 1, 2) of a three-winding transformer and its bus.
    WindingEnd(usize, usize),
}
