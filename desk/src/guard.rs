//! Makes what computes heed its end.
//!
//! A task of the runtime can be stopped only where it waits, and a join of everything with
//! everything computes for minutes between two waits. So each plan is changed before it runs:
//! joins give way after each batch that they put out, and look at the guard each time they
//! evaluate their condition. A statement whose client is gone, or whose time is over, ends there.

use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::FieldRef;
use arrow::datatypes::Schema;
use datafusion::common::DataFusionError;
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::joins::utils::JoinFilter;

use crate::error::DeskError;

/// When a statement has to end, and why.
#[derive(Debug)]
pub(crate) struct Guard {
    deadline: Instant,
    late: DeskError,
    reason: OnceLock<DeskError>,
}

impl Guard {
    /// A guard that ends a statement at `deadline`, saying `late`.
    pub(crate) fn until(deadline: Instant, late: DeskError) -> Guard {
        Guard { deadline, late, reason: OnceLock::new() }
    }

    /// Ends the statement; the first reason is the one that is told.
    pub(crate) fn stop(&self, reason: DeskError) {
        // Whoever came first has said why.
        self.reason.set(reason).ok();
    }

    /// Why it was ended, if it was.
    pub(crate) fn reason(&self) -> Option<&DeskError> {
        self.reason.get()
    }

    fn check(&self) -> Result<()> {
        let ended = match self.reason.get() {
            Some(reason) => reason,
            None if Instant::now() >= self.deadline => &self.late,
            None => return Ok(()),
        };
        Err(DataFusionError::External(Box::new(ended.clone())))
    }
}

/// The plan, heeding the guard.
///
/// # Errors
/// The plan cannot be rebuilt.
pub(crate) fn guarded(
    plan: Arc<dyn ExecutionPlan>,
    guard: &Arc<Guard>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let node: Arc<dyn ExecutionPlan> =
            if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
                let projection = join.projection().as_ref().map(|columns| columns.to_vec());
                Arc::new(NestedLoopJoinExec::try_new(
                    Arc::clone(join.left()),
                    Arc::clone(join.right()),
                    join.filter().map(|filter| heeding(filter, guard)),
                    join.join_type(),
                    projection,
                )?)
            } else if let Some(join) = node.downcast_ref::<HashJoinExec>()
                && let Some(filter) = join.filter()
            {
                let filter = Some(heeding(filter, guard));
                Arc::new(join.builder().with_filter(filter).build()?)
            } else {
                node
            };
        let multiplies = node.name().contains("Join") || node.name().contains("Unnest");
        Ok(if multiplies {
            Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>)
        } else {
            Transformed::no(node)
        })
    });
    Ok(changed?.data)
}

/// A join's condition that looks at the guard.
fn heeding(filter: &JoinFilter, guard: &Arc<Guard>) -> JoinFilter {
    let inner = Arc::clone(filter.expression());
    let expression = Arc::new(Heeding { inner, guard: Arc::clone(guard) });
    JoinFilter::new(expression, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// An expression that looks at the guard before it is evaluated.
#[derive(Debug)]
struct Heeding {
    inner: Arc<dyn PhysicalExpr>,
    guard: Arc<Guard>,
}

impl PartialEq for Heeding {
    fn eq(&self, other: &Heeding) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Heeding {}

impl Hash for Heeding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Heeding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Heeding {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.guard.check()?;
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children.pop().unwrap_or_else(|| Arc::clone(&self.inner));
        Ok(Arc::new(Heeding { inner, guard: Arc::clone(&self.guard) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
