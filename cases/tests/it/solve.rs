//! The whole way: a network as it was read, solved, against voltages that somebody else found.

use std::collections::BTreeMap;

use grid::Complex;
use grid::Model;
use grid::Network;
use grid::model::SourceImpedance;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;

/// A flat start ends at the given voltages, within a distance per unit.
#[track_caller]
pub(crate) fn check(network: &Network, truth: &BTreeMap<String, Complex>, within: f64) {
    let model = Model::new(network, SourceImpedance::Kept).unwrap();
    let mut flow = PowerFlow::new(model);
    let outcome = flow.solve(Start::Flat, &Settings::default());
    assert!(outcome.solved(), "{}: {outcome:?}", network.name);
    let mut worst = (0.0, "");
    for (at, bus) in network.buses.iter().enumerate() {
        // Floating ends of lines and dead buses are in no truth.
        let Some(truth) = truth.get(&bus.id) else { continue };
        let off = (flow.voltage(at) - *truth).abs();
        if off > worst.0 || off.is_nan() {
            worst = (off, &bus.id);
        }
    }
    assert!(worst.0 < within, "{}: {:e} pu off at {}", network.name, worst.0, worst.1);
}
