//! EXPLAIN: the plan as text, with what each arrangement keeps and what bounds it.
//!
//! One line a node, inputs indented below; a line that starts with `·` belongs to the node above it
//! and names state. The text is stable: tests compare it.

use std::fmt::Write;

use super::Expiry;
use super::JoinKind;
use super::Node;
use super::Op;
use super::OrderBy;
use super::Reach;
use super::ViewPlan;
use crate::time::HOUR_MS;

/// Stands between what is kept and what bounds it.
const BOUND: &str = ", bound: ";

/// Something that a node keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arranged {
    /// The node and what it keeps.
    pub node: String,
    /// What bounds it.
    pub bound: String,
}

/// What a node itself keeps, in the order in which EXPLAIN prints it.
pub fn arranged(node: &Node) -> Vec<Arranged> {
    let (head, state) = describe(node);
    state.iter().filter_map(|line| kept(&head, line)).collect()
}

/// What a line of a node's state says is kept; nothing where it is a remark.
fn kept(head: &str, line: &str) -> Option<Arranged> {
    let (keeps, bound) = line.rsplit_once(BOUND)?;
    Some(Arranged { node: format!("{head}: {keeps}"), bound: bound.to_owned() })
}

impl ViewPlan {
    /// The plan as text.
    pub fn explain(&self) -> String {
        self.explain_with(&mut |_| None)
    }

    /// The plan as text, with what `now` says of what is kept.
    pub fn explain_with(&self, now: &mut dyn FnMut(&Arranged) -> Option<String>) -> String {
        let mut text = format!("view {} (on_error = {})\n", self.name, self.on_error);
        print(&self.root, 1, now, &mut text);
        text
    }
}

fn print(
    node: &Node,
    depth: usize,
    now: &mut dyn FnMut(&Arranged) -> Option<String>,
    text: &mut String,
) {
    let pad = "  ".repeat(depth);
    let (head, state) = describe(node);
    writeln!(text, "{pad}{head}").expect("a String takes all text");
    for line in state {
        let now = kept(&head, &line).and_then(|arranged| now(&arranged));
        let now = now.map_or(String::new(), |now| format!(", now: {now}"));
        writeln!(text, "{pad}· {line}{now}").expect("a String takes all text");
    }
    for input in node.inputs() {
        print(input, depth + 1, now, text);
    }
}

/// The node's line and the lines of its state.
fn describe(node: &Node) -> (String, Vec<String>) {
    match &node.op {
        Op::Get { relation, columns, expire } => {
            let head = format!("Get {relation} ({})", names(node, 0..columns.len()));
            let state = expire
                .map(|e| format!("keeps its rows, bound: {} of event time", hours(e.retain_ms)));
            (head, state.into_iter().collect())
        }
        Op::MapFilterProject { filters, projections, .. } => {
            let outputs = projections.iter().zip(node.schema.fields());
            let outputs: Vec<String> = outputs
                .map(|(expr, field)| match expr.to_string() {
                    text if text == *field.name() => text,
                    text => format!("{text} AS {}", field.name()),
                })
                .collect();
            let mut head = format!("MapFilterProject [{}]", outputs.join(", "));
            if !filters.is_empty() {
                let filters: Vec<String> = filters.iter().map(ToString::to_string).collect();
                write!(head, " where {}", filters.join(" AND ")).expect("a String takes all text");
            }
            (head, Vec::new())
        }
        Op::Join { .. } => join(node),
        Op::Reduce { input, group, aggregates, expire } => {
            let listed: Vec<String> = aggregates.iter().map(|a| a.function.to_string()).collect();
            let kind = if aggregates.iter().all(|a| a.function.accumulable()) {
                "accumulable: one accumulator a group"
            } else {
                "ordered or basic: the argument values of each group"
            };
            let group = names(input, group.iter().copied());
            let bound = groups(*expire, input);
            let head = format!("Reduce by ({group}) [{}]", listed.join(", "));
            (head, vec![format!("{kind}, bound: {bound}")])
        }
        Op::Distinct { input } | Op::Threshold { input } => {
            let head =
                if matches!(node.op, Op::Distinct { .. }) { "Distinct" } else { "Threshold" };
            (head.to_owned(), vec![format!("keeps each row once, bound: {}", bound(input))])
        }
        Op::TopK { .. } => top_k(node),
        Op::Window { .. } => window(node),
        Op::Unnest { input, column } => (format!("Unnest {}", name(input, *column)), Vec::new()),
        Op::AsOf { .. } => as_of(node),
        Op::Lookup { .. } => lookup(node),
        Op::Recursive { start, step } => {
            let (start, step) = (bound(start), bound(step));
            let rows = format!("keeps each row once, bound: what follows from {start}");
            let joins = format!("arranges what its joins read, bound: {step}");
            ("Recursive (start, step)".to_owned(), vec![rows, joins])
        }
        Op::Recurrence => (format!("Recurrence ({})", all_names(node)), Vec::new()),
        Op::Union { .. } => ("Union".to_owned(), Vec::new()),
        Op::Negate { .. } => ("Negate".to_owned(), Vec::new()),
        Op::Temporal { from, until, .. } => {
            let from = from.as_ref().map(|e| format!("from {e}"));
            let until = until.as_ref().map(|e| format!("until {e}"));
            let when: Vec<String> = from.into_iter().chain(until).collect();
            let state = format!("parks what will come or go, bound: {}", bound(node));
            (format!("Temporal {}", when.join(" ")), vec![state])
        }
        Op::Constant { rows } => (format!("Constant ({} rows)", rows.num_rows()), Vec::new()),
    }
}

/// The line of a TopK and the line of what it keeps.
fn top_k(node: &Node) -> (String, Vec<String>) {
    let Op::TopK { input, group, order, limit, expire } = &node.op else {
        unreachable!("the caller matched a TopK")
    };
    let group = names(input, group.iter().copied());
    let head = format!("TopK {limit} by ({group}) order ({})", ordered(input, order));
    let state = if input.append_only {
        let age = expire.map_or(String::new(), |e| format!(", until {} old", hours(e.retain_ms)));
        format!("in place, bound: {limit} a group{age}")
    } else {
        format!("keeps all rows in order, bound: {}", bound(input))
    };
    (head, vec![state])
}

/// The line of a Window and the lines of what it keeps and costs.
fn window(node: &Node) -> (String, Vec<String>) {
    let Op::Window { input, partition, order, calls, expire } = &node.op else {
        unreachable!("the caller matched a Window")
    };
    let said: Vec<String> = calls.iter().map(|call| call.function.to_string()).collect();
    let by = names(input, partition.iter().copied());
    let head = format!("Window by ({by}) order ({}) [{}]", ordered(input, order), said.join(", "));
    let rows = match expire {
        Some(e) => format!("partitions of {}", hours(e.retain_ms)),
        None => bound(input),
    };
    let mut state = vec![format!("keeps all rows in order with their values, bound: {rows}")];
    let (all, place) = match partition.is_empty() {
        true => ("all rows".to_owned(), ", on one worker"),
        false => (format!("the rows of its ({by})"), ""),
    };
    let reaches = |reach: Reach| calls.iter().any(|call| call.reach == reach);
    let part = match (reaches(Reach::Whole), reaches(Reach::Onward)) {
        (true, _) => "",
        (false, true) => " from there on",
        (false, false) => " around it",
    };
    state.push(format!("a change computes {all}{part} anew{place}"));
    (head, state)
}

/// The line of an AS OF join and the lines of what it keeps.
fn as_of(node: &Node) -> (String, Vec<String>) {
    let Op::AsOf { left, right, left_key, right_key, times, before, outer, .. } = &node.op else {
        unreachable!("the caller matched an AS OF join")
    };
    let kind = if *outer { "left" } else { "inner" };
    let than = if *before { ">" } else { ">=" };
    let keys = left_key.iter().zip(right_key);
    let on: Vec<String> =
        keys.map(|(l, r)| format!("{} = {}", name(left, *l), name(right, *r))).collect();
    let latest = format!("{} {than} {}", name(left, times.0), name(right, times.1));
    let side = |which: &str, node: &Node, key: &[usize], time: usize| {
        let by = names(node, key.iter().copied());
        let time = name(node, time);
        format!("keeps {which} by ({by}) in the order of {time}, bound: {}", bound(node))
    };
    let mut state =
        vec![side("left", left, left_key, times.0), side("right", right, right_key, times.1)];
    if left_key.is_empty() {
        state.push("one key, on one worker".to_owned());
    }
    let on = if on.is_empty() { String::new() } else { format!(" on {}", on.join(" AND ")) };
    (format!("AsOf {kind} latest {latest}{on}"), state)
}

/// The line of a lookup and the lines of what it keeps.
fn lookup(node: &Node) -> (String, Vec<String>) {
    let Op::Lookup { left, right, left_key, right_key, outer, expire, .. } = &node.op else {
        unreachable!("the caller matched a lookup")
    };
    let kind = if *outer { "left" } else { "inner" };
    let on: Vec<String> = (left_key.iter().zip(right_key))
        .map(|(l, r)| format!("{} = {}", name(left, *l), name(right, *r)))
        .collect();
    let by = names(right, right_key.iter().copied());
    let mut state =
        vec![format!("arranges right by ({by}) on every worker{BOUND}{}", bound(right))];
    state.extend(
        expire.map(|e| format!("keeps what it put out{BOUND}{} of event time", hours(e.retain_ms))),
    );
    (format!("Lookup {kind} on {}", on.join(" AND ")), state)
}

/// The columns of an order.
fn ordered(input: &Node, order: &[OrderBy]) -> String {
    let one = |o: &OrderBy| {
        let name = name(input, o.column);
        if o.descending { format!("{name} DESC") } else { name }
    };
    order.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The line of a join and the lines of what it keeps.
fn join(node: &Node) -> (String, Vec<String>) {
    let Op::Join { left, right, left_key, right_key, nulls_equal, kind, .. } = &node.op else {
        unreachable!("the caller matched a join")
    };
    let equals = if *nulls_equal { "IS NOT DISTINCT FROM" } else { "=" };
    let on: Vec<String> = (left_key.iter().zip(right_key))
        .map(|(l, r)| format!("{} {equals} {}", name(left, *l), name(right, *r)))
        .collect();
    let counted = matches!(kind, JoinKind::Semi | JoinKind::Anti | JoinKind::Mark);
    let by = |node: &Node, key: &[usize]| match key {
        [] => "in one group".to_owned(),
        key => format!("by ({})", names(node, key.iter().copied())),
    };
    let (of_left, of_right) = (by(left, left_key), by(right, right_key));
    let mut state = vec![format!("arranges left {of_left}, bound: {}", bound(left))];
    state.push(match counted {
        true => format!("counts right {of_right}, bound: {}", bound(right)),
        false => format!("arranges right {of_right}, bound: {}", bound(right)),
    });
    if !left_key.is_empty() {
        return (format!("Join {kind} on {}", on.join(" AND ")), state);
    }
    if !counted {
        state.push("every row meets every row, on one worker".to_owned());
    }
    (format!("Join {kind} of all with all"), state)
}

/// What limits the rows that a node puts out, in words.
pub fn bound(node: &Node) -> String {
    match &node.op {
        Op::Get { relation, expire: Some(e), .. } => {
            format!("{} of {relation}", hours(e.retain_ms))
        }
        Op::Get { relation, expire: None, .. } => format!("rows of {relation}"),
        Op::Reduce { group, .. } if group.is_empty() => "1 row".to_owned(),
        Op::Reduce { expire: Some(e), .. } => format!("groups of {}", hours(e.retain_ms)),
        Op::TopK { group, limit, .. } if group.is_empty() => format!("{limit} rows"),
        Op::TopK { limit, group, input, .. } => {
            format!("{limit} a ({})", names(input, group.iter().copied()))
        }
        Op::Join { left, kind: JoinKind::Semi | JoinKind::Anti | JoinKind::Mark, .. }
        | Op::AsOf { left, .. } => bound(left),
        Op::Recursive { start, .. } => format!("what follows from {}", bound(start)),
        Op::Recurrence => "the rows so far".to_owned(),
        Op::Unnest { input, column } => {
            format!("{} × elements of {}", bound(input), name(input, *column))
        }
        Op::Join { left, right, left_key, .. } if left_key.is_empty() => {
            format!("{} × {}", bound(left), bound(right))
        }
        Op::Join { left, right, .. } | Op::Lookup { left, right, .. } => {
            format!("{} × matches in {}", bound(left), bound(right))
        }
        Op::Temporal { input, until: Some(_), .. } => format!("{} until due", bound(input)),
        Op::Constant { rows } => format!("{} rows", rows.num_rows()),
        _ => {
            let inputs: Vec<String> = node.inputs().into_iter().map(bound).collect();
            inputs.join(" + ")
        }
    }
}

/// What limits the groups of a reduce, in words.
fn groups(expire: Option<Expiry>, input: &Node) -> String {
    let Some(Expiry { retain_ms, lateness_ms, .. }) = expire else {
        return format!("groups in {}", bound(input));
    };
    match lateness_ms.filter(|lateness| *lateness < retain_ms) {
        Some(lateness) => {
            let (all, alone) = (hours(retain_ms), hours(lateness));
            format!("groups of {all}, results alone from {alone} on")
        }
        None => format!("groups of {}", hours(retain_ms)),
    }
}

/// How old whole hours of event time grow, in words.
fn hours(behind_ms: u64) -> String {
    format!("{} h", behind_ms.div_ceil(HOUR_MS) + 1)
}

fn name(node: &Node, column: usize) -> String {
    node.schema.field(column).name().clone()
}

fn all_names(node: &Node) -> String {
    names(node, 0..node.schema.fields().len())
}

fn names(node: &Node, columns: impl IntoIterator<Item = usize>) -> String {
    let names: Vec<String> = columns.into_iter().map(|column| name(node, column)).collect();
    names.join(", ")
}
