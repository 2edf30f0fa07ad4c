//! Rates over many invented sets: the truth of a case with noise of each row's sigma, and errors.

use std::collections::BTreeMap;

use cases::folder::answers;
use grid::estimation::Estimator;
use grid::estimation::Settings as Solve;
use grid::estimation::bad_data::Settings;
use grid::estimation::bad_data::blind_spots;
use grid::estimation::bad_data::identify;
use grid::estimation::influence::Influence;
use grid::estimation::statistics::residual_limit;
use grid::measurement::Quantity;
use grid::measurement::Target;
use grid::network::Side;

use super::super::estimation::sets::Set;
use crate::document;
use crate::places;

/// Sets invented for each case and each number of errors.
const DRAWS: usize = 10_000;
/// Most clean sets in which a good row may be rejected: one in a thousand, and chance.
const FALSE: usize = 17;
/// The sizes of errors, in sigma of their row.
const ERROR: (f64, f64) = (6.0, 30.0);
/// The expected normalised residual of an error, the other left out: less cannot be named.
const EXPECTED: f64 = 6.0;
/// Another explanation is told apart if it leaves this much more of the sum of squares.
const MARGIN: f64 = 10.83;
/// Errors interact where their residuals' correlation is at least this.
const INTERACT: f64 = 0.3;

/// What has to be named of single errors, and of pairs.
const ONE: f64 = 0.99;
const TWO: f64 = 0.95;

/// Cases with the plan of their meters, and the pairs that must be reached: case33bw has no rows
/// that interact.
const SETS: [(&str, &str, usize); 6] = [
    ("ieee57", "scada_s1", DRAWS),
    ("simbench_mv_rural", "meters_s1", DRAWS),
    ("ieee14", "scada_s1", DRAWS),
    ("case33bw", "meters_s1", 0),
    ("cigre_mv", "meters_s1", DRAWS),
    ("simbench_lv_rural1", "meters_s1", DRAWS),
];

const HEAD: &str = "\
| case | plan | rows | limit | false | in set | exactly | set | alone | two | pairs | of all |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

/// Random numbers (SplitMix64), normal ones by Box and Muller.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        (self.uniform() * count as f64) as usize
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A size of an error in sigma, of either sign.
    fn error(&mut self) -> f64 {
        let size = ERROR.0 + (ERROR.1 - ERROR.0) * self.uniform();
        if self.bits() & 1 == 0 { size } else { -size }
    }
}

/// What every measurement of a set would read without noise.
fn truth(set: &Set) -> Vec<f64> {
    let (base, network) = (set.network.base_mva, &set.network);
    let file = |name: &str| set.answers.join(name);
    let buses = answers::truth_buses(&file("truth_bus.csv"), network).unwrap();
    let branches = answers::truth_branches(&file("truth_branch.csv"), network).unwrap();
    let injections = answers::truth_injections(&file("truth_injection.csv"), network).unwrap();
    let buses: BTreeMap<usize, _> = buses.iter().map(|of| (of.bus, of)).collect();
    let branches: BTreeMap<usize, _> = branches.iter().map(|of| (of.branch, of)).collect();
    let injections: BTreeMap<usize, _> = injections.iter().map(|of| (of.injection, of)).collect();
    let value = |target: Target, quantity: Quantity| match target {
        Target::Bus(bus) if quantity == Quantity::VoltageMagnitude => buses[&bus.0].vm_pu,
        Target::Bus(bus) => buses[&bus.0].va_deg.to_radians(),
        Target::Injection(at) if quantity == Quantity::ActivePower => injections[&at.0].p_mw / base,
        Target::Injection(at) => injections[&at.0].q_mvar / base,
        Target::BranchEnd(branch, side) => {
            let flow = branches[&branch.0];
            let ends = &network.branches[branch.0];
            let (bus, p, q) = match side {
                Side::From => (ends.from, flow.p_from_mw, flow.q_from_mvar),
                Side::To => (ends.to, flow.p_to_mw, flow.q_to_mvar),
            };
            match quantity {
                Quantity::ActivePower => p / base,
                Quantity::ReactivePower => q / base,
                _ => f64::hypot(p, q) / base / buses[&bus.0].vm_pu,
            }
        }
    };
    set.measurements.iter().map(|of| value(of.target, of.quantity)).collect()
}

/// A set whose rows can be given invented values.
struct Bench {
    estimator: Estimator,
    truth: Vec<f64>,
    sigma: Vec<f64>,
    values: Vec<f64>,
    random: Random,
    /// Rows that are not critical.
    rows: Vec<usize>,
    /// Correlations of residuals, and their standard deviations over the rows' sigma.
    correlation: Vec<Vec<f64>>,
    share: Vec<f64>,
}

impl Bench {
    fn new(set: &Set) -> Bench {
        let mut estimator = set.estimator();
        let truth = truth(set);
        estimator.set_values(&truth);
        assert!(estimator.solve(&Solve::default()).is_solved());
        let objective = estimator.objective();
        assert!(objective < 1e-4, "{}: the truth is not met: {objective:e}", set.title());
        let blind = blind_spots(&mut estimator);
        let mut influence = Influence::new(&mut estimator);
        let deviation: Vec<f64> = influence.variance.iter().map(|v| v.sqrt()).collect();
        let count = deviation.len();
        let rows: Vec<usize> = (0..count).filter(|row| !blind.critical.contains(row)).collect();
        let mut correlation = Vec::with_capacity(count);
        for row in 0..count {
            let mut column = influence.covariances(&estimator, row);
            let across = column.iter_mut().zip(&deviation);
            across.for_each(|(value, other)| *value /= deviation[row] * other);
            let critical = blind.critical.contains(&row);
            assert!(
                critical || (column[row] - 1.0).abs() < 1e-4,
                "its own is one: {}",
                column[row]
            );
            correlation.push(column);
        }
        let share = estimator.rows().iter().zip(&deviation).map(|(row, d)| d / row.sigma).collect();
        Bench {
            estimator,
            values: truth.clone(),
            truth,
            sigma: set.measurements.iter().map(|of| of.sigma).collect(),
            random: Random(0x5EED),
            rows,
            correlation,
            share,
        }
    }

    /// Noise on everything.
    fn draw(&mut self) {
        for ((value, truth), sigma) in self.values.iter_mut().zip(&self.truth).zip(&self.sigma) {
            *value = truth + sigma * self.random.normal();
        }
    }

    /// An error on one of the meters of a row.
    fn spoil(&mut self, row: usize, error: f64) {
        let row = &self.estimator.rows()[row];
        let (meter, factor) = row.members[self.random.below(row.members.len())];
        self.values[meter] += error * row.sigma / factor;
    }

    /// The rows that are named, and of each what would do as well.
    fn named(&mut self) -> Vec<(usize, Vec<usize>)> {
        self.estimator.set_values(&self.values);
        self.estimator.track(&Solve::default());
        let verdict = identify(&mut self.estimator, &Settings::default());
        verdict.take_back(&mut self.estimator);
        verdict.suspects.into_iter().map(|of| (of.row, of.instead)).collect()
    }

    /// A row and an error that can be named.
    fn one(&mut self) -> (usize, f64) {
        loop {
            let row = self.rows[self.random.below(self.rows.len())];
            let error = self.random.error();
            if error.abs() * self.share[row] >= EXPECTED {
                return (row, error);
            }
        }
    }

    /// The expected normalised residual of an error.
    fn seen(&self, (row, error): (usize, f64)) -> f64 {
        error * self.share[row]
    }

    /// True if no other row explains the error nearly as well.
    fn stands_alone(&self, at: (usize, f64)) -> bool {
        let seen = self.seen(at);
        let (row, rows) = (at.0, self.share.len());
        (0..rows).filter(|&other| other != row).all(|other| {
            let between = self.correlation[row][other];
            seen * seen * (1.0 - between * between) >= MARGIN
        })
    }

    /// Two rows that interact, with errors each of which could be named with the other left out.
    fn two(&mut self) -> Option<[(usize, f64); 2]> {
        for _ in 0..10_000 {
            let (a, first) = self.one();
            let interact = |row: &usize| *row != a && self.correlation[a][*row].abs() >= INTERACT;
            let rows: Vec<usize> = self.rows.iter().copied().filter(interact).collect();
            if rows.is_empty() {
                continue;
            }
            let b = rows[self.random.below(rows.len())];
            let second = self.random.error();
            let between = self.correlation[a][b];
            let left = (1.0 - between * between).max(0.0).sqrt();
            let seen = |at: (usize, f64)| self.seen(at).abs() * left >= EXPECTED;
            if seen((a, first)) && seen((b, second)) {
                return Some([(a, first), (b, second)]);
            }
        }
        None
    }

    /// True if without noise, whichever one row is left out, a normalised residual as large as
    /// one error's remains, and no other two rows explain nearly as much.
    fn are_two(&self, errors: [(usize, f64); 2]) -> bool {
        let [(a, _), (b, _)] = errors;
        let (x, y) = (self.seen(errors[0]), self.seen(errors[1]));
        let (of_a, of_b) = (&self.correlation[a], &self.correlation[b]);
        let rows = self.rows.len();
        let u: Vec<f64> = self.rows.iter().map(|&row| x * of_a[row] + y * of_b[row]).collect();
        let all = x * x + 2.0 * x * y * of_a[b] + y * y;
        for c in 0..rows {
            let with_c = &self.correlation[self.rows[c]];
            let left = |d: usize| {
                let between = with_c[self.rows[d]];
                let left = 1.0 - between * between;
                if left < 1e-6 { 0.0 } else { (u[d] - between * u[c]).powi(2) / left }
            };
            if (0..rows).all(|d| left(d) < EXPECTED * EXPECTED) {
                return false;
            }
            for d in c + 1..rows {
                let alike = [a, b].contains(&self.rows[c]) && [a, b].contains(&self.rows[d]);
                if !alike && u[c] * u[c] + left(d) > all - MARGIN {
                    return false;
                }
            }
        }
        true
    }
}

/// What was counted over the draws of a case.
#[derive(Default)]
struct Count {
    wrong: usize,
    one: usize,
    in_set: usize,
    alone: usize,
    of_alone: usize,
    set_size: usize,
    two: usize,
    of_two: usize,
    drawn: usize,
}

/// Draws of one error.
fn draw_one(bench: &mut Bench, count: &mut Count) {
    bench.draw();
    let (row, error) = bench.one();
    let alone = bench.stands_alone((row, error));
    bench.spoil(row, error);
    let named = bench.named();
    let exactly = named.len() == 1 && named[0].0 == row;
    count.one += usize::from(exactly);
    count.in_set += usize::from(named.len() == 1 && (exactly || named[0].1.contains(&row)));
    count.set_size += named.first().map_or(0, |of| 1 + of.1.len());
    count.of_alone += usize::from(alone);
    count.alone += usize::from(alone && exactly);
}

/// Draws of two errors that interact; false if the case has none.
fn draw_two(bench: &mut Bench, count: &mut Count) -> bool {
    bench.draw();
    let Some(errors) = bench.two() else { return false };
    count.drawn += 1;
    if !bench.are_two(errors) {
        return true;
    }
    let [(a, first), (b, second)] = errors;
    bench.spoil(a, first);
    bench.spoil(b, second);
    let named = bench.named();
    let has = |row: usize| named.iter().any(|of| of.0 == row);
    count.of_two += 1;
    count.two += usize::from(named.len() == 2 && has(a) && has(b));
    true
}

/// Counts for a case, and its line of the table.
fn rates((case, name, pairs): (&str, &str, usize)) -> Option<(Count, String)> {
    let set = Set::read(&places::case(case)?, "base", name);
    let mut bench = Bench::new(&set);
    let mut count = Count::default();
    for _ in 0..DRAWS {
        bench.draw();
        count.wrong += usize::from(!bench.named().is_empty());
    }
    for _ in 0..DRAWS {
        draw_one(&mut bench, &mut count);
    }
    while count.of_two < DRAWS && count.drawn < 10 * DRAWS && draw_two(&mut bench, &mut count) {}
    assert_eq!(count.of_two, pairs, "{case}: pairs of errors");
    let share = |part: usize, of: usize| match of {
        0 => "-".to_owned(),
        _ => format!("{:.2}", 100.0 * part as f64 / of as f64),
    };
    let rows = bench.estimator.rows().len();
    let line = format!(
        "| {case} | {name} | {rows} | {:.2} | {} | {} | {} | {:.2} | {} | {} | {} | {} |\n",
        residual_limit(rows, Settings::default().false_alarm),
        count.wrong,
        share(count.in_set, DRAWS),
        share(count.one, DRAWS),
        count.set_size as f64 / DRAWS as f64,
        share(count.alone, count.of_alone),
        share(count.two, count.of_two),
        count.of_two,
        share(count.of_two, count.drawn),
    );
    Some((count, line))
}

#[track_caller]
fn check(count: &Count, line: &str) {
    let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
    assert!(count.wrong <= FALSE, "{line}");
    assert!(share(count.in_set, DRAWS) >= ONE, "{line}");
    assert!(share(count.alone, count.of_alone) >= ONE, "{line}");
    assert!(count.of_two == 0 || share(count.two, count.of_two) >= TWO, "{line}");
}

/// The table of all cases, each half of them on a thread.
fn table() -> Vec<(Count, String)> {
    let half = |from: usize| {
        move || -> Vec<(usize, (Count, String))> {
            let cases = SETS.iter().enumerate().skip(from).step_by(2);
            cases.filter_map(|(at, of)| Some((at, rates(*of)?))).collect()
        }
    };
    let mut lines = std::thread::scope(|scope| {
        let other = std::thread::Builder::new().spawn_scoped(scope, half(1)).unwrap();
        let mut lines = half(0)();
        lines.extend(other.join().unwrap());
        lines
    });
    lines.sort_by_key(|&(at, _)| at);
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn rates_are_as_documented() {
    let lines = table();
    lines.iter().for_each(|(count, line)| check(count, line));
    let table: String = lines.iter().map(|(_, line)| line.as_str()).collect();
    let whole = lines.len() == SETS.len();
    let written = document::table("bad data rates", &format!("{HEAD}{table}"), whole);
    for (_, line) in &lines {
        assert!(
            written.contains(line.trim_end()),
            "not in docs/physics.md (UPDATE_EXPECT=1): {line}"
        );
    }
}
