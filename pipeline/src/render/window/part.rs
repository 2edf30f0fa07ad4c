//! Which rows of a partition can have other values after a change, and what these look at.
//!
//! A row's value can be another only if a row within its reach has come or gone. So from each
//! changed row it is gone backward as far as calls look forward, and forward as far as they look
//! backward: over the rows that are there now, since what was there before and is not is itself a
//! change, from which is gone as well. What is reached so are the rows to compute; with all that
//! they look at, they are evaluated in place of the partition. Changes that are near each other
//! make one part, so that no part of a partition is walked for each of them.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::ops::Bound::Excluded;
use std::ops::Bound::Included;
use std::ops::Bound::Unbounded;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_cast::cast;
use arrow_schema::DataType;
use schemas::plan::OrderBy;
use schemas::plan::Reach;
use schemas::plan::WindowCall;
use schemas::row::Row;
use schemas::row::RowCodec;

use super::Entry;
use crate::render::convert::OF_SCHEMA;

/// Where a row stands in its partition: by its order, and by its bytes where that calls rows equal.
pub(super) type Place = (Row, Row);

/// The rows of a partition.
pub(super) type Rows = BTreeMap<Place, Entry>;

/// The rows from one place up to another, or to the end.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) from: Place,
    /// The first place that is not in it.
    pub(super) to: Option<Place>,
}

impl Stretch {
    pub(super) fn bounds(&self) -> (Bound<&Place>, Bound<&Place>) {
        (Included(&self.from), self.to.as_ref().map_or(Unbounded, Excluded))
    }

    pub(super) fn ends_before(&self, place: &Place) -> bool {
        self.to.as_ref().is_some_and(|to| to <= place)
    }
}

/// A part of a partition that is computed anew.
#[derive(Debug)]
pub(super) struct Part {
    /// The rows whose values can be others.
    pub(super) reached: Stretch,
    /// These, and all rows that they look at.
    pub(super) seen: Stretch,
}

/// How far the calls of a node look together, to one side.
#[derive(Clone, Copy, Debug, Default)]
struct Far {
    rows: usize,
    /// Groups of rows that are equal in the order, beside the whole of a row's own.
    groups: Option<usize>,
    /// By the order's value.
    values: i64,
}

impl Far {
    fn and(self, other: Far) -> Far {
        Far {
            rows: self.rows.max(other.rows),
            groups: self.groups.max(other.groups),
            values: self.values.max(other.values),
        }
    }
}

/// How far the calls of a node look together.
pub(super) struct Looks {
    before: Far,
    after: Far,
    /// Whether some look at all that is before.
    onward: bool,
    line: Option<Line>,
}

impl Looks {
    /// How far these calls look; `codec` encodes the order. `None` where one looks anywhere.
    pub(super) fn of(calls: &[WindowCall], order: &[OrderBy], codec: RowCodec) -> Option<Looks> {
        let (mut before, mut after) = (Far::default(), Far::default());
        let (mut onward, mut limits) = (false, None);
        for call in calls {
            let (back, on) = match call.reach {
                Reach::Rows { before, after } => {
                    let rows = |rows| Far { rows, ..Far::default() };
                    (rows(before), rows(after))
                }
                Reach::Groups { before, after } => {
                    let groups = |groups| Far { groups: Some(groups), ..Far::default() };
                    (groups(before), groups(after))
                }
                Reach::Values { before, after, least, most } => {
                    let (low, high) = limits.unwrap_or((least, most));
                    limits = Some((least.max(low), most.min(high)));
                    let values = |values| Far { values, ..Far::default() };
                    (values(before), values(after))
                }
                // It goes on from the last row of the group before.
                Reach::Onward => {
                    onward = true;
                    let groups = |groups| Far { groups: Some(groups), ..Far::default() };
                    (groups(1), groups(0))
                }
                Reach::Whole => return None,
            };
            (before, after) = (before.and(back), after.and(on));
        }
        let line = match (limits, order) {
            (None, _) => None,
            (Some((least, most)), [order]) => {
                Some(Line { codec, descending: order.descending, least, most })
            }
            // There are no values to go by.
            (Some(_), _) => return None,
        };
        Some(Looks { before, after, onward, line })
    }

    /// The parts that these changed places reach, which are there and in order; `None` where the
    /// whole must be computed, or may as well.
    pub(super) fn parts(&mut self, rows: &Rows, changed: &[&Place]) -> Option<Vec<Part>> {
        if changed.is_empty() {
            return Some(Vec::new());
        }
        if changed.len() > rows.len() / 2 || !self.hold_for(rows) {
            return None;
        }
        let mut parts = Vec::new();
        let mut changed = changed.iter().copied().peekable();
        while let Some(first) = changed.next() {
            let mut last = first;
            let (to, seen_to) = loop {
                let (to, seen_to) = self.ends(rows, last)?;
                match last_before(&mut changed, seen_to.as_ref()) {
                    Some(further) => last = further,
                    None => break (to, seen_to),
                }
            };
            let from = self.earlier(rows, first, self.after)?;
            let seen_from = self.earlier(rows, &from, self.before)?;
            let seen = Stretch { from: seen_from, to: seen_to };
            parts.push(Part { reached: Stretch { from, to }, seen });
        }
        Some(parts)
    }

    /// Whether what is promised of order values holds for those of a partition. NULLs are at an
    /// end.
    fn hold_for(&self, rows: &Rows) -> bool {
        let Some(line) = &self.line else { return true };
        let ends = [rows.first_key_value(), rows.last_key_value()];
        ends.into_iter().flatten().all(|((order, _), _)| {
            line.value(order).is_some_and(|value| (line.least..=line.most).contains(&value))
        })
    }

    /// The ends of what the last changed place reaches, and of what that looks at.
    fn ends(&mut self, rows: &Rows, last: &Place) -> Option<(Option<Place>, Option<Place>)> {
        if self.onward {
            return Some((None, None));
        }
        let to = self.later(rows, last, self.before)?;
        let inside = rows.range::<Place, _>((Unbounded, Excluded(&to))).next_back();
        let (end, _) = inside.expect("what has changed is there and reaches itself");
        let seen_to = self.later(rows, end, self.after)?;
        Some((Some(to), Some(seen_to)))
    }

    /// The first place that is no farther before this one.
    fn earlier(&mut self, rows: &Rows, place: &Place, far: Far) -> Option<Place> {
        let mut first = rows_before(rows, place, far.rows);
        if let Some(groups) = far.groups {
            first = first.min(groups_before(rows, &place.0, groups));
        }
        if let Some(line) = &mut self.line {
            first = first.min((line.moved(&place.0, -far.values)?, Row::empty()));
        }
        Some(first)
    }

    /// The first place that is farther behind this one.
    fn later(&mut self, rows: &Rows, place: &Place, far: Far) -> Option<Place> {
        let mut end = rows_behind(rows, place, far.rows);
        if let Some(groups) = far.groups {
            end = end.max(groups_behind(rows, &place.0, groups));
        }
        if let Some(line) = &mut self.line {
            end = end.max((next(&line.moved(&place.0, far.values)?), Row::empty()));
        }
        Some(end)
    }
}

/// An order that is a line of integers.
struct Line {
    codec: RowCodec,
    descending: bool,
    least: i64,
    most: i64,
}

impl Line {
    /// Where an order is on the line; NULL is nowhere.
    fn value(&self, order: &Row) -> Option<i64> {
        let order = self.codec.decode(std::iter::once(order.as_bytes())).expect(OF_SCHEMA);
        let value = cast(order.column(0), &DataType::Int64).ok()?;
        let value = value.as_primitive::<Int64Type>();
        value.is_valid(0).then(|| value.value(0))
    }

    /// The order that comes so much later; `None` where its type ends before.
    fn moved(&mut self, order: &Row, by: i64) -> Option<Row> {
        let by = if self.descending { -by } else { by };
        let moved = self.value(order)?.checked_add(by)?;
        let moved: ArrayRef = Arc::new(Int64Array::from(vec![moved]));
        let moved = cast(&moved, self.codec.schema().field(0).data_type()).ok()?;
        if moved.is_null(0) {
            return None;
        }
        let mut row = None;
        self.codec.encode(&[moved], 1, |_, bytes| row = Some(Row::new(bytes))).ok()?;
        row
    }
}

/// Takes the changed places before this one, or all; the last of them.
fn last_before<'a>(
    changed: &mut Peekable<impl Iterator<Item = &'a Place>>,
    to: Option<&Place>,
) -> Option<&'a Place> {
    let mut last = None;
    while let Some(place) = changed.next_if(|place| to.is_none_or(|to| *place < to)) {
        last = Some(place);
    }
    last
}

/// The place of the row that is so many rows before this place, or of the first.
fn rows_before(rows: &Rows, place: &Place, mut left: usize) -> Place {
    let mut before = rows.range::<Place, _>((Unbounded, Excluded(place))).rev();
    let mut first = place;
    while left > 0
        && let Some((place, entry)) = before.next()
    {
        left = left.saturating_sub(entry.there());
        first = place;
    }
    first.clone()
}

/// Behind the row that is so many rows behind this place, or behind the last.
fn rows_behind(rows: &Rows, place: &Place, mut left: usize) -> Place {
    let mut behind = rows.range::<Place, _>((Excluded(place), Unbounded));
    let mut last = place;
    while left > 0
        && let Some((place, entry)) = behind.next()
    {
        left = left.saturating_sub(entry.there());
        last = place;
    }
    (last.0.clone(), next(&last.1))
}

/// The beginning of the group that is so many groups before the one of this order, or of the first.
fn groups_before(rows: &Rows, order: &Row, mut left: usize) -> Place {
    let own = (order.clone(), Row::empty());
    let mut first = order;
    for (place, entry) in rows.range::<Place, _>((Unbounded, Excluded(&own))).rev() {
        if entry.there() == 0 || place.0 == *first {
            continue;
        }
        if left == 0 {
            break;
        }
        left -= 1;
        first = &place.0;
    }
    (first.clone(), Row::empty())
}

/// Behind the group that is so many groups behind the one of this order, or behind the last.
fn groups_behind(rows: &Rows, order: &Row, mut left: usize) -> Place {
    let own = (next(order), Row::empty());
    let mut last = order;
    for (place, entry) in rows.range::<Place, _>((Included(&own), Unbounded)) {
        if entry.there() == 0 || place.0 == *last {
            continue;
        }
        if left == 0 {
            break;
        }
        left -= 1;
        last = &place.0;
    }
    (next(last), Row::empty())
}

/// The least row that is greater.
fn next(row: &Row) -> Row {
    let mut bytes = row.as_bytes().to_vec();
    bytes.push(0);
    Row::new(&bytes)
}
