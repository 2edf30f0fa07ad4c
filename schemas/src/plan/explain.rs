//! EXPLAIN: the plan as text, with what each arrangement keeps and what bounds it.
//!
//! One line a node, inputs indented below; a line that starts with `·` belongs to the node above it
//! and names state. The text is stable: tests compare it.

use std::fmt::Write;

use super::Expiry;
use super::JoinKind;
use super::Node;
use super::Op;
use super::ViewPlan;
use crate::time::HOUR_MS;

impl ViewPlan {
    /// The plan as text.
    pub fn explain(&self) -> String {
        let mut text = format!("view {} (on_error = {})\n", self.name, self.on_error);
        print(&self.root, 1, &mut text);
        text
    }
}

fn print(node: &Node, depth: usize, text: &mut String) {
    let pad = "  ".repeat(depth);
    let (head, state) = describe(node);
    writeln!(text, "{pad}{head}").expect("a String takes all text");
    for line in state {
        writeln!(text, "{pad}· {line}").expect("a String takes all text");
    }
    for input in node.inputs() {
        print(input, depth + 1, text);
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
        Op::TopK { input, group, order, limit, expire } => {
            let order: Vec<String> = order
                .iter()
                .map(|o| {
                    let name = name(input, o.column);
                    if o.descending { format!("{name} DESC") } else { name }
                })
                .collect();
            let group = names(input, group.iter().copied());
            let head = format!("TopK {limit} by ({group}) order ({})", order.join(", "));
            let state = if input.append_only {
                let age =
                    expire.map_or(String::new(), |e| format!(", until {} old", hours(e.retain_ms)));
                format!("in place, bound: {limit} a group{age}")
            } else {
                format!("keeps all rows in order, bound: {}", bound(input))
            };
            (head, vec![state])
        }
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
        Op::Join { left, kind: JoinKind::Semi | JoinKind::Anti | JoinKind::Mark, .. } => {
            bound(left)
        }
        Op::Join { left, right, left_key, .. } if left_key.is_empty() => {
            format!("{} × {}", bound(left), bound(right))
        }
        Op::Join { left, right, .. } => format!("{} × matches in {}", bound(left), bound(right)),
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

fn names(node: &Node, columns: impl IntoIterator<Item = usize>) -> String {
    let names: Vec<String> = columns.into_iter().map(|column| name(node, column)).collect();
    names.join(", ")
}
