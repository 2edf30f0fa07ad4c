//! Join order: reference tables are joined with each other first, and the stream joins the result.
//!
//! A tree of inner joins is taken apart into its inputs and the equalities between them, and put
//! together anew. The raw stream is the first left side, so its rows are arranged once; connected
//! tables form one right side. Views and groups follow; further raw streams come last. What no
//! equality connects is joined all with all, at the end. There are no statistics: what is small is
//! known by kind.
//!
//! What is computed above the joins from one input alone, and cannot fail, is computed below them,
//! if that input then has no more columns to keep: a bin of a time is arranged instead of the time.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::FieldRef;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;
use schemas::plan::JoinKind;

use super::expr::Scalar;
use super::expr::as_column;
use super::expr::column;
use super::expr::columns_of;
use super::expr::infallible;
use super::expr::replace;
use super::lower::field_of;
use super::lower::with_columns;
use super::rel::JoinRel;
use super::rel::Kind;
use super::rel::Rel;
use super::rel::RelOp;

/// The plan with its inner joins in order.
pub(crate) fn order(rel: Rel, catalog: &Catalog) -> Rel {
    let joined = |rel: &Rel| match &rel.op {
        RelOp::Join(join) => join.plain(),
        _ => false,
    };
    let tree = match &rel.op {
        RelOp::Mfp { input, .. } => joined(input),
        _ => joined(&rel),
    };
    if !tree {
        let mut rel = rel;
        for input in rel.inputs_mut() {
            let taken = std::mem::replace(input, nothing());
            *input = order(taken, catalog);
        }
        return rel;
    }
    let fields = rel.fields.clone();
    let mut flat = Flat::default();
    flat.outputs = flat.take(rel);
    flat.push_down();
    let leaves = std::mem::take(&mut flat.leaves);
    for leaf in leaves {
        flat.leaves.push(order(leaf, catalog));
    }
    flat.assemble(fields, catalog)
}

pub(crate) fn nothing() -> Rel {
    let schema = datafusion::arrow::datatypes::Schema::empty();
    let rows = datafusion::arrow::record_batch::RecordBatch::new_empty(schema.into());
    Rel { fields: Vec::new(), op: RelOp::Constant { rows } }
}

/// A tree of inner joins, taken apart. Expressions are over the leaves' columns, numbered one after
/// another.
#[derive(Default)]
struct Flat {
    leaves: Vec<Rel>,
    equal: Vec<(Scalar, Scalar)>,
    filters: Vec<Scalar>,
    outputs: Vec<Scalar>,
}

impl Flat {
    /// Takes a node apart and returns its columns as expressions over the leaves.
    fn take(&mut self, rel: Rel) -> Vec<Scalar> {
        match rel.op {
            RelOp::Join(join) if join.plain() => {
                let mut columns = self.take(*join.left);
                let split = columns.len();
                columns.extend(self.take(*join.right));
                for (l, r) in join.left_key.iter().zip(&join.right_key) {
                    self.equal.push((columns[*l].clone(), columns[split + r].clone()));
                }
                join.outputs.iter().map(|i| columns[*i].clone()).collect()
            }
            RelOp::Mfp { input, filters, outputs } if above_inner_join(&input) => {
                let columns = self.take(*input);
                let with = |i: usize| columns[i].clone();
                self.filters.extend(filters.iter().map(|e| replace(e, &with)));
                outputs.iter().map(|e| replace(e, &with)).collect()
            }
            op => {
                let start: usize = self.leaves.iter().map(Rel::width).sum();
                let leaf = Rel { fields: rel.fields, op };
                let names = leaf.fields.iter().enumerate();
                let columns = names.map(|(i, f)| column(start + i, f.name())).collect();
                self.leaves.push(leaf);
                columns
            }
        }
    }

    /// The number of the first column of each leaf.
    fn starts(&self) -> Vec<usize> {
        self.leaves
            .iter()
            .scan(0, |next, leaf| {
                let start = *next;
                *next += leaf.width();
                Some(start)
            })
            .collect()
    }

    fn leaf_of(&self, column: usize) -> usize {
        self.starts().iter().rposition(|start| *start <= column).expect("columns have leaves")
    }

    /// Moves expressions over one leaf into it: keys always, others where they cost no column.
    fn push_down(&mut self) {
        for leaf in 0..self.leaves.len() {
            let start = self.starts()[leaf];
            let width = self.leaves[leaf].width();
            let schema = self.leaves[leaf].schema();
            let within = |c: usize| (start..start + width).contains(&c);
            let local =
                |e: &Scalar| replace(e, &|i| column(i - start, schema.field(i - start).name()));
            let mut moved: Vec<Scalar> = Vec::new();
            let mut raw: BTreeSet<usize> = BTreeSet::new();
            let mut kept: BTreeSet<usize> = BTreeSet::new();
            let keys = self.equal.iter().flat_map(|(l, r)| [(l, true), (r, true)]);
            let rest = self.filters.iter().chain(&self.outputs).map(|e| (e, false));
            for (expr, key) in keys.chain(rest) {
                let used = columns_of(expr);
                raw.extend(used.iter().copied().filter(|c| within(*c)));
                let alone = !used.is_empty() && used.iter().all(|c| within(*c));
                let moves = alone
                    && as_column(expr).is_none()
                    && (key || infallible(&local(expr), &schema));
                if moves {
                    if !moved.contains(expr) {
                        moved.push(expr.clone());
                    }
                } else {
                    kept.extend(used.iter().copied().filter(|c| within(*c)));
                }
            }
            if moved.is_empty() || kept.len() + moved.len() > raw.len() {
                continue;
            }
            let moved: Vec<_> = moved.iter().map(|e| (e.clone(), local(e))).collect();
            self.move_into(leaf, start, &moved);
        }
    }

    /// Gives a leaf further columns, and uses them.
    fn move_into(&mut self, leaf: usize, start: usize, moved: &[(Scalar, Scalar)]) {
        let input = std::mem::replace(&mut self.leaves[leaf], nothing());
        let width = input.width();
        let locals: Vec<Scalar> = moved.iter().map(|(_, local)| local.clone()).collect();
        let schema = input.schema();
        let mut outputs = input.cols();
        let mut fields = input.fields.clone();
        fields.extend(locals.iter().map(|e| field_of(e, &schema)));
        outputs.extend(locals);
        let names: Vec<String> = fields[width..].iter().map(|f| f.name().clone()).collect();
        self.leaves[leaf] = Rel::mfp(input, Vec::new(), outputs, fields);
        let end = start + width;
        let shift = |expr: &Scalar| -> Scalar {
            if let Some(i) = moved.iter().position(|(whole, _)| whole == expr) {
                return column(end + i, &names[i]);
            }
            let by = moved.len();
            replace(expr, &|i| {
                let at = if i >= end { i + by } else { i };
                column(at, &self.name_of(at))
            })
        };
        let equal = self.equal.iter().map(|(l, r)| (shift(l), shift(r))).collect();
        let filters = self.filters.iter().map(shift).collect();
        let outputs = self.outputs.iter().map(shift).collect();
        (self.equal, self.filters, self.outputs) = (equal, filters, outputs);
    }

    fn name_of(&self, column: usize) -> String {
        let leaf = self.leaf_of(column);
        self.leaves[leaf].fields[column - self.starts()[leaf]].name().clone()
    }

    /// Joins the leaves in order.
    fn assemble(mut self, fields: Vec<FieldRef>, catalog: &Catalog) -> Rel {
        let weights: Vec<Weight> = self.leaves.iter().map(|leaf| weight(leaf, catalog)).collect();
        let mut todo: Vec<usize> = (0..self.leaves.len()).collect();
        let mut current = self.connected(&mut todo, &weights);
        while !todo.is_empty() {
            let other = self.connected(&mut todo, &weights);
            current = self.joined(current, other);
            self.narrow(&mut current);
        }
        let at = |c: usize| current.at(c);
        let filters: Vec<Scalar> =
            self.filters.iter().map(|e| over(e, &current.rel, &at)).collect();
        let outputs = self.outputs.iter().map(|e| over(e, &current.rel, &at)).collect();
        Rel::mfp(current.rel, filters, outputs, fields)
    }

    /// The heaviest leaf to do, joined with all that hang together with it.
    fn connected(&mut self, todo: &mut Vec<usize>, weights: &[Weight]) -> Part {
        let heaviest = todo.iter().map(|i| weights[*i]).max().unwrap_or(Weight::Small);
        let driver = todo.iter().copied().find(|i| weights[*i] == heaviest);
        let driver = driver.expect("there is a leaf to do");
        todo.retain(|i| *i != driver);
        let mut current = self.part(driver);
        loop {
            let near = todo.iter().copied().filter(|i| self.connects(&current, *i));
            let Some((_, first)) = near.map(|i| (weights[i], i)).min() else { return current };
            let right = if heaviest > Weight::Small && weights[first] == Weight::Small {
                self.tables(first, todo, weights)
            } else {
                todo.retain(|i| *i != first);
                self.part(first)
            };
            current = self.joined(current, right);
        }
    }

    /// Filters what has been joined by all that can be said of it: all with all is many.
    fn narrow(&mut self, part: &mut Part) {
        let (known, rest) =
            std::mem::take(&mut self.filters).into_iter().partition(|e| part.has(e));
        self.filters = rest;
        let at = |c: usize| part.at(c);
        let known: Vec<Scalar> = Vec::into_iter(known).map(|e| over(&e, &part.rel, &at)).collect();
        let rel = std::mem::replace(&mut part.rel, nothing());
        part.rel = rel.filtered(known);
    }

    /// The small leaves that hang together with `first`, joined.
    fn tables(&mut self, first: usize, todo: &mut Vec<usize>, weights: &[Weight]) -> Part {
        todo.retain(|i| *i != first);
        let mut part = self.part(first);
        loop {
            let next = todo
                .iter()
                .copied()
                .find(|i| weights[*i] == Weight::Small && self.connects(&part, *i));
            let Some(next) = next else { return part };
            todo.retain(|i| *i != next);
            let right = self.part(next);
            part = self.joined(part, right);
        }
    }

    fn part(&mut self, leaf: usize) -> Part {
        let start = self.starts()[leaf];
        let rel = self.leaves[leaf].clone();
        Part { columns: (start..start + rel.width()).collect(), rel }
    }

    fn connects(&self, part: &Part, leaf: usize) -> bool {
        let start = self.starts()[leaf];
        let leaf = start..start + self.leaves[leaf].width();
        let all = |e: &Scalar, f: &dyn Fn(usize) -> bool| columns_of(e).into_iter().all(f);
        let here = |e: &Scalar| all(e, &|c| part.columns.contains(&c));
        let there = |e: &Scalar| all(e, &|c| leaf.contains(&c));
        self.equal.iter().any(|(l, r)| (here(l) && there(r)) || (there(l) && here(r)))
    }

    /// Joins two parts on every equality between them, all with all where there is none; equalities
    /// used are gone.
    fn joined(&mut self, left: Part, right: Part) -> Part {
        let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
        let mut rest = Vec::new();
        for (l, r) in std::mem::take(&mut self.equal) {
            if left.has(&l) && right.has(&r) {
                left_keys.push(over(&l, &left.rel, &|c| left.at(c)));
                right_keys.push(over(&r, &right.rel, &|c| right.at(c)));
            } else if left.has(&r) && right.has(&l) {
                left_keys.push(over(&r, &left.rel, &|c| left.at(c)));
                right_keys.push(over(&l, &right.rel, &|c| right.at(c)));
            } else {
                rest.push((l, r));
            }
        }
        self.equal = rest;
        let widths = (left.rel.width(), right.rel.width());
        let (left_rel, left_key) = with_columns(left.rel, &left_keys);
        let (right_rel, right_key) = with_columns(right.rel, &right_keys);
        let split = left_rel.width();
        let outputs = (0..widths.0).chain((0..widths.1).map(|i| split + i)).collect();
        let fields = left_rel.fields[..widths.0].iter().chain(&right_rel.fields[..widths.1]);
        let fields = fields.cloned().collect();
        let columns = left.columns.into_iter().chain(right.columns).collect();
        let op = RelOp::Join(JoinRel {
            left: Box::new(left_rel),
            right: Box::new(right_rel),
            left_key,
            right_key,
            nulls_equal: false,
            kind: Kind::Done(JoinKind::Inner),
            residual: Vec::new(),
            outputs,
        });
        let mut part = Part { columns, rel: Rel { fields, op } };
        self.leftovers(&mut part);
        part
    }

    /// Equalities within one part become filters.
    fn leftovers(&mut self, part: &mut Part) {
        let (inside, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.equal)
            .into_iter()
            .partition(|(l, r)| part.has(l) && part.has(r));
        self.equal = rest;
        let equals = |(l, r): (Scalar, Scalar)| -> Scalar {
            let op = datafusion::logical_expr::Operator::Eq;
            std::sync::Arc::new(datafusion::physical_expr::expressions::BinaryExpr::new(l, op, r))
        };
        self.filters.extend(inside.into_iter().map(equals));
    }
}

/// Some leaves, joined, and which of all columns each of its columns is.
struct Part {
    columns: Vec<usize>,
    rel: Rel,
}

impl Part {
    fn at(&self, column: usize) -> usize {
        self.columns.iter().position(|c| *c == column).expect("the part has the column")
    }

    fn has(&self, expr: &Scalar) -> bool {
        columns_of(expr).into_iter().all(|c| self.columns.contains(&c))
    }
}

fn over(expr: &Scalar, rel: &Rel, at: &dyn Fn(usize) -> usize) -> Scalar {
    replace(expr, &|i| rel.col(at(i)))
}

fn above_inner_join(rel: &Rel) -> bool {
    match &rel.op {
        RelOp::Join(join) => join.plain(),
        RelOp::Mfp { input, .. } => above_inner_join(input),
        _ => false,
    }
}

/// How much a join input may hold, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Reference tables and constants, and what is made of them.
    Small,
    /// Views, groups, latest rows.
    Medium,
    /// Raw rows of a stream.
    Large,
}

fn weight(rel: &Rel, catalog: &Catalog) -> Weight {
    match &rel.op {
        RelOp::Constant { .. } => Weight::Small,
        RelOp::Get { relation, .. } => match catalog.get(relation).map(|info| &info.kind) {
            Some(
                RelationKind::Stream(_) | RelationKind::Decision { .. } | RelationKind::Audit(_),
            ) => Weight::Large,
            Some(RelationKind::Table) => Weight::Small,
            Some(RelationKind::View | RelationKind::State) | None => Weight::Medium,
        },
        RelOp::Recurrence => Weight::Medium,
        RelOp::Reduce { .. } | RelOp::Sets(_) | RelOp::TopK(_) | RelOp::Recursive { .. } => {
            let below = rel.inputs().into_iter().map(|input| weight(input, catalog)).max();
            below.unwrap_or(Weight::Small).min(Weight::Medium)
        }
        _ => {
            let below = rel.inputs().into_iter().map(|input| weight(input, catalog)).max();
            below.unwrap_or(Weight::Small)
        }
    }
}
