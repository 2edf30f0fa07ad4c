//! Makes a failing case smaller: less queries, ticks, rows, columns and clauses, as long as it
//! still fails, and most of all one that can be written as a file of `tests/slt`.

use super::compared::Difference;
use super::data::Change;
use super::lookup::Lookup;
use super::midway::Midway;
use super::run::Case;
use super::slt;

/// Attempts at most; each is a run of the whole case.
const ATTEMPTS_MAX: usize = 800;

/// The smallest failing case that is found by leaving things out one at a time; it fails with one
/// of these numbers of workers.
pub(super) fn shrunk(case: Case, difference: Difference, workers: &[usize]) -> (Case, Difference) {
    // A worker that panics does not say over which query.
    let suspected = case.queries[difference.query].clone();
    let alone = std::iter::once(&suspected).chain(&case.queries).find_map(|query| {
        let midway = case.midway.as_ref().map(|midway| Some(midway.alone()));
        std::iter::once(None).chain(midway).find_map(|midway| {
            let alone = Case { queries: vec![query.clone()], midway, ..case.clone() };
            alone.run(workers).err().map(|why| (alone, why))
        })
    });
    let Some((mut best, mut why)) = alone else { return (case, difference) };
    let mut attempts = 0;
    loop {
        let Some((smaller, different)) = candidates(&best).into_iter().find_map(|one| {
            attempts += 1;
            let worth = attempts <= ATTEMPTS_MAX && one.sound();
            let different = worth.then(|| one.run(workers).err()).flatten()?;
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
    for midway in case.midway.iter().flat_map(Midway::smaller) {
        all.push(Case { midway: Some(midway), ..case.clone() });
    }
    let plain = slt::plain(case);
    if case.midway.is_none() && plain.to_string() != case.to_string() {
        all.push(plain);
    }
    for from in 1..case.ticks.len() {
        all.push(Case { ticks: case.ticks[..from].to_vec(), ..case.clone() });
    }
    for query in case.queries[0].smaller() {
        all.push(Case { queries: vec![query], ..case.clone() });
    }
    if let Some(lookup) = &case.lookup {
        all.push(Case { lookup: None, ..case.clone() });
        let smaller = Lookup::smaller(lookup).into_iter();
        all.extend(smaller.map(|lookup| Case { lookup: Some(lookup), ..case.clone() }));
    }
    all.extend(fewer_tables(case));
    all.extend(fewer_columns(case));
    all.extend(fewer_changes(case));
    all
}

/// The case without one of its tables.
fn fewer_tables(case: &Case) -> Vec<Case> {
    let without = |index: usize| {
        let mut one = case.clone();
        one.tables.remove(index);
        for changes in &mut one.ticks {
            changes.retain(|change| change.table != index);
            let behind = changes.iter_mut().filter(|change| change.table > index);
            behind.for_each(|change| change.table -= 1);
        }
        one
    };
    (0..case.tables.len()).filter(|_| case.tables.len() > 1).map(without).collect()
}

/// The case without one of its columns.
fn fewer_columns(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    for (index, table) in case.tables.iter().enumerate() {
        // The last one of a stream is its event time; of a table one must be left.
        for column in (0..table.columns.len()).filter(|_| table.columns.len() > 1) {
            if table.stream && column + 1 == table.columns.len() {
                continue;
            }
            let mut one = case.clone();
            one.tables[index].columns.remove(column);
            for change in one.ticks.iter_mut().flatten().filter(|change| change.table == index) {
                change.row.remove(column);
            }
            all.push(one);
        }
    }
    all
}

/// The case without one of its changes, or all of a tick.
fn fewer_changes(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
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
