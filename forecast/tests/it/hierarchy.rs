//! Sums that hold, against the dense projection.
//!
//! The oracle knows nothing of trees: it builds the summing matrix and solves the normal equations.
//! Every reconciliation is also checked to add up, to the bit.

use forecast::hierarchy::ErrorVariances;
use forecast::hierarchy::Fan;
use forecast::hierarchy::Hierarchy;
use forecast::hierarchy::HierarchyError;
use forecast::hierarchy::Spread;

use crate::watch_data::Dice;

/// A zone (0) of two feeders (1, 2) with two and three meters.
fn zone() -> Hierarchy {
    let parents = [None, Some(0), Some(0), Some(1), Some(1), Some(2), Some(2), Some(2)];
    Hierarchy::new(parents.to_vec()).expect("a tree")
}

/// A tree of `n` nodes by chance.
fn tree(n: usize, dice: &mut Dice) -> Hierarchy {
    let parents = (0..n).map(|node| match node {
        0 => None,
        node => Some((dice.even() * node as f64) as usize),
    });
    Hierarchy::new(parents.collect()).expect("a tree")
}

/// Weighted least squares over the leaves by normal equations: `S (S' W S)^-1 S' W f`, where a
/// missing forecast has no weight.
fn dense(tree: &Hierarchy, base: &[Option<f64>], variances: &[f64]) -> Vec<f64> {
    let leaves: Vec<usize> = (0..tree.len()).filter(|i| tree.children(*i).is_empty()).collect();
    let m = leaves.len();
    let mut s = vec![vec![0.0; m]; tree.len()];
    for (column, leaf) in leaves.iter().enumerate() {
        let mut node = Some(*leaf);
        while let Some(at) = node {
            s[at][column] = 1.0;
            node = tree.parent(at);
        }
    }
    let mut system = vec![vec![0.0; m + 1]; m];
    for (row, (value, variance)) in s.iter().zip(base.iter().zip(variances)) {
        let Some(value) = value else { continue };
        for i in 0..m {
            (0..m).for_each(|j| system[i][j] += row[i] * row[j] / variance);
            system[i][m] += row[i] * value / variance;
        }
    }
    let solution = solve(system);
    s.iter().map(|row| row.iter().zip(&solution).map(|(a, b)| a * b).sum()).collect()
}

/// Gauss and Jordan with pivots.
fn solve(mut system: Vec<Vec<f64>>) -> Vec<f64> {
    let m = system.len();
    for column in 0..m {
        let pivot = (column..m)
            .max_by(|a, b| system[*a][column].abs().total_cmp(&system[*b][column].abs()));
        system.swap(column, pivot.expect("a row"));
        let row = system[column].clone();
        for (_, other) in system.iter_mut().enumerate().filter(|(i, _)| *i != column) {
            let factor = other[column] / row[column];
            other.iter_mut().zip(&row).for_each(|(a, b)| *a -= factor * b);
        }
    }
    (0..m).map(|i| system[i][m] / system[i][i]).collect()
}

/// Reconciles and checks that all adds up to the bit, then returns the values.
#[track_caller]
fn check(tree: &Hierarchy, base: &[Option<f64>], variances: &[f64]) -> Vec<Option<f64>> {
    let values = tree.reconcile(base, variances).expect("numbers");
    for node in 0..tree.len() {
        let children = tree.children(node);
        if !children.is_empty() {
            let sum: Option<f64> = children.iter().map(|child| values[*child]).sum();
            assert_eq!(sum, values[node], "node {node}");
        }
    }
    values
}

#[track_caller]
fn check_close(values: &[Option<f64>], expected: &[f64]) {
    for (node, (value, expected)) in values.iter().zip(expected).enumerate() {
        let value = value.expect("a value");
        assert!((value - expected).abs() < 1e-9 * expected.abs().max(1.0), "{node}: {value}");
    }
}

#[test]
fn what_adds_up_stays() {
    let base = [50.0, 20.0, 30.0, 12.0, 8.0, 10.0, 5.0, 15.0];
    let values = check(&zone(), &base.map(Some), &zone().structural());
    check_close(&values, &base);
}

#[test]
fn structural_variances_count_leaves() {
    assert_eq!(zone().structural(), [5.0, 2.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
}

#[test]
fn the_passes_are_the_dense_projection_on_60_trees() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let tree = tree(2 + seed as usize, &mut dice);
        let base: Vec<_> = (0..tree.len()).map(|_| Some(100.0 * dice.normal())).collect();
        let variances: Vec<f64> = (0..tree.len()).map(|_| 0.1 + 10.0 * dice.even()).collect();
        check_close(&check(&tree, &base, &variances), &dense(&tree, &base, &variances));
    }
}

#[test]
fn one_missing_leaf_is_what_its_siblings_leave() {
    let mut base = [50.0, 21.0, 30.0, 12.0, 8.0, 10.0, 5.0, 15.0].map(Some);
    base[4] = None;
    let variances = zone().structural();
    let values = check(&zone(), &base, &variances);
    check_close(&values, &dense(&zone(), &base, &variances));
}

#[test]
fn a_missing_parent_is_the_sum_of_its_children() {
    let mut base = [50.0, 20.0, 30.0, 12.0, 8.0, 10.0, 5.0, 15.0].map(Some);
    (base[0], base[2]) = (None, None);
    let variances = zone().structural();
    check_close(&check(&zone(), &base, &variances), &dense(&zone(), &base, &variances));
}

#[test]
fn two_missing_siblings_share_what_is_left() {
    let mut base = [None; 8];
    (base[2], base[5]) = (Some(30.0), Some(10.0));
    let values = check(&zone(), &base, &zone().structural());
    assert_eq!(values[5..], [Some(10.0), Some(10.0), Some(10.0)]);
}

#[test]
fn what_nothing_determines_stays_absent() {
    let mut base = [None; 8];
    (base[2], base[5]) = (Some(30.0), Some(10.0));
    let values = check(&zone(), &base, &zone().structural());
    assert_eq!((values[0], values[1], values[3], values[2]), (None, None, None, Some(30.0)));
}

#[test]
fn a_precise_parent_moves_its_children_by_their_variance() {
    let tree = Hierarchy::new(vec![None, Some(0), Some(0)]).unwrap();
    let base = [Some(110.0), Some(60.0), Some(40.0)];
    check_close(&check(&tree, &base, &[1e-12, 3.0, 1.0]), &[110.0, 67.5, 42.5]);
}

#[test]
fn bottom_up_looks_at_leaves_only() {
    let base = [0.0, 0.0, 0.0, 12.0, 8.0, 10.0, 5.0, 15.0].map(Some);
    let values = zone().bottom_up(&base).unwrap();
    assert_eq!(values[..3], [Some(50.0), Some(20.0), Some(30.0)]);
}

#[test]
fn a_fan_is_shifted_or_scaled_with_its_median() {
    let tree = Hierarchy::new(vec![None, Some(0)]).unwrap();
    let fan = |low, median, high| Some(Fan { quantiles: vec![low, median, high], median: 1 });
    let base = [fan(90.0, 100.0, 120.0), fan(40.0, 50.0, 60.0)];
    let moved = |spread| tree.reconcile_fans(&base, &[1e-12, 1.0], spread).unwrap()[1].clone();
    let [shifted, scaled] = [Spread::Shift, Spread::Scale].map(|spread| moved(spread).unwrap());
    let expected = [[90.0, 100.0, 110.0], [80.0, 100.0, 120.0]];
    for (fan, expected) in [shifted, scaled].iter().zip(expected) {
        let off = fan.quantiles.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 1e-9, "{fan:?}");
    }
}

#[test]
fn a_cycle_and_a_stranger_are_refused() {
    let cycle = Hierarchy::new(vec![None, Some(2), Some(1)]);
    assert_eq!(cycle, Err(HierarchyError::Cycle { node: 1 }));
    assert_eq!(Hierarchy::new(vec![Some(7)]), Err(HierarchyError::Parent { node: 0 }));
}

#[test]
fn what_is_no_number_is_refused() {
    let tree = Hierarchy::new(vec![None]).unwrap();
    assert_eq!(tree.reconcile(&[Some(f64::NAN)], &[1.0]), Err(HierarchyError::Value { node: 0 }));
    assert_eq!(tree.reconcile(&[Some(1.0)], &[0.0]), Err(HierarchyError::Value { node: 0 }));
    let length = HierarchyError::Length { expected: 1, given: 0 };
    assert_eq!(tree.reconcile(&[], &[1.0]), Err(length));
}

#[test]
fn a_hierarchy_is_saved_as_its_parents() {
    let text = serde_json::to_string(&zone()).unwrap();
    assert_eq!(text, "[null,0,0,1,1,2,2,2]");
    assert_eq!(serde_json::from_str::<Hierarchy>(&text).unwrap(), zone());
    assert!(serde_json::from_str::<Hierarchy>("[1,0]").is_err());
}

#[test]
fn variances_are_learned_and_a_new_node_has_that_of_its_leaves() {
    let mut variances = ErrorVariances::new(8, 0.99);
    let mut dice = Dice::new(1);
    for _ in 0..2000 {
        (3..8).for_each(|node| variances.observe(node, 2.0 * dice.normal()));
    }
    let learned = variances.of(&zone()).unwrap();
    assert!((3.0..5.0).contains(&learned[3]), "{learned:?}");
    assert!((14.0..26.0).contains(&learned[0]), "{learned:?}");
}

#[test]
fn reconciling_100000_nodes_keeps_every_sum() {
    let mut dice = Dice::new(8);
    let tree = tree(100_000, &mut dice);
    let base: Vec<_> = (0..tree.len()).map(|_| Some(dice.normal())).collect();
    let values = check(&tree, &base, &tree.structural());
    assert!(values.iter().all(Option::is_some));
}
