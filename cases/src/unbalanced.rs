//! What an importer of unbalanced networks gives back.

use grid::three_phase::Network;
use grid::three_phase::measurement::Measurement;

use crate::Remark;

/// An unbalanced network as it was read.
#[derive(Clone, Debug, Default)]
pub struct UnbalancedImport {
    /// The network.
    pub network: Network,
    /// Measured values that came with it.
    pub measurements: Vec<Measurement>,
    /// Everything that was not understood, assumed or left out.
    pub remarks: Vec<Remark>,
}

impl UnbalancedImport {
    /// True if no part of the network had to be left out.
    pub fn is_whole(&self) -> bool {
        !self.remarks.iter().any(Remark::is_fatal)
    }

    /// True if a source feeds any node.
    pub fn is_fed(&self) -> bool {
        self.network.islands().iter().any(Option::is_some)
    }
}
