//! Joins and groupings that no operator does, made of those that are.
//!
//! GROUPING SETS are one reduce a set, all over one input; what a set leaves out is NULL. Of joins,
//! with *M* the matches of *L* and *R* for which the residual of ON holds, *l* the left columns of
//! *M*, and rows as keys, NULL equal to NULL:
//!
//! | join | is |
//! | --- | --- |
//! | left with a residual | *M* ∪ (*L* anti *l*) with NULLs |
//! | semi, anti, mark with a residual | *L* semi, anti, mark *l* |
//! | full | (*L* left *R*) ∪ (*R* anti *L*) with NULLs |
//! | full with a residual | *M* ∪ (*L* anti *l*) with NULLs ∪ (*R* anti *r*) with NULLs |
//! | NOT IN | *L* anti *R*, if *R* has no NULL; of its rows without a key only if *R* is empty |
//!
//! Multiplicities come out right: an anti join keeps each of equal left rows, and a left row is in
//! *l* as often as it has matches, which counts as having some.
//!
//! This is the last change of the plan's shape: what stands twice in it is one node, rendered once,
//! because nothing below is pruned differently afterwards.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::ScalarValue;
use datafusion::physical_expr::expressions::IsNotNullExpr;
use datafusion::physical_expr::expressions::IsNullExpr;
use datafusion::physical_expr::expressions::Literal;
use schemas::plan::JoinKind;

use super::expr::Scalar;
use super::join::nothing;
use super::rel::GroupingSet;
use super::rel::JoinRel;
use super::rel::Kind;
use super::rel::Rel;
use super::rel::RelOp;
use super::rel::SetsRel;

/// The plan without joins that no operator does.
pub(crate) fn expand(mut rel: Rel) -> Rel {
    for input in rel.inputs_mut() {
        let taken = std::mem::replace(input, nothing());
        *input = expand(taken);
    }
    match rel.op {
        RelOp::Join(join) if !join.residual.is_empty() || !matches!(join.kind, Kind::Done(_)) => {
            expanded(&join, rel.fields)
        }
        RelOp::Sets(sets) => grouped(&sets, rel.fields),
        op => Rel { fields: rel.fields, op },
    }
}

/// One reduce a grouping set, over one input.
#[expect(clippy::needless_pass_by_value, reason = "as its siblings take them")]
fn grouped(sets: &SetsRel, fields: Vec<FieldRef>) -> Rel {
    let aggregates = &fields[sets.group.len() + 1..];
    let one = |set: &GroupingSet| {
        let has = || set.has.iter().enumerate().filter(|(_, has)| **has).map(|(i, _)| i);
        let of = has().map(|i| fields[i].clone()).chain(aggregates.iter().cloned());
        let op = RelOp::Reduce {
            input: sets.input.clone(),
            group: has().map(|i| sets.group[i]).collect(),
            aggregates: sets.aggregates.clone(),
            expire: None,
        };
        let reduced = Rel { fields: of.collect(), op };
        let mut next = 0..reduced.width();
        let mut column = || reduced.col(next.next().expect("as many columns as were grouped"));
        let mut outputs: Vec<Scalar> = Vec::new();
        for (has, field) in set.has.iter().zip(&fields) {
            outputs.push(if *has { column() } else { null(field) });
        }
        outputs.push(Arc::new(Literal::new(set.id.clone())));
        outputs.extend(aggregates.iter().map(|_| column()));
        Rel::mfp(reduced, Vec::new(), outputs, fields.clone())
    };
    let inputs = sets.sets.iter().map(one).collect();
    Rel { fields: fields.clone(), op: RelOp::Union { inputs } }
}

fn null(field: &FieldRef) -> Scalar {
    let null = ScalarValue::try_from(field.data_type()).unwrap_or(ScalarValue::Null);
    Arc::new(Literal::new(null))
}

/// One join, made of others.
fn expanded(join: &JoinRel, fields: Vec<FieldRef>) -> Rel {
    let (left, right) = (join.left.as_ref(), join.right.as_ref());
    let lefts: Vec<usize> = (0..left.width()).collect();
    let rights: Vec<usize> = (0..right.width()).collect();
    let of_right: Vec<usize> = rights.iter().map(|i| left.width() + i).collect();
    let branches = match join.kind {
        Kind::NotIn => not_in(join),
        Kind::Done(kind) if join.asks() => {
            vec![by_rows(kind, left.clone(), matches(join).picked(&lefts))]
        }
        Kind::Full if join.residual.is_empty() => {
            let both = joined(JoinKind::Left, Keys::of(join), left.clone(), right.clone());
            let Keys { left: l, right: r, nulls_equal } = Keys::of(join);
            let turned = Keys { left: r, right: l, nulls_equal };
            let alone = joined(JoinKind::Anti, turned, right.clone(), left.clone());
            vec![both, padded(alone, left, true)]
        }
        Kind::Full => {
            let matches = matches(join);
            let (l, r) = (matches.clone().picked(&lefts), matches.clone().picked(&of_right));
            let left_alone = by_rows(JoinKind::Anti, left.clone(), l);
            let right_alone = by_rows(JoinKind::Anti, right.clone(), r);
            vec![matches, padded(left_alone, right, false), padded(right_alone, left, true)]
        }
        Kind::Done(_) => {
            let matches = matches(join);
            let alone = by_rows(JoinKind::Anti, left.clone(), matches.clone().picked(&lefts));
            vec![matches, padded(alone, right, false)]
        }
    };
    let shaped = |rel: Rel| Rel { fields: fields.clone(), op: rel.picked(&join.outputs).op };
    let mut inputs: Vec<Rel> = branches.into_iter().map(shaped).collect();
    match inputs.len() {
        1 => inputs.remove(0),
        _ => Rel { fields, op: RelOp::Union { inputs } },
    }
}

/// The pairs of rows that match in all that ON says, with all columns of both.
fn matches(join: &JoinRel) -> Rel {
    let (left, right) = (join.left.as_ref().clone(), join.right.as_ref().clone());
    joined(JoinKind::Inner, Keys::of(join), left, right).filtered(join.residual.clone())
}

/// What is compared for equality.
struct Keys {
    left: Vec<usize>,
    right: Vec<usize>,
    nulls_equal: bool,
}

impl Keys {
    fn of(join: &JoinRel) -> Keys {
        let (left, right) = (join.left_key.clone(), join.right_key.clone());
        Keys { left, right, nulls_equal: join.nulls_equal }
    }

    /// Nothing is compared.
    fn none() -> Keys {
        Keys { left: Vec::new(), right: Vec::new(), nulls_equal: false }
    }
}

/// The join on these keys, with all columns that there are.
fn joined(kind: JoinKind, keys: Keys, left: Rel, right: Rel) -> Rel {
    let mut fields = left.fields.clone();
    match kind {
        JoinKind::Inner => fields.extend(right.fields.iter().cloned()),
        JoinKind::Left => fields.extend(right.fields.iter().map(nullable)),
        JoinKind::Mark => {
            fields.push(Arc::new(Field::new("mark", DataType::Boolean, false)));
        }
        JoinKind::Semi | JoinKind::Anti => {}
    }
    let op = JoinRel {
        left: Box::new(left),
        right: Box::new(right),
        left_key: keys.left,
        right_key: keys.right,
        nulls_equal: keys.nulls_equal,
        kind: Kind::Done(kind),
        residual: Vec::new(),
        outputs: (0..fields.len()).collect(),
    };
    Rel { fields, op: RelOp::Join(op) }
}

/// The join of equal rows.
fn by_rows(kind: JoinKind, left: Rel, right: Rel) -> Rel {
    let all: Vec<usize> = (0..left.width()).collect();
    joined(kind, Keys { left: all.clone(), right: all, nulls_equal: true }, left, right)
}

/// The rows with NULLs in the place of another side's columns.
fn padded(rows: Rel, other: &Rel, before: bool) -> Rel {
    let nulls = other.fields.iter().map(null);
    let others = other.fields.iter().map(nullable);
    let (columns, names) = (rows.cols().into_iter(), rows.fields.clone().into_iter());
    let (outputs, fields) = match before {
        true => (nulls.chain(columns).collect(), others.chain(names).collect()),
        false => (columns.chain(nulls).collect(), names.chain(others).collect()),
    };
    Rel::mfp(rows, Vec::new(), outputs, fields)
}

fn nullable(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_nullable(true))
}

/// NOT IN, in parts.
fn not_in(join: &JoinRel) -> Vec<Rel> {
    let (left, right) = (join.left.as_ref().clone(), join.right.as_ref().clone());
    let (of_left, of_right) = (join.left_key[0], join.right_key[0]);
    let values = right.clone().picked(&[of_right]);
    let unknown: Scalar = Arc::new(IsNullExpr::new(values.col(0)));
    let nulls = values.clone().filtered(vec![unknown]);
    let alone = joined(JoinKind::Anti, Keys::of(join), left, right);
    let alone = joined(JoinKind::Anti, Keys::none(), alone, nulls);
    let key = alone.col(of_left);
    let known: Scalar = Arc::new(IsNotNullExpr::new(Arc::clone(&key)));
    let unknown: Scalar = Arc::new(IsNullExpr::new(key));
    let without_key = alone.clone().filtered(vec![unknown]);
    let without_key = joined(JoinKind::Anti, Keys::none(), without_key, values);
    vec![alone.filtered(vec![known]), without_key]
}
