//! Random queries over random relations: maintained, they show at every tick what batch DataFusion
//! answers of the rows at that tick, with one, two and three workers.
//!
//! A case is a few relations, what comes, goes and comes back in them tick by tick, and some
//! queries, one of which is made a view half-way, read by another and replaced; everything follows
//! from its seed. A case that fails is made smaller as long as it fails, and printed with its seed
//! as relations, changes and SQL, and as a file for `tests/slt`. `GRIDLOOM_FUZZ_CASES` says how
//! many cases to run and `GRIDLOOM_FUZZ_SEED` where to begin, for long runs and for one that
//! failed.

mod data;
mod islands;
mod midway;
mod order;
mod query;
mod random;
mod run;
mod shrink;
mod slt;
mod time;
mod write;

use self::midway::Midway;
use self::random::Random;
use self::run::Case;
use self::run::Compared;
use self::write::Writer;

/// Cases of an ordinary run: about a minute on two cores.
const CASES: u64 = 120;
const QUERIES: usize = 4;
const TICKS: usize = 7;

fn case(seed: u64) -> Case {
    let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
    let tables = data::tables(&mut random);
    let ticks = data::history(&mut random, &tables, TICKS);
    let mut writer = Writer::new(&mut random, &tables);
    let queries = (0..QUERIES).map(|_| writer.query()).collect();
    let midway = Some(Midway::random(&mut random, QUERIES, TICKS));
    Case { tables, ticks, queries, midway }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn random_queries_equal_batch_7_ticks_3_workers() {
    let cases = setting("GRIDLOOM_FUZZ_CASES", CASES);
    let first = setting("GRIDLOOM_FUZZ_SEED", 1);
    let last = first + cases - 1;
    println!("random queries: seeds {first} to {last}");
    let mut total = Compared::default();
    for seed in first..=last {
        let case = case(seed);
        match case.run(&[1, 2, 3]) {
            Ok(compared) => total += compared,
            Err(difference) => {
                let (case, difference) = shrink::shrunk(case, difference);
                let file = slt::text(&case);
                let again = format!("GRIDLOOM_FUZZ_SEED={seed} GRIDLOOM_FUZZ_CASES=1");
                panic!("seed {seed} ({again}): {difference}\n{case}\n# Seed {seed}.\n{file}");
            }
        }
        if seed.is_multiple_of(100) {
            println!("random queries: up to seed {seed} {total:?}");
        }
    }
    println!("random queries: seeds {first} to {last} {total:?}");
    // An oracle that compares nothing with nothing proves nothing; a few cases may be odd ones.
    let all = cases as usize;
    let enough = total.queries * 3 > all * QUERIES * 2 && total.rows > total.answers;
    let changed = total.swapped > all && total.midway > 2 * total.swapped;
    assert!(cases < CASES || enough && changed, "of {cases} cases from {first} on: {total:?}");
}
