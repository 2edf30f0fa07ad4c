//! How long an estimation takes, to be run by hand in release:
//!
//! ```text
//! RUSTFLAGS="-C target-cpu=native" cargo test --release -p gridloom-grid \
//!     speed -- --ignored --nocapture
//! ```

use std::time::Instant;

use grid::Complex;
use grid::estimation::Circuit;
use grid::estimation::Estimator;
use grid::estimation::Outcome;
use grid::estimation::Row;
use grid::estimation::Settings;
use grid::estimation::Terminal;
use grid::estimation::What;

/// Seeded numbers in [0, 1) (Knuth's multiplicative generator).
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// A circuit with a state, from which measurements are drawn.
struct Radial {
    circuit: Circuit,
    state: Vec<Complex>,
    ends: Vec<[usize; 2]>,
    y: Vec<[Complex; 4]>,
}

/// Feeders of 120 nodes from one source at 10 kV, 15 % of the nodes without load.
fn radial(nodes: usize, seed: u64) -> Radial {
    let mut draws = Draws(seed);
    let mut circuit = Circuit {
        nodes,
        start: vec![Complex::ONE; nodes],
        island: vec![0; nodes],
        references: vec![0],
        zero_injection: vec![false; nodes],
        ..Circuit::default()
    };
    let (mut ends, mut ys) = (Vec::new(), Vec::new());
    let mut parent = vec![0; nodes];
    #[expect(clippy::needless_range_loop, reason = "a node has entries in five lists")]
    for node in 1..nodes {
        let first = (node - 1) / 120 * 120 + 1;
        let back = (1.0 + 3.0 * draws.uniform() * draws.uniform()) as usize;
        parent[node] = if node == first { 0 } else { (node.max(first + back) - back).max(first) };
        circuit.zero_injection[node] = draws.uniform() < 0.15;
        // Base 1 MVA at 10 kV: 100 ohm.
        let km = 0.1 + 0.5 * draws.uniform();
        let z = Complex::new(0.2 * km, 0.12 * km).scale(0.01);
        let half = Complex::new(0.0, 0.5 * 2.6e-4 * km * 0.01 * 100.0);
        let y = z.inverse();
        ends.push([parent[node], node]);
        ys.push([y + half, -y, -y, y + half]);
    }
    let loads: Vec<Complex> = (0..nodes)
        .map(|node| {
            if node == 0 || circuit.zero_injection[node] {
                return Complex::ZERO;
            }
            Complex::new(0.05 * draws.uniform(), 0.015 * draws.uniform())
        })
        .collect();
    let mut state = vec![Complex::ONE; nodes];
    for _ in 0..40 {
        let mut current: Vec<Complex> =
            (0..nodes).map(|node| (loads[node] / state[node]).conj()).collect();
        for node in (1..nodes).rev() {
            let own = current[node];
            current[parent[node]] += own;
        }
        for node in 1..nodes {
            state[node] = state[parent[node]] + current[node] / ys[node - 1][1];
        }
    }
    for (&[from, to], y) in ends.iter().zip(&ys) {
        let pairs = [(from, from), (from, to), (to, from), (to, to)];
        circuit.admittances.extend(pairs.into_iter().zip(y).map(|((a, b), &y)| (a, b, y)));
    }
    Radial { circuit, state, ends, y: ys }
}

/// Voltage at a tenth of the nodes, every injection, a seventh of the flows; the true values.
fn rows(radial: &mut Radial, draws: &mut Draws) -> Vec<Row> {
    let nodes = radial.circuit.nodes;
    let mut power = vec![Complex::ZERO; nodes];
    let v = &radial.state;
    for &(a, b, y) in &radial.circuit.admittances {
        power[a] += v[a] * (y * v[b]).conj();
    }
    let mut rows = Vec::new();
    let mut add = |what, value: f64, sigma: f64| {
        let members = vec![(rows.len(), 1.0)];
        rows.push(Row { what, members, value, sigma, active: true });
    };
    for node in 0..nodes {
        if node == 0 || draws.uniform() < 0.1 {
            add(What::Magnitude(node), v[node].abs(), 0.005);
        }
        if !radial.circuit.zero_injection[node] {
            let sigma = (0.015 * power[node].abs()).max(1e-4);
            add(What::ActiveInjection(node), power[node].re, sigma);
            add(What::ReactiveInjection(node), power[node].im, sigma);
        }
    }
    for (&[from, to], y) in radial.ends.iter().zip(&radial.y) {
        if draws.uniform() < 0.14 {
            let terms = vec![(from, y[0]), (to, y[1])];
            let s = v[from] * (y[0] * v[from] + y[1] * v[to]).conj();
            let sigma = (0.015 * s.abs()).max(1e-4);
            let at = radial.circuit.terminals.len();
            add(What::ActiveFlow(at), s.re, sigma);
            add(What::ReactiveFlow(at), s.im, sigma);
            radial.circuit.terminals.push(Terminal { node: from, terms });
        }
    }
    rows
}

/// The least of some times in milliseconds: others use the machine, too.
fn least(times: Vec<f64>) -> f64 {
    times.into_iter().fold(f64::INFINITY, f64::min) * 1e3
}

/// The median of some times in milliseconds.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2] * 1e3
}

fn measure(name: &str, circuit: &Circuit, mut rows: Vec<Row>, draws: &mut Draws) -> String {
    let truth: Vec<f64> = rows.iter().map(|row| row.value).collect();
    let sigma: Vec<f64> = rows.iter().map(|row| row.sigma).collect();
    for row in &mut rows {
        row.value += row.sigma * draws.normal();
    }
    let repeat = if circuit.nodes < 300 {
        400
    } else if circuit.nodes < 3000 {
        100
    } else {
        25
    };
    let settings = Settings { tolerance: 1e-8, ..Settings::default() };
    let began = Instant::now();
    let mut estimator = Estimator::of_circuit(circuit, rows);
    let compiled = began.elapsed().as_secs_f64() * 1e3;
    let mut outcome = Outcome::NoSource;
    let flat = (0..repeat).map(|_| {
        let began = Instant::now();
        outcome = estimator.solve(&settings);
        began.elapsed().as_secs_f64()
    });
    let flat = least(flat.collect());
    let flat = format!("{name}: compile {compiled:.2} ms, flat {flat:.4} ms {outcome:?}");
    let settings = Settings { tolerance: 1e-7, ..Settings::default() };
    let repeat = repeat.min(60);
    // A tick alone; with statistics on the frozen factor; with a fresh factor.
    let (mut ticks, mut frozen, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
    let (mut passes, mut most) = (0, 0);
    for turn in 0..3 * repeat {
        let values: Vec<f64> =
            truth.iter().zip(&sigma).map(|(z, sigma)| z + sigma * draws.normal()).collect();
        let began = Instant::now();
        estimator.set_values(&values);
        let outcome = estimator.track(&settings);
        if turn % 3 == 2 {
            estimator.refresh();
        }
        if turn % 3 > 0 {
            estimator.normalised_residuals();
        }
        [&mut ticks, &mut frozen, &mut fresh][turn % 3].push(began.elapsed().as_secs_f64());
        let Outcome::Solved { passes: made, factorisations, .. } = outcome else { panic!() };
        passes += made;
        most = most.max(made + 100 * factorisations);
        if turn % 3 == 0 {
            // So that the statistics of the next turn find the variances of a factor that stands.
            estimator.residual_variances();
        }
    }
    let mut shown =
        format!("{flat}\n  passes {:.2}, most {most};", passes as f64 / 3.0 / repeat as f64);
    let names = ["tick", "with statistics", "with a fresh factor, too"];
    for (name, times) in names.into_iter().zip([ticks, frozen, fresh]) {
        let (least, median) = (least(times.clone()), median(times));
        shown += &format!(" {name}: least {least:.4} ms, median {median:.4};");
    }
    shown
}

/// So many nodes that passes with an old factor have it in single precision.
#[test]
fn a_large_network_lands_on_its_optimum_with_the_factor_of_another_tick() {
    let mut radial = radial(5_000, 7);
    let mut draws = Draws(11);
    let rows = rows(&mut radial, &mut draws);
    let settings = Settings::default();
    let mut tracked = Estimator::of_circuit(&radial.circuit, rows.clone());
    assert!(tracked.solve(&settings).is_solved());
    let values: Vec<f64> = rows.iter().map(|row| row.value + row.sigma * draws.normal()).collect();
    tracked.set_values(&values);
    let outcome = tracked.track(&settings);
    assert!(matches!(outcome, Outcome::Solved { factorisations: 0, .. }), "{outcome:?}");
    let mut anew = Estimator::of_circuit(&radial.circuit, rows);
    anew.set_values(&values);
    assert!(anew.solve(&settings).is_solved());
    let apart =
        |node| (tracked.node_voltage(node).unwrap() - anew.node_voltage(node).unwrap()).abs();
    let off = (0..5_000).map(apart).fold(0.0, f64::max);
    assert!(off < 1e-9, "{off:e}");
}

#[test]
#[ignore = "a measurement"]
fn speed_of_radial_feeders() {
    for nodes in [118, 1_000, 10_000] {
        let mut radial = radial(nodes, 7);
        let mut draws = Draws(11);
        let rows = rows(&mut radial, &mut draws);
        let said = measure(&format!("radial {nodes}"), &radial.circuit, rows, &mut draws);
        println!("{said}");
    }
}
