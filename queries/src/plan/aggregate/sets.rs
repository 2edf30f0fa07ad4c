//! GROUPING SETS, ROLLUP and CUBE: which columns each set groups by, and its number.
//!
//! The number is DataFusion's `__grouping_id`, of which its analyser makes `grouping()`: a bit for
//! each column that the set leaves out, the last column's lowest, and above them how many equal
//! sets were written before.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Aggregate;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::GroupingSet;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;

use super::Result;
use crate::plan::context::said;
use crate::plan::rel;

/// The columns that any of the sets groups by, or those of a plain GROUP BY.
pub(super) fn keys(plan: &Aggregate) -> Result<Vec<Expr>> {
    let keys = grouping_set_to_exprlist(&plan.group_expr).map_err(|e| said(&e))?;
    Ok(keys.into_iter().cloned().collect())
}

/// The sets, if it is not a plain GROUP BY.
pub(super) fn of(plan: &Aggregate) -> Result<Option<Vec<rel::GroupingSet>>> {
    let [Expr::GroupingSet(written)] = plan.group_expr.as_slice() else { return Ok(None) };
    let keys = keys(plan)?;
    let sets: Vec<Vec<Expr>> = match written {
        GroupingSet::GroupingSets(sets) => sets.clone(),
        GroupingSet::Rollup(exprs) => {
            (0..=exprs.len()).map(|n| exprs[..n].to_vec()).rev().collect()
        }
        GroupingSet::Cube(exprs) => (0..1_usize << exprs.len())
            .map(|mask| {
                let kept = exprs.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
                kept.map(|(_, expr)| expr.clone()).collect()
            })
            .collect(),
    };
    let id_type = plan.schema.field(keys.len()).data_type();
    let mut numbered: Vec<rel::GroupingSet> = Vec::new();
    for set in sets {
        let has: Vec<bool> = keys.iter().map(|key| set.contains(key)).collect();
        let before = numbered.iter().filter(|one| one.has == has).count();
        let mask = has.iter().fold(0_u64, |mask, has| mask << 1 | u64::from(!has));
        let id = number(mask | (before as u64) << keys.len(), id_type);
        numbered.push(rel::GroupingSet { has, id });
    }
    Ok(Some(numbered))
}

fn number(id: u64, of: &DataType) -> ScalarValue {
    match of {
        DataType::UInt8 => ScalarValue::UInt8(Some(id as u8)),
        DataType::UInt16 => ScalarValue::UInt16(Some(id as u16)),
        DataType::UInt32 => ScalarValue::UInt32(Some(id as u32)),
        _ => ScalarValue::UInt64(Some(id)),
    }
}
