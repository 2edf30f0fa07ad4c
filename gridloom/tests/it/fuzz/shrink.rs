//! Makes a failing case smaller: less queries, ticks, rows and clauses, as long as it still fails.

use super::data::Change;
use super::run::Case;
use super::run::Difference;

/// Attempts at most; each is a run of the whole case.
const ATTEMPTS_MAX: usize = 600;

/// The smallest failing case that is found by leaving things out one at a time.
pub(super) fn shrunk(case: Case, difference: Difference) -> (Case, Difference) {
    let workers = [1, 2];
    // A worker that panics does not say over which query.
    let suspected = case.queries[difference.query].clone();
    let alone = std::iter::once(&suspected).chain(&case.queries).find_map(|query| {
        let alone = Case { queries: vec![query.clone()], ..case.clone() };
        alone.run(&workers).err().map(|why| (alone, why))
    });
    let Some((mut best, mut why)) = alone else { return (case, difference) };
    let mut attempts = 0;
    loop {
        let Some((smaller, different)) = candidates(&best).into_iter().find_map(|one| {
            attempts += 1;
            let worth = attempts <= ATTEMPTS_MAX && one.sound();
            let different = worth.then(|| one.run(&workers).err()).flatten()?;
            Some((one, different))
        }) else {
            return (best, why);
        };
        (best, why) = (smaller, different);
    }
}

/// A row as text: NaN is equal to NaN there.
fn show(change: &Change) -> String {
    format!("{:?}", change.row)
}

/// Cases with a little less, the boldest first.
fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    for from in 1..case.ticks.len() {
        all.push(Case { ticks: case.ticks[..from].to_vec(), ..case.clone() });
    }
    for query in case.queries[0].smaller() {
        all.push(Case { queries: vec![query], ..case.clone() });
    }
    for (tick, changes) in case.ticks.iter().enumerate() {
        if !changes.is_empty() {
            let mut ticks = case.ticks.clone();
            ticks[tick].clear();
            all.push(Case { ticks, ..case.clone() });
        }
        for (at, change) in changes.iter().enumerate() {
            // A row that goes later must go from there too.
            let same = |one: &Change| one.table == change.table && show(one) == show(change);
            let mut ticks = case.ticks.clone();
            ticks.iter_mut().for_each(|changes| changes.retain(|one| !same(one)));
            all.push(Case { ticks, ..case.clone() });
            let mut ticks = case.ticks.clone();
            ticks[tick].remove(at);
            all.push(Case { ticks, ..case.clone() });
        }
    }
    all
}
