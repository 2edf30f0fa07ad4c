//! The sparse factorisations against dense elimination with full row exchanges.
//!
//! Patterns and blocks are drawn at random; the dense oracle knows nothing of either. Where a
//! pivot vanishes the block LU has to say so, and the one with exchanges to solve.

use grid::Complex;
use grid::sparse::Block;
use grid::sparse::Pattern;
use grid::sparse::pivoting;

use crate::random_network::Draws;

/// Solves a dense system by elimination with the largest pivot of each column.
fn dense(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for c in 0..n {
        let pivot = (c..n).max_by(|&i, &j| a[i][c].abs().total_cmp(&a[j][c].abs())).unwrap();
        a.swap(c, pivot);
        b.swap(c, pivot);
        let (own, right) = (a[c].clone(), b[c]);
        for r in c + 1..n {
            let factor = a[r][c] / own[c];
            for (x, y) in a[r][c..].iter_mut().zip(&own[c..]) {
                *x -= factor * y;
            }
            b[r] -= factor * right;
        }
    }
    for c in (0..n).rev() {
        let known: f64 = (c + 1..n).map(|k| a[c][k] * b[k]).sum();
        b[c] = (b[c] - known) / a[c][c];
    }
    b
}

/// A pattern of a random graph with a tree in it.
fn pattern(draws: &mut Draws, nodes: usize) -> Pattern {
    let mut edges: Vec<(usize, usize)> = (1..nodes).map(|v| (draws.below(v), v)).collect();
    for _ in 0..nodes / 2 {
        edges.push((draws.below(nodes), draws.below(nodes)));
    }
    Pattern::new(nodes, edges)
}

/// Random blocks, diagonally strong where asked; entries of fill too, which changes nothing.
fn blocks<const B: usize>(draws: &mut Draws, of: &Pattern, strong: f64) -> Vec<[[f64; B]; B]> {
    let mut blocks = vec![[[0.0; B]; B]; of.blocks()];
    for place in 0..of.rows() {
        for block in of.row(place) {
            for (r, row) in blocks[block].iter_mut().enumerate() {
                for (c, x) in row.iter_mut().enumerate() {
                    *x = draws.between(-1.0, 1.0);
                    if block == of.diagonal(place) && r == c {
                        *x += strong * (of.row(place).len() * B) as f64;
                    }
                }
            }
        }
    }
    blocks
}

fn dense_of<const B: usize>(of: &Pattern, blocks: &[[[f64; B]; B]]) -> Vec<Vec<f64>> {
    let mut a = vec![vec![0.0; of.rows() * B]; of.rows() * B];
    for place in 0..of.rows() {
        for block in of.row(place) {
            for r in 0..B {
                for c in 0..B {
                    a[place * B + r][of.column(block) * B + c] = blocks[block][r][c];
                }
            }
        }
    }
    a
}

#[track_caller]
fn check<const B: usize>(seed: u64) {
    let mut draws = Draws(seed);
    for round in 0..60 {
        let nodes = 1 + draws.below(40);
        let of = pattern(&mut draws, nodes);
        let mut a = blocks::<B>(&mut draws, &of, 1.0);
        let mut x: Vec<[f64; B]> =
            (0..nodes).map(|_| std::array::from_fn(|_| draws.between(-1.0, 1.0))).collect();
        let expected = dense(dense_of(&of, &a), x.iter().flatten().copied().collect());
        let mut exchanged = x.clone();
        pivoting::solve(&of, &a, &mut exchanged);
        let weakest = of.factor(&mut a);
        assert!(weakest.share > 1e-3, "round {round}: {weakest:?}");
        of.solve(&a, &mut x);
        for (found, what) in [(x, "block LU"), (exchanged, "with exchanges")] {
            for (x, expected) in found.iter().flatten().zip(&expected) {
                assert!((x - expected).abs() < 1e-11, "round {round} {what}: {x} {expected}");
            }
        }
    }
}

#[test]
fn blocks_of_one_as_dense() {
    check::<1>(5);
}

#[test]
fn blocks_of_two_as_dense() {
    check::<2>(6);
}

#[test]
fn blocks_of_four_as_dense() {
    check::<4>(7);
}

#[test]
fn blocks_of_six_as_dense() {
    check::<6>(8);
}

#[test]
fn complex_entries_as_blocks_of_two() {
    let mut draws = Draws(9);
    let of = pattern(&mut draws, 30);
    let real = blocks::<2>(&mut draws, &of, 1.0);
    let mut complex: Vec<Complex> = real.iter().map(|b| Complex::new(b[0][0], b[1][0])).collect();
    let mut real: Vec<[[f64; 2]; 2]> =
        complex.iter().map(|z| [[z.re, -z.im], [z.im, z.re]]).collect();
    let mut x: Vec<[f64; 2]> = (0..30).map(|_| [draws.share(), draws.share()]).collect();
    let mut z: Vec<Complex> = x.iter().map(|x| Complex::new(x[0], x[1])).collect();
    of.factor(&mut real);
    of.factor(&mut complex);
    of.solve(&real, &mut x);
    of.solve(&complex, &mut z);
    for (x, z) in x.iter().zip(z) {
        assert!((Complex::new(x[0], x[1]) - z).abs() < 1e-12);
    }
}

#[test]
fn where_a_pivot_vanishes_the_factor_says_so_and_exchanges_still_solve() {
    let mut draws = Draws(10);
    for _ in 0..40 {
        let nodes = 3 + draws.below(30);
        let of = pattern(&mut draws, nodes);
        let mut a = blocks::<2>(&mut draws, &of, 0.0);
        // The first pivot of all is nothing, and its neighbours make the matrix regular.
        a[of.diagonal(0)] = [[0.0; 2]; 2];
        let mut x: Vec<[f64; 2]> = (0..nodes).map(|_| [draws.share(), draws.share()]).collect();
        let expected = dense(dense_of(&of, &a), x.iter().flatten().copied().collect());
        pivoting::solve(&of, &a, &mut x);
        let largest = expected.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
        for (x, expected) in x.iter().flatten().zip(&expected) {
            assert!((x - expected).abs() < 1e-7 * largest, "{x} {expected}");
        }
        let weakest = of.factor(&mut a);
        assert!(weakest.share == 0.0 || weakest.share.is_nan(), "{weakest:?}");
        assert_eq!(weakest.node, of.node(0));
    }
}

#[test]
fn a_singular_matrix_gives_no_number() {
    let of = Pattern::new(2, [(0, 1)]);
    let a = vec![[[1.0, 2.0], [2.0, 4.0]]; of.blocks()];
    let mut x = vec![[1.0, 1.0]; 2];
    pivoting::solve(&of, &a, &mut x);
    assert!(x.iter().flatten().any(|x| !x.is_finite()), "{x:?}");
}

#[test]
fn inverses_of_two_by_two_and_how_strong_they_are() {
    for (block, share) in [
        ([[2.0, 0.0], [0.0, 4.0]], 0.5),
        ([[0.0, 1.0], [1.0, 0.0]], 1.0),
        ([[1.0, 1.0], [1.0, 1.0 + 1e-9]], 1e-9),
    ] {
        let mut inverse: [[f64; 2]; 2] = block;
        let found = inverse.invert();
        assert!((found / share - 1.0).abs() < 1e-6, "{block:?}: {found}");
        let unit = inverse.times(&block);
        for (r, row) in unit.iter().enumerate() {
            for (c, x) in row.iter().enumerate() {
                let expected = if r == c { 1.0 } else { 0.0 };
                assert!((x - expected).abs() < 1e-6, "{unit:?}");
            }
        }
    }
}
