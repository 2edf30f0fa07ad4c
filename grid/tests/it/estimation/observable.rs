//! Sets that determine a part of their network: that part is at its own optimum.
//!
//! There is no stored optimum of these sets, only the list of buses that cannot be determined
//! (`obs_*.json`): the tests that go by stored optima pass them by. So it is found here, by other
//! means than the estimator's: the state of the observable nodes in rectangular coordinates,
//! a dense matrix, zero injections and the reference as exact rows with multipliers, no weight that
//! holds anything. What counts is what depends on observable nodes alone.

use std::fmt::Write;

use cases::folder::answers;
use grid::Complex;
use grid::estimation::Estimator;
use grid::estimation::Row;
use grid::estimation::Settings;
use grid::estimation::What;
use grid::network::Side;

use super::sets::Set;
use super::sets::sets;
use crate::document;
use crate::places;
use crate::places::CASES;

/// How far an estimate may be from the dense optimum, per unit. (Found: 1e-12 at most.)
const STATE: f64 = 1e-9;
/// How far a variance may be off, as a share of its row's.
const VARIANCE: f64 = 0.01;

const HEAD: &str = "\
| case | set | rows used | nodes seen | of | J | rms V % | worst V % |
|---|---|--:|--:|--:|--:|--:|--:|
";

/// A current that depends on the state: its node, and admittances of nodes.
struct Current {
    node: usize,
    terms: Vec<(usize, Complex)>,
}

impl Current {
    fn at(&self, v: &[Complex]) -> Complex {
        self.terms.iter().map(|&(node, y)| y * v[node]).fold(Complex::ZERO, |sum, i| sum + i)
    }

    fn power(&self, v: &[Complex]) -> Complex {
        v[self.node] * self.at(v).conj()
    }

    /// How the power moves if a node's voltage does.
    fn moved(&self, v: &[Complex], node: usize, by: Complex) -> Complex {
        let through = self.terms.iter().filter(|term| term.0 == node);
        let current = through.fold(Complex::ZERO, |sum, &(_, y)| sum + y * by);
        let own = if node == self.node { by * self.at(v).conj() } else { Complex::ZERO };
        own + v[self.node] * current.conj()
    }
}

/// The problem of the nodes that are seen.
struct Dense<'a> {
    set: &'a Set,
    estimator: &'a Estimator,
    seen: Vec<usize>,
    /// Everything that flows from a node into the network, by node.
    out: Vec<Current>,
    /// The rows that count.
    rows: Vec<usize>,
    /// Nodes without anything, all around them seen.
    empty: Vec<usize>,
}

impl<'a> Dense<'a> {
    fn new(set: &'a Set, estimator: &'a Estimator, unseen_buses: &[usize]) -> Dense<'a> {
        let nodes = estimator.nodes();
        let mut out: Vec<Current> =
            (0..nodes).map(|node| Current { node, terms: Vec::new() }).collect();
        for branch in 0..set.model.branches.len() {
            for side in [Side::From, Side::To] {
                if let Some(end) = end(set, estimator, branch, side) {
                    out[end.node].terms.extend(end.terms);
                }
            }
        }
        for &(bus, y) in &set.model.shunts {
            if let Some(node) = estimator.node(bus) {
                out[node].terms.push((node, y));
            }
        }
        let unseen: Vec<usize> =
            unseen_buses.iter().filter_map(|&bus| estimator.node(bus)).collect();
        let seen: Vec<usize> = (0..nodes).filter(|node| !unseen.contains(node)).collect();
        let known = |current: &Current| {
            let mut nodes = current.terms.iter().filter(|term| term.1 != Complex::ZERO);
            seen.contains(&current.node) && nodes.all(|term| seen.contains(&term.0))
        };
        let counts = |row: &Row| match row.what {
            What::Magnitude(node) => seen.contains(&node),
            What::ActiveInjection(node) | What::ReactiveInjection(node) => known(&out[node]),
            What::ActiveFlow(at) | What::ReactiveFlow(at) => {
                let (branch, side) = estimator.branch_end(at);
                known(&end(set, estimator, branch, side).unwrap())
            }
            other => panic!("{other:?} is in no such set"),
        };
        let all = 0..estimator.rows().len();
        let rows = all.filter(|&row| counts(&estimator.rows()[row])).collect();
        let full: Vec<Option<usize>> =
            set.model.injections.iter().map(|of| estimator.node(of.bus)).collect();
        let empty = (0..nodes).filter(|&node| !full.contains(&Some(node)) && known(&out[node]));
        let empty = empty.collect();
        Dense { set, estimator, seen, out, rows, empty }
    }

    /// A row's value, and by the real and the imaginary part of each seen node's voltage.
    fn row(&self, row: usize, v: &[Complex]) -> (f64, Vec<f64>) {
        let (set, estimator) = (self.set, self.estimator);
        let parts = |current: &Current, of: fn(Complex) -> f64| {
            let by = |node: usize, by: Complex| of(current.moved(v, node, by));
            (of(current.power(v)), self.columns(by))
        };
        let re = |z: Complex| z.re;
        let im = |z: Complex| z.im;
        let flow = |at: usize| {
            let (branch, side) = estimator.branch_end(at);
            end(set, estimator, branch, side).unwrap()
        };
        match estimator.rows()[row].what {
            What::Magnitude(of) => {
                let along = |by: Complex| (v[of].conj() * by).re / v[of].abs();
                let by = |node, by| if node == of { along(by) } else { 0.0 };
                (v[of].abs(), self.columns(by))
            }
            // What is measured is the power into the network's node, which flows on.
            What::ActiveInjection(node) => parts(&self.out[node], re),
            What::ReactiveInjection(node) => parts(&self.out[node], im),
            What::ActiveFlow(at) => parts(&flow(at), re),
            What::ReactiveFlow(at) => parts(&flow(at), im),
            other => panic!("{other:?} is in no such set"),
        }
    }

    fn columns(&self, by: impl Fn(usize, Complex) -> f64) -> Vec<f64> {
        let of = |&node: &usize| [by(node, Complex::ONE), by(node, Complex::new(0.0, 1.0))];
        self.seen.iter().flat_map(of).collect()
    }

    /// What is met exactly: values and derivatives. Zero injections, and the reference's angle.
    fn exact(&self, v: &[Complex]) -> Vec<(f64, Vec<f64>)> {
        let mut exact = Vec::new();
        for &node in &self.empty {
            let out = &self.out[node];
            let current = |of: usize, by: Complex| {
                let through = out.terms.iter().filter(|term| term.0 == of);
                through.fold(Complex::ZERO, |sum, &(_, y)| sum + y * by)
            };
            exact.push((out.at(v).re, self.columns(|of, by| current(of, by).re)));
            exact.push((out.at(v).im, self.columns(|of, by| current(of, by).im)));
        }
        for &node in self.estimator.pinned() {
            // Where the estimator has the reference's angle: that is agreed, not estimated.
            let agreed = self.estimator.node_voltage(node).unwrap();
            let across = |v: Complex| (v / agreed).im;
            let by = |of: usize, by: Complex| if of == node { across(by) } else { 0.0 };
            exact.push((across(v[node]), self.columns(by)));
        }
        exact
    }

    /// One step of Gauss and Newton, and the matrix it was made with.
    fn step(&self, v: &mut [Complex]) -> (f64, Vec<Vec<f64>>) {
        let states = 2 * self.seen.len();
        let exact = self.exact(v);
        let size = states + exact.len();
        let mut matrix = vec![vec![0.0; size]; size];
        let mut rhs = vec![vec![0.0]; size];
        for &row in &self.rows {
            let (value, by) = self.row(row, v);
            let of = &self.estimator.rows()[row];
            let weight = 1.0 / (of.sigma * of.sigma);
            let touched: Vec<usize> = (0..states).filter(|&at| by[at] != 0.0).collect();
            for &a in &touched {
                rhs[a][0] += weight * by[a] * (of.value - value);
                touched.iter().for_each(|&b| matrix[a][b] += weight * by[a] * by[b]);
            }
        }
        for (at, (value, by)) in exact.iter().enumerate() {
            // Of the size of the other rows, so that pivots are chosen among equals.
            rhs[states + at][0] = -value * 1e4;
            for (state, by) in by.iter().enumerate() {
                matrix[states + at][state] = by * 1e4;
                matrix[state][states + at] = by * 1e4;
            }
        }
        let kept = matrix.clone();
        solve(&mut matrix, &mut rhs);
        let mut largest = 0.0_f64;
        for (at, &node) in self.seen.iter().enumerate() {
            let by = Complex::new(rhs[2 * at][0], rhs[2 * at + 1][0]);
            v[node] += by;
            largest = largest.max(by.abs());
        }
        (largest, kept)
    }

    /// The optimum, and the matrix there. Begins at the truth, which is near.
    fn optimum(&self) -> (Vec<Complex>, Vec<Vec<f64>>) {
        let mut v = vec![Complex::ONE; self.estimator.nodes()];
        for bus in truth(self.set) {
            if let Some(node) = self.estimator.node(bus.bus) {
                v[node] = Complex::from_polar(bus.vm_pu, bus.va_deg.to_radians());
            }
        }
        let mut before = f64::INFINITY;
        for _ in 0..30 {
            let (step, matrix) = self.step(&mut v);
            if step < 1e-7 && step > 0.3 * before {
                return (v, matrix);
            }
            before = step;
        }
        panic!("{}: the dense steps stay at {before:e}", self.set.title());
    }
}

fn truth(set: &Set) -> Vec<answers::TruthBus> {
    answers::truth_buses(&set.answers.join("truth_bus.csv"), &set.network).unwrap()
}

/// What flows into an end of a branch; nothing if it is dead.
fn end(set: &Set, estimator: &Estimator, branch: usize, side: Side) -> Option<Current> {
    let line = &set.model.branches[branch];
    let [ff, ft, tf, tt] = set.topology.two_port(&set.model, branch);
    let (from, to) = (estimator.node(line.from), estimator.node(line.to));
    let (node, own, other, through) = match side {
        Side::From => (from?, ff, to, ft),
        Side::To => (to?, tt, from, tf),
    };
    let mut terms = vec![(node, own)];
    terms.extend(other.map(|other| (other, through)));
    Some(Current { node, terms })
}

/// Gaussian elimination with the largest pivot of each column, in place, of several right-hand
/// sides, which are the columns of `x`.
fn solve(a: &mut [Vec<f64>], x: &mut [Vec<f64>]) {
    let size = x.len();
    let take_off = |to: &mut [f64], of: &[f64], factor: f64| {
        to.iter_mut().zip(of).for_each(|(y, x)| *y -= factor * x);
    };
    for c in 0..size {
        let pivot = (c..size).max_by(|&p, &q| a[p][c].abs().total_cmp(&a[q][c].abs())).unwrap();
        a.swap(c, pivot);
        x.swap(c, pivot);
        let (above, below) = a.split_at_mut(c + 1);
        let (above_x, below_x) = x.split_at_mut(c + 1);
        for (row, row_x) in below.iter_mut().zip(below_x) {
            let factor = row[c] / above[c][c];
            if factor != 0.0 {
                take_off(&mut row[c..], &above[c][c..], factor);
                take_off(row_x, &above_x[c], factor);
            }
        }
    }
    for c in (0..size).rev() {
        let (above_x, below_x) = x.split_at_mut(c + 1);
        let own = &mut above_x[c];
        for (k, known) in below_x.iter().enumerate() {
            take_off(own, known, a[c][c + 1 + k]);
        }
        own.iter_mut().for_each(|x| *x /= a[c][c]);
    }
}

/// Estimates a set and compares; gives its line of the table.
fn check(set: &Set) -> String {
    let title = set.title();
    let stored = answers::unobservable(&set.answer("obs_", ".json"), &set.network).unwrap();
    let mut estimator = set.estimator();
    let outcome = estimator.solve(&Settings::default());
    assert!(outcome.is_solved(), "{title}: {outcome:?}");
    estimator.refresh();
    let variances = estimator.residual_variances().to_vec();
    let objective = estimator.objective();
    let dense = Dense::new(set, &estimator, &stored);
    let (v, matrix) = dense.optimum();
    let mut off = 0.0_f64;
    for bus in 0..set.network.buses.len() {
        assert_eq!(estimator.voltage(bus).is_none(), stored.contains(&bus), "{title}: bus {bus}");
        if let (Some(node), Some(found)) = (estimator.node(bus), estimator.voltage(bus)) {
            off = off.max((found - v[node]).abs());
        }
    }
    assert!(off < STATE, "{title}: {off:e} from the optimum");
    check_variances(&dense, &v, matrix, &variances);
    let j: f64 = dense.rows.iter().map(|&row| square(&dense, row, &v)).sum();
    assert!((j - objective).abs() < 1e-6 * j.max(1.0), "{title}: {objective} for {j}");
    line(set, &dense, objective)
}

fn square(dense: &Dense<'_>, row: usize, v: &[Complex]) -> f64 {
    let of = &dense.estimator.rows()[row];
    ((of.value - dense.row(row, v).0) / of.sigma).powi(2)
}

/// The variances of residuals against `σ² - h C hᵀ` with the whole inverse.
fn check_variances(dense: &Dense<'_>, v: &[Complex], mut matrix: Vec<Vec<f64>>, variances: &[f64]) {
    let size = matrix.len();
    let by: Vec<Vec<f64>> = dense.rows.iter().map(|&row| dense.row(row, v).1).collect();
    let entry = |at: usize, row: usize| by[row].get(at).copied().unwrap_or(0.0);
    let mut solved: Vec<Vec<f64>> =
        (0..size).map(|at| (0..by.len()).map(|row| entry(at, row)).collect()).collect();
    solve(&mut matrix, &mut solved);
    for (at, &row) in dense.rows.iter().enumerate() {
        let of = &dense.estimator.rows()[row];
        let known: f64 = by[at].iter().zip(&solved).map(|(h, solved)| h * solved[at]).sum();
        let own = of.sigma * of.sigma;
        let off = (variances[row] - (own - known)) / own;
        assert!(off.abs() < VARIANCE, "{} {:?}: {off:e}", dense.set.title(), of.what);
    }
}

fn line(set: &Set, dense: &Dense<'_>, objective: f64) -> String {
    let mut percent = vec![0.0; dense.estimator.nodes()];
    for bus in truth(set) {
        if let Some(v) = dense.estimator.voltage(bus.bus).filter(|_| bus.energised) {
            percent[dense.estimator.node(bus.bus).unwrap()] = 100.0 * (v.abs() / bus.vm_pu - 1.0);
        }
    }
    let seen = dense.seen.len();
    let squares: f64 = percent.iter().map(|percent| percent * percent).sum();
    let worst = percent.iter().fold(0.0_f64, |worst, percent| worst.max(percent.abs()));
    let mut text = String::new();
    writeln!(
        text,
        "| {} | {} | {} | {seen} | {} | {objective:.2} | {:.3} | {worst:.3} |",
        set.case,
        set.name,
        dense.rows.len(),
        dense.estimator.nodes(),
        (squares / seen as f64).sqrt(),
    )
    .unwrap();
    text
}

#[test]
fn what_is_seen_of_a_network_is_at_its_optimum() {
    let with_such = |case: &&str| !case.starts_with("ieee");
    let cases: Vec<&str> = CASES.into_iter().filter(with_such).collect();
    let present: Vec<&str> =
        cases.iter().copied().filter(|case| places::case(case).is_some()).collect();
    let mut table = HEAD.to_owned();
    for case in &present {
        sets(case, "obs_", ".json").iter().for_each(|set| table.push_str(&check(set)));
    }
    let written = document::table("observable parts", &table, present.len() == cases.len());
    let of_present = |line: &&str| {
        let case = line.trim_start_matches("| ").split(' ').next().unwrap_or_default();
        !cases.contains(&case) || present.contains(&case)
    };
    let written: String =
        written.lines().filter(of_present).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(written, table, "run with UPDATE_EXPECT=1 to write docs/physics.md anew");
}
