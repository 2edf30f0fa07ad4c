//! Random queries over random relations: maintained, they show at every tick what batch DataFusion
//! answers of the rows at that tick, with one, two and three workers.
//!
//! A case is two or three relations, what comes, goes and comes back in them in [`TICKS`] ticks,
//! and [`QUERIES`] queries over them and over a lookup of one in another. One of the queries is
//! made a view half-way, by an index or without, read by another view and replaced. Everything
//! follows from the seed, the number of workers too: it goes round from case to case. A run fails
//! if a clause, a function, or what is done to views and indexes was compared too rarely, or with
//! some number of workers never ([`feature`]).
//!
//! A case that fails is made smaller as long as it fails, and printed with its seed as relations,
//! changes and SQL, and as a file for `tests/slt`. `GRIDLOOM_FUZZ_CASES` says how many cases to run
//! and `GRIDLOOM_FUZZ_SEED` where to begin, for long runs and for one that failed.

mod aggregate;
mod compared;
mod data;
mod feature;
mod index;
mod islands;
mod lookup;
mod midway;
mod order;
mod query;
mod random;
mod run;
mod shown;
mod shrink;
mod slt;
mod source;
mod time;
mod write;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::mpsc::channel;

use self::compared::Compared;
use self::compared::Difference;
use self::data::Table;
use self::feature::WORKERS_MAX;
use self::lookup::Lookup;
use self::midway::Midway;
use self::random::Random;
use self::run::Case;
use self::write::Writer;

/// Cases of an ordinary run.
const CASES: u64 = 2_000;
const QUERIES: usize = 4;
const TICKS: usize = 7;

/// Cases that run at once. Each asks batch on a thread of its own; its workers have theirs.
const AT_ONCE: usize = 2;

/// With how many of the numbers of workers a case runs; the next case begins with the next one.
const TURNS: u64 = 1;

/// How often each feature is compared in an ordinary run, at least.
const LEAST: usize = 10;

fn case(seed: u64) -> Case {
    let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
    let tables = data::tables(&mut random);
    let ticks = data::history(&mut random, &tables, TICKS);
    let looks_up = random.chance(60);
    let lookup = Lookup::random(&mut random, &tables).filter(|_| looks_up);
    let met = lookup.as_ref().map(Lookup::table);
    let known: Vec<Table> = tables.iter().cloned().chain(met).collect();
    let mut writer = Writer::new(&mut random, &known);
    let queries = (0..QUERIES).map(|_| writer.query()).collect();
    let midway = Some(Midway::random(&mut random, QUERIES, TICKS));
    Case { lookup, midway, ..Case::new(tables, ticks, queries) }
}

/// The numbers of workers that a case runs with.
fn workers(seed: u64) -> Vec<usize> {
    (0..TURNS).map(|turn| 1 + (seed + turn) as usize % WORKERS_MAX).collect()
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// What became of the case of a seed.
type Ran = (u64, Result<Compared, Difference>);

/// Runs cases until there is none left or one has failed. Seeds are taken in order, so all before
/// one that failed are run.
#[expect(clippy::print_stdout, reason = "the seed of a case that panics is asked for")]
fn run_cases(next: &AtomicU64, last: u64, tell: &Sender<Ran>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed > last {
            return;
        }
        let run = || case(seed).run(&workers(seed));
        let ran = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            println!("random queries: seed {seed} panicked\n{}", case(seed));
            resume_unwind(panic)
        });
        if ran.is_err() {
            next.fetch_max(last + 1, Ordering::Relaxed);
        }
        if tell.send((seed, ran)).is_err() {
            return;
        }
    }
}

#[test]
fn random_queries_equal_batch_7_ticks_3_workers() {
    let cases = setting("GRIDLOOM_FUZZ_CASES", CASES);
    let first = setting("GRIDLOOM_FUZZ_SEED", 1);
    let last = first + cases - 1;
    println!("random queries: seeds {first} to {last}");
    let next = AtomicU64::new(first);
    let (tell, told) = channel();
    let (mut total, mut waiting, mut seed) = (Compared::default(), BTreeMap::new(), first);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let (next, tell) = (&next, tell.clone());
            scope.spawn(move || run_cases(next, last, &tell));
        }
        drop(tell);
        for (of, ran) in &told {
            waiting.insert(of, ran);
            while let Some(Ok(compared)) = waiting.get(&seed) {
                total += compared.clone();
                waiting.remove(&seed);
                if seed.is_multiple_of(100) {
                    println!("random queries: up to seed {seed} {total:?}");
                }
                seed += 1;
            }
        }
    });
    if let Some(Err(difference)) = waiting.remove(&seed) {
        let (case, difference) = shrink::shrunk(case(seed), difference, &workers(seed));
        let file = slt::text(&case);
        let again = format!("GRIDLOOM_FUZZ_SEED={seed} GRIDLOOM_FUZZ_CASES=1");
        panic!("seed {seed} ({again}): {difference}\n{case}\n# Seed {seed}.\n{file}");
    }
    println!("random queries: seeds {first} to {last} {total:?}");
    // An oracle that compares nothing with nothing proves nothing; a few cases may be odd ones.
    let all = cases as usize;
    let enough = total.queries * 5 > all * QUERIES * 3 && total.rows > total.answers;
    let changed = total.swapped * 3 > all && total.midway > 2 * total.swapped;
    let missing = total.features.missing(LEAST);
    assert!(cases < CASES || enough && changed, "of {cases} cases from {first} on: {total:?}");
    assert!(cases < CASES || missing.is_empty(), "compared too rarely: {missing:?}");
}
