//! Power flow: given what each bus injects, the voltages at all buses and the flows between them.
//!
//! What a solve is given and gives back stands here; how it is found stands in [`sweep`]. A load
//! that the network cannot carry is an answer ([`Status::Diverged`]), not an error.

pub mod sweep;

/// What one bus injects, three-phase total; see the sign convention in the crate's documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Injection {
    /// Active power in kW.
    pub p_kw: f64,
    /// Reactive power in kvar.
    pub q_kvar: f64,
}

/// How a solve ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The voltages satisfy the equations to the tolerance.
    Solved {
        /// Sweeps it took.
        iterations: usize,
    },
    /// Still moving when the sweeps ran out. The solution holds the last voltages: use with care.
    OutOfIterations,
    /// The voltages collapsed: no operating point was found for these injections. The solution is
    /// NaN.
    Diverged,
}

impl Status {
    /// True if the solution may be used as it stands.
    pub fn solved(self) -> bool {
        matches!(self, Status::Solved { .. })
    }
}

/// Power that enters an element at one of its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    /// Active power in kW.
    pub p_kw: f64,
    /// Reactive power in kvar.
    pub q_kvar: f64,
}

/// The flows of a branch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BranchFlow {
    /// Into the branch at its from end.
    pub from: Flow,
    /// Into the branch at its to end.
    pub to: Flow,
    /// The greater of the two currents, in percent of the rated one.
    pub loading_percent: f64,
}

/// The flows of a transformer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TransformerFlow {
    /// Into the high-voltage winding.
    pub hv: Flow,
    /// Into the low-voltage winding; negative while it feeds the low-voltage side.
    pub lv: Flow,
    /// The greater of the two currents, in percent of the rated one.
    pub loading_percent: f64,
}

/// Voltages and flows, in the order of the network's elements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Solution {
    /// Voltage magnitude at each bus per unit; 0 where the bus is dead.
    pub vm_pu: Vec<f64>,
    /// Voltage angle at each bus in degrees, in (-180, 180]; 0 where the bus is dead.
    pub va_deg: Vec<f64>,
    /// Flows of each branch.
    pub branches: Vec<BranchFlow>,
    /// Flows of each transformer.
    pub transformers: Vec<TransformerFlow>,
    /// What the source delivers into the network.
    pub source: Flow,
}
