//! What is constant on one side of an outer join is not constant above it.
//!
//! A row without a match has NULL there. DataFusion 55 hands on from both sides which columns are
//! constant, equal to each other or in order, does not sort by them above the join, and so gives
//! windows and groups by such a column wrong rows. Here a node stands above every outer join that
//! hands on rows and nothing that is known of them.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::internal_err;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::JoinType;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ChildStats;
use datafusion::physical_plan::DisplayAs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::physical_plan::PlanProperties;
use datafusion::physical_plan::StatisticsArgs;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::joins::SortMergeJoinExec;

/// Puts an [`Apart`] above every outer join. It goes first: what it hides must not be built on.
#[derive(Debug)]
pub(crate) struct OuterJoinsApart;

impl PhysicalOptimizerRule for OuterJoinsApart {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|plan| {
            let apart = joins(plan.as_ref()).is_some_and(fills);
            Ok(if apart { Transformed::yes(Apart::above(plan)) } else { Transformed::no(plan) })
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "outer_joins_apart"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// How a node joins, if it does.
fn joins(plan: &dyn ExecutionPlan) -> Option<JoinType> {
    let hashed = plan.downcast_ref::<HashJoinExec>().map(|join| join.join_type);
    let nested = || plan.downcast_ref::<NestedLoopJoinExec>().map(|join| *join.join_type());
    let merged = || plan.downcast_ref::<SortMergeJoinExec>().map(|join| join.join_type());
    hashed.or_else(nested).or_else(merged)
}

/// Whether a join fills columns with NULL.
fn fills(join: JoinType) -> bool {
    matches!(join, JoinType::Left | JoinType::Right | JoinType::Full)
}

/// The rows of its input.
#[derive(Debug)]
struct Apart {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl Apart {
    fn above(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Arc::new(Apart { input, properties: Arc::new(properties) })
    }
}

impl DisplayAs for Apart {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Apart")
    }
}

impl ExecutionPlan for Apart {
    fn name(&self) -> &str {
        "Apart"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Apart::above(input)),
            _ => internal_err!("an outer join stands apart alone"),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        of_input: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&of_input[0]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemas::time::Timestamp;

    /// The answer, a line a row, in order.
    fn ask(sql: &str) -> Vec<String> {
        let rows = crate::batch::query(&BTreeMap::new(), sql, Timestamp(0)).unwrap();
        let shown = datafusion::arrow::util::pretty::pretty_format_batches(&[rows]).unwrap();
        let shown = shown.to_string();
        let mut lines: Vec<String> = shown.lines().skip(3).map(str::to_owned).collect();
        lines.pop();
        lines.sort();
        lines
    }

    #[test]
    fn a_constant_column_of_a_side_is_null_where_there_is_no_match() {
        let windowed =
            ask("SELECT lag(r.c, 2) OVER (PARTITION BY r.c ORDER BY l.d NULLS FIRST) AS a, \
               nth_value(l.d, 2) OVER (ORDER BY l.d NULLS FIRST ROWS 2 PRECEDING) AS b \
             FROM (VALUES (-7, -0.75), (2, 0.75), (2, NULL)) AS l (k, d) \
             LEFT JOIN (SELECT 0 AS c, n FROM (VALUES (2), (2)) AS v (n)) AS r ON r.n = l.k");
        let expected =
            ["|   |       |", "|   |       |", "|   |       |", "| 0 | -0.75 |", "| 0 | 0.75  |"];
        assert_eq!(windowed, expected);
        let grouped = ask(
            "SELECT r.c, g.x, count(*) AS n FROM (SELECT s, false AS c FROM (VALUES (NULL), ('')) \
               AS v (s)) AS r \
             FULL JOIN (VALUES (2, ''), (2, 'ab')) AS l (k, s) ON r.s = l.s \
             CROSS JOIN (SELECT 1.5 AS x) AS g GROUP BY g.x, r.c",
        );
        assert_eq!(grouped, ["|       | 1.5 | 1 |", "| false | 1.5 | 2 |"]);
    }
}
