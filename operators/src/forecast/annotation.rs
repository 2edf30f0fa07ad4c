//! What is known of nodes beforehand: hours in which they will not be, or were not, as usual.
//!
//! An hour that an annotation touches is not learned from, whether it comes after it or came
//! before. Of the hours ahead the node's forecast is what the annotation expects, if it says so,
//! and its feeder's is moved by as much.
//!
//! # Bounds
//!
//! [`ANNOTATIONS_MAX`] a feeder; one that ended before anything that is kept is forgotten.

use std::collections::BTreeMap;
use std::ops::Range;

use schemas::event::LoadAnnotation;
use schemas::time::HOUR_MS;
use serde::Deserialize;
use serde::Serialize;

/// Annotations of a feeder that are kept; of more, those that end first are forgotten.
pub const ANNOTATIONS_MAX: usize = 10_000;

/// Hours that one annotation speaks of, at most: a year, lest a slip of the pen be kept by hours.
const HOURS_MAX: u64 = 366 * 24;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Annotation {
    from: u64,
    to: u64,
    expected_kw: Option<f64>,
}

/// See [`self`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Annotations {
    /// By node and identifier.
    by_bus: BTreeMap<String, BTreeMap<String, Annotation>>,
    /// The node that each is about.
    about: BTreeMap<String, String>,
}

impl Annotations {
    /// Takes one in. Gives the nodes and hours of which something else is known now.
    pub fn take(&mut self, row: LoadAnnotation) -> Vec<(String, Range<u64>)> {
        let mut news = Vec::new();
        if let Some((bus, before)) = self.remove(&row.annotation_id) {
            news.push((bus, before.from..before.to));
        }
        if row.from_at < row.to_at {
            let from = row.from_at.0 / HOUR_MS;
            let to = row.to_at.0.div_ceil(HOUR_MS).min(from + HOURS_MAX);
            let expected_kw = row.expected_kw.filter(|kw| kw.is_finite());
            news.push((row.bus_id.clone(), from..to));
            self.about.insert(row.annotation_id.clone(), row.bus_id.clone());
            let of_bus = self.by_bus.entry(row.bus_id).or_default();
            of_bus.insert(row.annotation_id, Annotation { from, to, expected_kw });
            if self.about.len() > ANNOTATIONS_MAX {
                let all = self.by_bus.values().flatten();
                let first = all.min_by_key(|(id, annotation)| (annotation.to, *id));
                let first = first.map(|(id, _)| id.clone()).expect("there are some");
                self.remove(&first);
            }
        }
        news
    }

    fn remove(&mut self, id: &str) -> Option<(String, Annotation)> {
        let bus = self.about.remove(id)?;
        let of_bus = self.by_bus.get_mut(&bus)?;
        let annotation = of_bus.remove(id)?;
        if of_bus.is_empty() {
            self.by_bus.remove(&bus);
        }
        Some((bus, annotation))
    }

    /// Whether a node's hour is not as usual.
    pub fn touch(&self, bus: &str, hour: u64) -> bool {
        self.of(bus, hour).next().is_some()
    }

    /// What is expected of a node in an hour in kW, with who says so.
    pub fn expected(&self, bus: &str, hour: u64) -> Option<(&str, f64)> {
        self.of(bus, hour).find_map(|(id, annotation)| Some((id, annotation.expected_kw?)))
    }

    fn of(&self, bus: &str, hour: u64) -> impl Iterator<Item = (&str, &Annotation)> {
        let all = self.by_bus.get(bus).into_iter().flatten();
        let all = all.map(|(id, annotation)| (id.as_str(), annotation));
        all.filter(move |(_, a)| (a.from..a.to).contains(&hour))
    }

    /// Forgets those that ended before an hour.
    pub fn forget(&mut self, before: u64) {
        let all = self.by_bus.values().flatten();
        let over = all.filter(|(_, annotation)| annotation.to < before).map(|(id, _)| id.clone());
        for id in over.collect::<Vec<String>>() {
            self.remove(&id);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.about.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use schemas::relation::Relation;
    use schemas::time::Timestamp;

    use super::*;

    fn row(id: &str, from: u64, to: u64, expected_kw: Option<f64>) -> LoadAnnotation {
        LoadAnnotation {
            annotation_id: id.to_owned(),
            bus_id: "b".to_owned(),
            from_at: Timestamp(from * HOUR_MS),
            to_at: Timestamp(to * HOUR_MS),
            expected_kw,
            ..LoadAnnotation::example()
        }
    }

    #[test]
    fn a_later_row_takes_the_place_and_none_is_left_of_a_withdrawn_one() {
        let mut annotations = Annotations::default();
        assert_eq!(annotations.take(row("a", 10, 12, None)), [("b".to_owned(), 10..12)]);
        assert!(annotations.touch("b", 11) && !annotations.touch("b", 12));
        assert!(!annotations.touch("c", 11));
        let news = annotations.take(row("a", 20, 21, Some(1.5)));
        assert_eq!(news, [("b".to_owned(), 10..12), ("b".to_owned(), 20..21)]);
        assert_eq!(annotations.expected("b", 20), Some(("a", 1.5)));
        assert_eq!(annotations.expected("b", 11), None);
        annotations.take(row("a", 21, 21, Some(1.5)));
        assert!(annotations.is_empty());
    }

    #[test]
    fn part_of_an_hour_touches_it_and_what_has_ended_is_forgotten() {
        let mut annotations = Annotations::default();
        let mut half = row("a", 10, 11, None);
        half.to_at = half.to_at.plus(1);
        annotations.take(half);
        assert!(annotations.touch("b", 11));
        annotations.forget(12);
        assert!(!annotations.is_empty());
        annotations.forget(13);
        assert!(annotations.is_empty());
    }
}
