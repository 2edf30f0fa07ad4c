//! Identifiers and names that stand twice.
//!
//! An identifier is what measurements, switch positions and answers refer to: where two elements of
//! a kind have one, an answer names neither. A name is for people; it serves as an identifier where
//! it is unique, so one that is not is only worth knowing.

use std::collections::BTreeMap;

use super::Fault;
use super::Faults;
use super::few;
use super::named;
use crate::network::Network;

/// Identifiers and names of the elements of a kind, in their order.
type Table<'a> = (&'static str, Vec<(&'a str, &'a str)>);

/// The identifiers that stand twice among the elements of a kind: each a fatal fault.
pub fn twice(network: &Network) -> Vec<Fault> {
    let mut found = Faults::default();
    tables(network).iter().for_each(|table| identifiers(table, &mut found));
    found.0
}

pub(super) fn check(network: &Network, found: &mut Faults) {
    for table in &tables(network) {
        identifiers(table, found);
        names(table, found);
    }
}

fn tables(network: &Network) -> [Table<'_>; 7] {
    macro_rules! table {
        ($kind:literal, $elements:ident) => {{
            let both = network.$elements.iter().map(|of| (of.id.as_str(), of.name.as_str()));
            ($kind, both.collect())
        }};
    }
    [
        table!("bus", buses),
        table!("branch", branches),
        table!("three-winding transformer", three_winding),
        table!("shunt", shunts),
        table!("switch", switches),
        table!("injection", injections),
        table!("sensor", sensors),
    ]
}

fn identifiers((kind, elements): &Table<'_>, found: &mut Faults) {
    for (id, count) in repeated(elements.iter().map(|(id, _)| *id)) {
        let hint = "answers, measurements and switch positions cannot tell them apart";
        found.fatal(&named(kind, id, ""), format!("stands {count} times"), hint);
    }
}

fn names((kind, elements): &Table<'_>, found: &mut Faults) {
    let called = elements.iter().filter(|(id, name)| !name.is_empty() && id != name);
    let names: Vec<&str> = repeated(called.map(|(_, name)| *name)).into_keys().collect();
    if !names.is_empty() {
        let problem = format!("has names that stand twice: {}", few(&names));
        let hint = "those elements can only be told apart by their identifiers";
        found.note(&format!("table {kind}"), problem, hint);
    }
}

/// What stands more than once, and how often.
fn repeated<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut times = BTreeMap::new();
    for word in words {
        *times.entry(word).or_insert(0) += 1;
    }
    times.retain(|_, count| *count > 1);
    times
}
