//! Which view comes after which: views may read views, and their files come in any order.

use std::collections::BTreeMap;

use schemas::catalog::Catalog;

use super::refuse::PlanError;
use super::refuse::nearest;
use super::statement;
use super::statement::relations;

/// The texts in dependency order, or everything that is wrong with them.
pub(crate) fn order(
    catalog: &Catalog,
    texts: &[&str],
) -> Result<Vec<usize>, Vec<(usize, PlanError)>> {
    let mut errors = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut views = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        match statement::view(text) {
            Ok(view) => {
                let name = view.name.clone();
                if catalog.get(&name).is_some() || places.contains_key(&name) {
                    let what = if catalog.get(&name).is_some() { "relation" } else { "view" };
                    errors.push((place, PlanError::DuplicateName { name, what }));
                } else {
                    places.insert(name, place);
                    views.push((place, view));
                }
            }
            Err(error) => errors.push((place, error)),
        }
    }
    let mut reads: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, view) in &views {
        let entry = reads.entry(*place).or_default();
        for named in relations(&view.query) {
            if let Some(read) = places.get(&named.name) {
                entry.push(*read);
            } else if catalog.get(&named.name).is_none() {
                let names = catalog.iter().map(|(name, _)| name);
                let names = names.chain(places.keys().map(String::as_str));
                let hint = nearest(&named.name, names);
                let (name, at) = (named.name, named.at);
                errors.push((*place, PlanError::UnknownRelation { name, hint, at }));
            }
        }
    }
    let names: BTreeMap<usize, &str> =
        places.iter().map(|(name, place)| (*place, name.as_str())).collect();
    let mut sorted = Vec::new();
    let mut walk = Walk { reads: &reads, path: Vec::new(), sorted: &mut sorted };
    for place in reads.keys() {
        if let Some(circle) = walk.visit(*place) {
            let path = circle.iter().map(|place| names[place].to_owned()).collect();
            errors.push((*place, PlanError::Cycle { path }));
            break;
        }
    }
    if errors.is_empty() { Ok(sorted) } else { Err(errors) }
}

struct Walk<'a> {
    reads: &'a BTreeMap<usize, Vec<usize>>,
    path: Vec<usize>,
    sorted: &'a mut Vec<usize>,
}

impl Walk<'_> {
    /// Puts what a view reads before it; the circle it lies on, if it does.
    fn visit(&mut self, place: usize) -> Option<Vec<usize>> {
        if self.sorted.contains(&place) {
            return None;
        }
        if let Some(start) = self.path.iter().position(|p| *p == place) {
            let mut circle = self.path[start..].to_vec();
            circle.push(place);
            return Some(circle);
        }
        self.path.push(place);
        for read in self.reads.get(&place).into_iter().flatten() {
            if let Some(circle) = self.visit(*read) {
                return Some(circle);
            }
        }
        self.path.pop();
        self.sorted.push(place);
        None
    }
}
