//! Parts against wholes: partitions that are computed as far as a change reaches put out, at every
//! tick, what the same partitions do that are computed whole.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::DataType;
use arrow_schema::Field;
use proptest::prelude::*;
use schemas::plan::EvalError;
use schemas::plan::PartitionFunction;

use super::*;
use crate::delta::add_to;

/// What a call says of a row.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// The `x` of the row that is so many rows before.
    Lag(usize),
    /// The sum of `x` from so many rows before to so many behind.
    Rows(usize, usize),
    /// The sum of `x` from so many groups before to so many behind.
    Groups(usize, usize),
    /// The sum of `x` where `t` is from so much before to so much behind.
    Values(i64, i64),
    /// The row's number.
    Number,
    /// The sum of `x` up to here, with the equal ones.
    Running,
    /// The sum of all `x`.
    Total,
}

impl Of {
    fn reach(self) -> Reach {
        match self {
            Of::Lag(before) => Reach::Rows { before, after: 0 },
            Of::Rows(before, after) => Reach::Rows { before, after },
            Of::Groups(before, after) => Reach::Groups { before, after },
            Of::Values(before, after) => Reach::Values { before, after, least: -900, most: 900 },
            Of::Number | Of::Running => Reach::Onward,
            Of::Total => Reach::Whole,
        }
    }

    /// The value of the row at `i`, over rows that are in this order.
    fn of(self, i: usize, (t, x, down): (&[Option<i64>], &[i64], bool)) -> Option<i64> {
        let groups = |a: usize, b: usize| (a..b).filter(|n| t[*n] != t[n + 1]).count();
        let seen = |j: usize| match self {
            Of::Rows(a, b) => j + a >= i && j <= i + b,
            Of::Groups(a, _) if j <= i => groups(j, i) <= a,
            Of::Groups(_, b) => groups(i, j) <= b,
            Of::Values(a, b) => match (t[i], t[j]) {
                (Some(here), Some(there)) => {
                    let behind = if down { here - there } else { there - here };
                    (-a..=b).contains(&behind)
                }
                (here, there) => here == there,
            },
            Of::Running => j <= i || t[j] == t[i],
            Of::Lag(_) | Of::Number | Of::Total => true,
        };
        match self {
            Of::Lag(n) => i.checked_sub(n).map(|j| x[j]),
            Of::Number => Some(i as i64 + 1),
            _ => Some((0..x.len()).filter(|j| seen(*j)).map(|j| x[j]).sum()),
        }
    }
}

/// A function that has no value where `bad` is among the `x`, and counts the rows it has seen.
#[derive(Debug)]
struct Summing {
    of: Of,
    down: bool,
    bad: i64,
    seen: Arc<AtomicUsize>,
}

impl Summing {
    fn values(&self, arguments: &[ArrayRef]) -> Result<Vec<Option<i64>>, EvalError> {
        let t: Vec<Option<i64>> = arguments[0].as_primitive::<Int64Type>().iter().collect();
        let x = arguments[1].as_primitive::<Int64Type>().values();
        self.seen.fetch_add(x.len(), Ordering::Relaxed);
        if x.contains(&self.bad) {
            return Err(EvalError { message: "bad".to_owned() });
        }
        let rows = (t.as_slice(), &x[..], self.down);
        Ok((0..x.len()).map(|i| self.of.of(i, rows)).collect())
    }
}

impl fmt::Display for Summing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.of)
    }
}

impl PartitionFunction for Summing {
    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, EvalError> {
        let values = self.values(arguments)?;
        assert_eq!(values.len(), rows);
        Ok(Arc::new(Int64Array::from(values)))
    }

    fn go_on(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
        at: usize,
        value: &ArrayRef,
    ) -> Result<ArrayRef, EvalError> {
        assert!(matches!(self.of, Of::Number | Of::Running), "{self} was asked to go on");
        let values = self.values(arguments)?;
        assert_eq!(values.len(), rows);
        let before = value.as_primitive::<Int64Type>().value(0) - values[at].unwrap();
        let behind = values[at + 1..].iter().map(|value| value.map(|value| value + before));
        Ok(Arc::new(behind.collect::<Int64Array>()))
    }

    fn same(&self, _: &dyn PartitionFunction) -> bool {
        false
    }
}

const NEVER: i64 = i64::MIN;

/// A node's calls, and how their partitions are ordered by `t`.
#[derive(Clone, Debug)]
struct Case {
    of: Vec<Of>,
    down: bool,
    lenient: bool,
    /// The `x` over which the first of them has no value.
    bad: i64,
}

impl Case {
    fn of(of: &[Of]) -> Case {
        Case { of: of.to_vec(), down: false, lenient: false, bad: NEVER }
    }

    fn shape(&self, seen: &Arc<AtomicUsize>) -> Shape {
        let call = |(n, of): (usize, &Of)| WindowCall {
            function: Arc::new(Summing {
                of: *of,
                down: self.down,
                bad: if n == 0 { self.bad } else { NEVER },
                seen: seen.clone(),
            }),
            arguments: vec![1, 2],
            output: Arc::new(Field::new(format!("v{n}"), DataType::Int64, true)),
            reach: of.reach(),
        };
        let order = vec![OrderBy { column: 1, descending: self.down, nulls_first: false }];
        let calls = self.of.iter().enumerate().map(call).collect();
        Shape { partition: vec![0], order, calls, schema: schema() }
    }
}

fn schema() -> SchemaRef {
    let fields = ["key", "t", "x"].map(|name| Field::new(name, DataType::Int64, true));
    Arc::new(Schema::new(fields.to_vec()))
}

/// Key, `t`, `x`, and how often more.
type Change = (i64, Option<i64>, i64, Diff);

/// Partitions, what they show, and how many rows their functions have seen.
struct Run {
    state: Partitions,
    shown: BTreeMap<Row, Diff>,
    faults: BTreeMap<Fault, Diff>,
    seen: Arc<AtomicUsize>,
    at: Time,
}

impl Run {
    fn new(case: &Case) -> Run {
        let seen = Arc::<AtomicUsize>::default();
        let shape = case.shape(&seen);
        let state = Partitions::new(&schema(), &shape, case.lenient).unwrap();
        Run { state, shown: BTreeMap::new(), faults: BTreeMap::new(), seen, at: 0 }
    }

    fn whole(case: &Case) -> Run {
        let mut run = Run::new(case);
        run.state.looks = None;
        run
    }

    fn tick(&mut self, changes: &[Change], down: bool) {
        self.at += 1;
        let at = self.at;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(changes.iter().map(|c| Some(c.0)).collect::<Int64Array>()),
            Arc::new(changes.iter().map(|c| c.1).collect::<Int64Array>()),
            Arc::new(changes.iter().map(|c| Some(c.2)).collect::<Int64Array>()),
        ];
        let batch = RecordBatch::try_new(schema(), columns).unwrap();
        let by_t = [OrderBy { column: 1, descending: down, nulls_first: false }];
        let rows = |mut codec: RowCodec, columns: &[usize]| {
            codec.rows(&batch.project(columns).unwrap()).unwrap()
        };
        let groups = rows(codec(&project(&schema(), &[0]), "test").unwrap(), &[0]);
        let orders = rows(ordered(&schema(), &by_t, "test").unwrap(), &[1]);
        let all = rows(codec(&schema(), "test").unwrap(), &[0, 1, 2]);
        let candidates = groups.into_iter().zip(orders).zip(all).zip(changes);
        let candidates = candidates.map(|(((group, order), row), change)| Candidate {
            time: at,
            group,
            order,
            row,
            until: Time::MAX,
            diff: change.3,
        });
        let mut out = Vec::new();
        self.state.step(at, candidates.collect(), &mut out);
        for said in out {
            match said {
                Ok((row, _, diff)) => add_to(&mut self.shown, row, diff),
                Err((fault, _, diff)) => add_to(&mut self.faults, fault, diff),
            }
        }
    }

    /// How many rows the functions see in a tick of these changes.
    fn sees(&mut self, changes: &[Change]) -> usize {
        let before = self.seen.load(Ordering::Relaxed);
        self.tick(changes, false);
        self.seen.load(Ordering::Relaxed) - before
    }
}

/// Runs both ways, and says how many rows the parts have seen, and the wholes.
#[track_caller]
fn check(case: &Case, ticks: &[Vec<Change>]) -> (usize, usize) {
    let (mut parts, mut whole) = (Run::new(case), Run::whole(case));
    for (n, changes) in ticks.iter().enumerate() {
        parts.tick(changes, case.down);
        whole.tick(changes, case.down);
        assert_eq!(parts.shown, whole.shown, "rows at tick {n} of {case:?}");
        assert_eq!(parts.faults, whole.faults, "faults at tick {n} of {case:?}");
        assert_eq!(parts.state.kept().rows, whole.state.kept().rows, "kept at tick {n}");
    }
    let seen = |run: &Run| run.seen.load(Ordering::Relaxed);
    (seen(&parts), seen(&whole))
}

/// Rows of one partition, `t` from 0 on by twos, each with another `x`.
fn begun(rows: i64) -> Vec<Change> {
    (0..rows).map(|n| (7, Some(2 * n), n * n, 1)).collect()
}

const ALL_NEAR: [Of; 4] = [Of::Lag(2), Of::Rows(3, 1), Of::Values(4, 2), Of::Groups(1, 0)];

#[test]
fn what_is_near_a_change_is_computed_as_the_whole_would_be() {
    let ticks = [
        begun(40),
        vec![(7, Some(31), 5, 1)],
        vec![(7, Some(30), 225, -1)],
        vec![(7, Some(0), 0, -1), (7, Some(78), 1521, -1)],
        vec![(7, Some(-1), 3, 1), (7, Some(99), 4, 1), (7, Some(40), 6, 1), (7, Some(41), 6, 1)],
        // Equal rows come and go.
        vec![(7, Some(20), 100, 2)],
        vec![(7, Some(20), 100, -1), (7, Some(20), 8, 3)],
        vec![(7, Some(20), 100, 1), (7, Some(20), 100, -1)],
        // What comes and goes within a tick.
        vec![(7, Some(51), 9, 1), (7, Some(51), 9, -1)],
    ];
    let (parts, whole) = check(&Case::of(&ALL_NEAR), &ticks);
    assert!(2 * parts < whole, "{parts} of {whole}");
    let (parts, whole) = check(&Case { down: true, ..Case::of(&ALL_NEAR) }, &ticks);
    assert!(2 * parts < whole, "{parts} of {whole}");
}

#[test]
fn what_looks_at_all_before_goes_on_from_there() {
    let ticks = [
        begun(40),
        vec![(7, Some(78), 5, 1)],
        vec![(7, Some(79), 5, 1)],
        vec![(7, Some(79), 5, -1)],
        vec![(7, Some(70), 2, 2), (7, Some(74), 2, 1)],
        vec![(7, Some(0), 0, -1)],
    ];
    let (parts, whole) = check(&Case::of(&[Of::Number, Of::Running]), &ticks);
    assert!(2 * parts < whole, "{parts} of {whole}");
    check(&Case::of(&[Of::Running, Of::Lag(2), Of::Values(9, 5)]), &ticks);
}

#[test]
fn a_partition_empties_and_begins_anew() {
    let gone = begun(6).into_iter().map(|(key, t, x, diff)| (key, t, x, -diff));
    let (mut first, mut rest): (Vec<Change>, Vec<Change>) = gone.partition(|change| change.2 < 9);
    let last = rest.pop().unwrap();
    first.push((8, Some(1), 1, 1));
    let ticks = [begun(6), first, rest, vec![last], begun(6), vec![(7, Some(3), 3, 1)]];
    for of in [&ALL_NEAR[..], &[Of::Number, Of::Running]] {
        check(&Case::of(of), &ticks);
    }
}

#[test]
fn a_change_costs_what_it_reaches() {
    const ROWS: usize = 200;
    let middle: [Change; 1] = [(7, Some(201), 3, 1)];
    let end: [Change; 1] = [(7, Some(500), 3, 1)];
    let run = |of: &[Of]| {
        let mut run = Run::new(&Case::of(of));
        assert_eq!(run.sees(&begun(ROWS as i64)), of.len() * ROWS);
        run
    };
    // One before and three behind can be others; those look three back and one ahead.
    assert_eq!(run(&[Of::Lag(2), Of::Rows(3, 1)]).sees(&middle), 2 * (3 + 1 + 1 + 3 + 1));
    assert_eq!(run(&[Of::Groups(1, 1)]).sees(&middle), 1 + 1 + 1 + 1 + 1);
    assert_eq!(run(&[Of::Values(4, 0)]).sees(&middle), 2 + 1 + 2);
    // The new row, and the one before it.
    assert_eq!(run(&[Of::Number, Of::Running]).sees(&end), 2 * 2);
    assert_eq!(run(&[Of::Lag(1), Of::Total]).sees(&end), 2 * (ROWS + 1));
    // Beyond what is promised of values.
    assert_eq!(run(&[Of::Values(4, 0)]).sees(&[(7, Some(901), 3, 1)]), ROWS + 1);
}

#[test]
fn a_partition_without_a_value_is_asked_whole() {
    let ticks = [
        begun(20),
        vec![(7, Some(9), 13, 1)],
        // Far from the bad one, which the part does not see.
        vec![(7, Some(35), 2, 1)],
        vec![(7, Some(9), 13, -1)],
        vec![(7, Some(35), 2, -1)],
    ];
    for lenient in [false, true] {
        for of in [&ALL_NEAR[..], &[Of::Running, Of::Lag(1)]] {
            check(&Case { lenient, bad: 13, ..Case::of(of) }, &ticks);
        }
    }
}

fn any_of() -> impl Strategy<Value = Of> {
    prop_oneof![
        (0usize..4).prop_map(Of::Lag),
        (0usize..4, 0usize..4).prop_map(|(a, b)| Of::Rows(a, b)),
        (0usize..3, 0usize..3).prop_map(|(a, b)| Of::Groups(a, b)),
        (0i64..5, 0i64..5).prop_map(|(a, b)| Of::Values(a, b)),
        Just(Of::Number),
        Just(Of::Running),
    ]
}

/// Rows of few values, so that many are equal, some without a time, some taken away that never
/// were.
fn any_change() -> impl Strategy<Value = Change> {
    let t = prop_oneof![12 => (0i64..30).prop_map(Some), 1 => Just(None), 1 => Just(Some(1_000))];
    (0i64..2, t, 0i64..4, prop_oneof![3 => Just(1i64), 2 => Just(-1i64)])
}

proptest! {
    #[test]
    fn parts_are_as_wholes(
        of in prop::collection::vec(any_of(), 1..4),
        down in any::<bool>(),
        lenient in any::<bool>(),
        bad in prop_oneof![3 => Just(NEVER), 1 => Just(3i64)],
        first in prop::collection::vec((0i64..2, 0i64..30, 0i64..4), 0..40),
        rest in prop::collection::vec(prop::collection::vec(any_change(), 0..4), 1..12),
    ) {
        let first = first.into_iter().map(|(key, t, x)| (key, Some(t), x, 1)).collect();
        let ticks: Vec<Vec<Change>> = std::iter::once(first).chain(rest).collect();
        check(&Case { of, down, lenient, bad }, &ticks);
    }
}
