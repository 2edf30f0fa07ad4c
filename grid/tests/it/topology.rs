//! The topology, moved switch by switch, against the one made from scratch.

use grid::Model;
use grid::Topology;
use grid::model::Acts;
use grid::model::SourceImpedance;

use crate::random_network;
use crate::random_network::Draws;

/// Moves random switches of random networks. After each, everything the topology says is what a
/// topology made from scratch says, and the change that was announced is the change there is.
#[track_caller]
fn check(seed: u64, networks: usize, moves: usize, buses_max: usize) {
    let mut draws = Draws(seed);
    let (mut islands, mut dark, mut renumbered) = (0, 0, 0);
    for round in 0..networks {
        let buses = 8 + draws.below(buses_max - 8);
        let network = random_network::network(&mut draws, buses);
        let model = Model::new(&network, SourceImpedance::Kept).unwrap();
        let mut topology = Topology::new(&model);
        for step in 0..moves {
            let what = format!("network {round} of {buses} buses, move {step}");
            let before = topology.clone();
            let switch = draws.below(model.switches.len());
            // Now and then to where it stands.
            let closed = topology.closed()[switch] == draws.chance(0.1);
            let change = topology.set(&model, switch, closed);
            let mut positions = before.closed().to_vec();
            positions[switch] = closed;
            let fresh = Topology::with_positions(&model, &positions);
            assert_eq!(topology, fresh, "{what}");
            let nodes_same = before.node_of_buses() == topology.node_of_buses();
            assert!(change.renumbered || nodes_same, "{what}: numbers changed unsaid");
            assert_islands(&before, &topology, change.islands, &what);
            for branch in 0..model.branches.len() {
                let two_ports = [&before, &topology].map(|t| t.two_port(&model, branch));
                let same = two_ports[0] == two_ports[1];
                assert!(same || change.branch == Some(branch), "{what}: {branch} changed unsaid");
            }
            assert_eq!(
                change.renumbered,
                matches!(model.switches[switch].acts, Acts::Joins(..))
                    && before.closed()[switch] != closed,
                "{what}"
            );
            islands += usize::from(change.islands);
            renumbered += usize::from(change.renumbered);
            dark += usize::from((0..topology.nodes()).any(|node| !topology.energised(node)));
        }
    }
    let all = networks * moves;
    assert!(islands > all / 20 && dark > all / 20 && renumbered > all / 50, "{islands} {dark}");
}

/// Islands are the same where no change is announced.
#[track_caller]
fn assert_islands(before: &Topology, after: &Topology, announced: bool, what: &str) {
    if announced {
        return;
    }
    let of = |t: &Topology| -> Vec<(usize, bool)> {
        (0..t.nodes()).map(|node| (t.island(node), t.energised(node))).collect()
    };
    assert_eq!(of(before), of(after), "{what}: islands changed unsaid");
}

#[test]
fn moved_by_steps_as_from_scratch_on_small_networks() {
    check(3, 100, 60, 24);
}

#[test]
fn moved_by_steps_as_from_scratch_on_large_networks() {
    check(4, 8, 200, 300);
}
