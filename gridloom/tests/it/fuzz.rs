//! Random queries over random relations: maintained, they show at every tick what batch DataFusion
//! answers of the rows at that tick, with one, two and three workers.
//!
//! A case is a few relations, what comes, goes and comes back in them tick by tick, and some
//! queries; everything follows from its seed. A case that fails is made smaller as long as it
//! fails, and printed as relations, changes and SQL. `GRIDLOOM_FUZZ_CASES` says how many cases to
//! run and `GRIDLOOM_FUZZ_SEED` where to begin, for long runs and for one that failed.

mod data;
mod islands;
mod order;
mod query;
mod random;
mod run;
mod shrink;
mod time;
mod write;

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
    Case { tables, ticks, queries }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn random_queries_equal_batch_7_ticks_3_workers() {
    let cases = setting("GRIDLOOM_FUZZ_CASES", CASES);
    let first = setting("GRIDLOOM_FUZZ_SEED", 1);
    let mut total = Compared::default();
    for seed in first..first + cases {
        let case = case(seed);
        match case.run(&[1, 2, 3]) {
            Ok(compared) => {
                total.queries += compared.queries;
                total.refused += compared.refused;
                total.failed += compared.failed;
                total.answers += compared.answers;
                total.rows += compared.rows;
            }
            Err(difference) => {
                let (case, difference) = shrink::shrunk(case, difference);
                panic!("seed {seed}: {difference}\n{case}");
            }
        }
    }
    // An oracle that compares nothing with nothing proves nothing.
    let enough = total.queries * 3 > cases as usize * QUERIES * 2 && total.rows > total.answers;
    assert!(enough, "of {cases} cases from seed {first} on: {total:?}");
}
