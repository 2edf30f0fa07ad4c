//! What is forgotten, and where: every row of a stream goes when its event time is older than the
//! stream retains.
//!
//! The expiry stands at the read, unless a node above can do the same exactly and more cheaply. A
//! GROUP BY over bins of event time that divide the hour can drop whole groups, because the rows of
//! a bin expire together; the same holds for the first rows of such a bin, and for windows over it.
//! Latest rows by event time can be dropped where they are kept, because everything they displaced
//! is older. Only stateless nodes may lie between, and lookups, which keep nothing of their left
//! side: a join has the rows in its arrangements, so they must be retracted before it.
//!
//! Rows that fail on the way to such a node never reach it. They are forgotten where they fail, by
//! the same time (`forget` of a MapFilterProject), so that errors stand as long as rows do.
//!
//! Where nothing but the rows of an appending stream reaches a GROUP BY, the stream's lateness is a
//! promise that old bins stay as they are: the groups then keep their results alone.
//!
//! State over a stream that retains for ever is refused unless the view allows it.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::ScalarValue;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use schemas::audit::TICK_AT;
use schemas::catalog::Catalog;
use schemas::catalog::DEFAULT_RETAIN_MS;
use schemas::catalog::RelationKind;
use schemas::event::Envelope;
use schemas::plan::Expiry;
use schemas::plan::JoinKind;
use schemas::time::HOUR_MS;

use super::expr::Scalar;
use super::expr::as_column;
use super::refuse::PlanError;
use super::rel::Kind;
use super::rel::Rel;
use super::rel::RelOp;

/// What the catalog says of a relation whose rows grow old.
#[derive(Clone, Copy)]
struct Aging {
    /// The position of its event time.
    event_time: usize,
    /// 0 for ever.
    retain_ms: u64,
    /// Behind this nothing comes, where the stream only adds rows: an upsert takes back the row
    /// before it, however old that is.
    lateness_ms: Option<u64>,
}

impl Aging {
    /// The expiry of rows by this column; `settles` where nothing but the stream's own rows comes.
    fn expiry(&self, column: usize, settles: bool) -> Expiry {
        let lateness_ms = self.lateness_ms.filter(|_| settles);
        Expiry { column, retain_ms: self.retain_ms, lateness_ms }
    }
}

fn aging(catalog: &Catalog, relation: &str) -> Option<Aging> {
    let info = catalog.get(relation)?;
    match &info.kind {
        RelationKind::Stream(settings) => {
            let event_time = info.schema.index_of(&settings.def.event_time).ok()?;
            let appends = settings.def.envelope == Envelope::Append;
            let lateness_ms = appends.then_some(settings.lateness_ms);
            Some(Aging { event_time, retain_ms: settings.retain_ms, lateness_ms })
        }
        RelationKind::Decision { event_time } => {
            let retain_ms = DEFAULT_RETAIN_MS;
            Some(Aging { event_time: *event_time, retain_ms, lateness_ms: None })
        }
        RelationKind::Audit(_) => {
            let event_time = info.schema.index_of(TICK_AT).ok()?;
            Some(Aging { event_time, retain_ms: 0, lateness_ms: None })
        }
        RelationKind::Table | RelationKind::View | RelationKind::State => None,
    }
}

/// The column by which rows of a stream grow old, if they do and are only ever added.
pub(crate) fn ages_by(catalog: &Catalog, relation: &str) -> Option<(usize, FieldRef)> {
    let aging = aging(catalog, relation).filter(|aging| aging.retain_ms > 0)?;
    let schema = &catalog.get(relation)?.schema;
    Some((aging.event_time, Arc::clone(&schema.fields()[aging.event_time])))
}

/// Puts every expiry in its place.
pub(crate) fn place(rel: &mut Rel, catalog: &Catalog) {
    match &mut rel.op {
        RelOp::Get { relation, expire, .. } => {
            *expire = aging(catalog, relation)
                .filter(|aging| aging.retain_ms > 0)
                .map(|a| a.expiry(a.event_time, false));
            return;
        }
        RelOp::Reduce { input, group, expire, .. } => {
            let mut groups = group.iter().enumerate();
            *expire = groups.find_map(|(position, column)| {
                let (aging, _) = event_time(input, *column, catalog)?;
                Some(aging.expiry(position, true))
            });
            if expire.is_some() {
                return;
            }
        }
        RelOp::TopK(top) if only_grows(&top.input, catalog) => {
            let newest = top.order.first().filter(|o| o.descending).and_then(|o| {
                let (aging, exact) = event_time(&top.input, o.column, catalog)?;
                exact.then_some(aging.expiry(o.column, false))
            });
            let together = || {
                top.group.iter().find_map(|column| {
                    let (aging, _) = event_time(&top.input, *column, catalog)?;
                    Some(aging.expiry(*column, false))
                })
            };
            top.expire = newest.or_else(together);
            if top.expire.is_some() {
                return;
            }
        }
        RelOp::Window(window) => {
            let of_time = |column: &usize| {
                let (aging, _) = event_time(&window.input, *column, catalog)?;
                Some(aging.expiry(*column, false))
            };
            window.expire = window.partition.iter().find_map(of_time);
            if window.expire.is_some() {
                return;
            }
        }
        RelOp::Lookup(lookup) => {
            lookup.expire = lookup.time.and_then(|time| {
                let (aging, exact) = event_time(&lookup.left, time, catalog)?;
                exact.then_some(aging.expiry(time, false))
            });
            if lookup.expire.is_some() {
                return;
            }
        }
        _ => {}
    }
    for input in rel.inputs_mut() {
        place(input, catalog);
    }
}

/// Whether a column is the event time of a stream that forgets, or a bin of it that divides the
/// hour; and whether it is the event time itself. Only stateless nodes may lie between.
fn event_time(rel: &Rel, column: usize, catalog: &Catalog) -> Option<(Aging, bool)> {
    match &rel.op {
        RelOp::Get { relation, columns, .. } => {
            let aging = aging(catalog, relation)?;
            (columns[column] == aging.event_time && aging.retain_ms > 0).then_some((aging, true))
        }
        RelOp::Mfp { input, outputs, .. } => {
            let expr = &outputs[column];
            let (aging, exact) = event_time(input, aging_like(expr)?, catalog)?;
            Some((aging, exact && as_column(expr).is_some()))
        }
        // What it puts out of a left row goes with that row.
        RelOp::Lookup(lookup) => {
            let output = lookup.outputs[column];
            (output < lookup.left.width()).then(|| event_time(&lookup.left, output, catalog))?
        }
        _ => None,
    }
}

/// The column that an expression repeats, or cuts into bins that divide the hour: a row is
/// forgotten at the same tick by either.
pub(crate) fn aging_like(expr: &Scalar) -> Option<usize> {
    as_column(expr).or_else(|| binned(expr))
}

/// The column that an expression cuts into bins that divide the hour.
fn binned(expr: &Scalar) -> Option<usize> {
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    let [width, of] = call.args() else { return None };
    let width = width.downcast_ref::<Literal>()?.value();
    let divides = match (call.name(), width) {
        ("date_bin", ScalarValue::IntervalMonthDayNano(Some(v))) => {
            let hour = HOUR_MS as i64 * 1_000_000;
            v.months == 0 && v.days == 0 && v.nanoseconds > 0 && hour % v.nanoseconds == 0
        }
        ("date_trunc", ScalarValue::Utf8(Some(unit))) => {
            matches!(unit.to_lowercase().as_str(), "millisecond" | "second" | "minute" | "hour")
        }
        _ => false,
    };
    if !divides {
        return None;
    }
    aging_like(of)
}

/// Whether rows are never taken back, apart from an expiry that this node does itself.
pub(crate) fn only_grows(rel: &Rel, catalog: &Catalog) -> bool {
    match &rel.op {
        RelOp::Get { relation, expire, .. } => {
            let appends = match catalog.get(relation).map(|info| &info.kind) {
                Some(RelationKind::Stream(s)) => s.def.envelope == Envelope::Append,
                Some(RelationKind::Decision { .. } | RelationKind::Audit(_)) => true,
                _ => false,
            };
            appends && expire.is_none()
        }
        RelOp::Constant { .. } => true,
        RelOp::Mfp { .. } | RelOp::Union { .. } | RelOp::Unnest { .. } => {
            rel.inputs().into_iter().all(|input| only_grows(input, catalog))
        }
        // The first match of a left row adds it to a semi join; nothing takes it away again.
        RelOp::Join(join) => {
            matches!(join.kind, Kind::Done(JoinKind::Inner | JoinKind::Semi))
                && only_grows(&join.left, catalog)
                && only_grows(&join.right, catalog)
        }
        // A change of the right side concerns no row that is there.
        RelOp::Lookup(lookup) => lookup.expire.is_none() && only_grows(&lookup.left, catalog),
        RelOp::Temporal { input, until, .. } => until.is_none() && only_grows(input, catalog),
        RelOp::Reduce { .. }
        | RelOp::Sets(_)
        | RelOp::Distinct { .. }
        | RelOp::TopK(_)
        | RelOp::Window(_)
        | RelOp::AsOf(_)
        | RelOp::Recursive { .. }
        | RelOp::Recurrence
        | RelOp::Negate { .. } => false,
    }
}

/// Refuses state that grows for ever.
///
/// # Errors
/// A node keeps rows of a stream that forgets nothing.
pub(crate) fn refuse_unbounded(rel: &Rel, catalog: &Catalog) -> Result<(), PlanError> {
    let fail = |clause: &str, relation: String| {
        Err(PlanError::Unbounded { clause: clause.to_owned(), relation })
    };
    for input in rel.inputs() {
        refuse_unbounded(input, catalog)?;
    }
    let clause = match &rel.op {
        RelOp::Join(_) => "a JOIN",
        RelOp::AsOf(_) => "an ASOF JOIN",
        RelOp::Window(_) => "a window function",
        RelOp::Recursive { .. } => "WITH RECURSIVE",
        RelOp::Distinct { .. } => "DISTINCT",
        RelOp::Temporal { until: None, .. } => "a comparison with now()",
        RelOp::TopK(top) if !only_grows(&top.input, catalog) => "ORDER BY … LIMIT",
        RelOp::Reduce { aggregates, .. }
            if aggregates.iter().any(|a| !a.function.accumulable()) =>
        {
            "an aggregate that keeps its values"
        }
        _ => return Ok(()),
    };
    match rel.inputs().into_iter().find_map(|input| grows_for_ever(input, catalog)) {
        Some(relation) => fail(clause, relation),
        None => Ok(()),
    }
}

/// The stream whose rows never leave a node's output, if there is one.
pub(crate) fn grows_for_ever(rel: &Rel, catalog: &Catalog) -> Option<String> {
    match &rel.op {
        RelOp::Get { relation, .. } => {
            let for_ever = aging(catalog, relation).is_some_and(|aging| aging.retain_ms == 0);
            for_ever.then(|| relation.clone())
        }
        RelOp::Reduce { input, group, .. } => {
            let timed = group.iter().any(|column| is_time(input, *column));
            timed.then(|| grows_for_ever(input, catalog)).flatten()
        }
        RelOp::TopK(top) => {
            let timed = top.group.iter().any(|column| is_time(&top.input, *column));
            timed.then(|| grows_for_ever(&top.input, catalog)).flatten()
        }
        RelOp::Join(join) if join.asks() => grows_for_ever(&join.left, catalog),
        RelOp::AsOf(join) => grows_for_ever(&join.left, catalog),
        RelOp::Lookup(lookup) => grows_for_ever(&lookup.left, catalog),
        // What shows until a moment is gone after it.
        RelOp::Temporal { until: Some(_), .. } => None,
        _ => rel.inputs().into_iter().find_map(|input| grows_for_ever(input, catalog)),
    }
}

/// Keys are few, instants are not.
fn is_time(rel: &Rel, column: usize) -> bool {
    rel.fields[column].data_type().is_temporal()
}
