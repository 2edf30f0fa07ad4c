//! The symmetric factorisation and the selected inverse against dense arithmetic.

use grid::sparse::Pattern;
use grid::sparse::Symmetric;

const B: usize = 4;

/// Seeded numbers in [-1, 1) (Knuth's multiplicative generator).
fn draw(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// The inverse of a dense matrix by Gauss and Jordan with pivots.
fn dense_inverse(mut a: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = a.len();
    for (i, row) in a.iter_mut().enumerate() {
        row.extend((0..n).map(|j| if i == j { 1.0 } else { 0.0 }));
    }
    for c in 0..n {
        let pivot = (c..n).max_by(|&i, &j| a[i][c].abs().total_cmp(&a[j][c].abs())).unwrap();
        a.swap(c, pivot);
        let own: Vec<f64> = a[c].iter().map(|x| x / a[c][c]).collect();
        for row in &mut a {
            let factor = row[c];
            row.iter_mut().zip(&own).for_each(|(x, own)| *x -= factor * own);
        }
        a[c] = own;
    }
    a.into_iter().map(|row| row[n..].to_vec()).collect()
}

/// Random blocks on a pattern: symmetric, and indefinite as an estimator's are.
#[track_caller]
fn check(nodes: usize, edges: &[(usize, usize)], seed: u64) {
    let form = Symmetric::new(&Pattern::new(nodes, edges.iter().copied()));
    let mut state = seed;
    let mut blocks = vec![[[0.0; B]; B]; form.blocks()];
    let mut dense = vec![vec![0.0; B * nodes]; B * nodes];
    for place in 0..nodes {
        let row = form.diagonal(place)..form.right(place).end;
        for (own, block) in blocks[row.clone()].iter_mut().zip(row) {
            let column = form.column(block);
            for i in 0..B {
                for j in 0..B {
                    let mut x = draw(&mut state);
                    if column == place {
                        x = if i > j { own[j][i] } else { x };
                        x += if i != j { 0.0 } else { [9.0, 9.0, -9.0, -9.0][i] };
                    }
                    own[i][j] = x;
                    dense[B * place + i][B * column + j] = x;
                    dense[B * column + j][B * place + i] = x;
                }
            }
        }
    }
    let mut x: Vec<[f64; B]> = (0..nodes).map(|_| [0; B].map(|_| draw(&mut state))).collect();
    let right = x.concat();
    form.factor(&mut blocks);
    form.solve(&blocks, &mut x);
    let inverse = dense_inverse(dense);
    for (row, x) in inverse.iter().zip(x.concat()) {
        let expected: f64 = row.iter().zip(&right).map(|(a, b)| a * b).sum();
        assert!((x - expected).abs() < 1e-10, "{x} instead of {expected}");
    }
    let mut selected = vec![[[f64::NAN; B]; B]; form.blocks()];
    form.selected_inverse(&blocks, &mut selected);
    for place in 0..nodes {
        for block in form.diagonal(place)..form.right(place).end {
            for i in 0..B {
                for j in 0..B {
                    let expected = inverse[B * place + i][B * form.column(block) + j];
                    let found = selected[block][i][j];
                    assert!((found - expected).abs() < 1e-10, "{found} instead of {expected}");
                }
            }
        }
    }
}

#[test]
fn a_single_node_is_its_own_inverse() {
    check(1, &[], 1);
}

#[test]
fn a_tree_is_solved_and_inverted() {
    check(9, &[(0, 1), (1, 2), (1, 3), (3, 4), (3, 5), (5, 6), (0, 7), (7, 8)], 2);
}

#[test]
fn a_ring_with_fill_is_solved_and_inverted() {
    check(7, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 0)], 3);
}

#[test]
fn a_mesh_is_solved_and_inverted() {
    let edges: Vec<(usize, usize)> =
        (0..20).flat_map(|node| [(node, (node + 1) % 20), (node, (node * 7 + 3) % 20)]).collect();
    check(20, &edges, 4);
}

#[test]
fn parts_that_do_not_touch_are_solved_each() {
    check(6, &[(0, 1), (2, 3), (3, 4)], 5);
}
