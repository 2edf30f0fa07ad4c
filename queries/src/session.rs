//! The DataFusion session that every query is planned in: PostgreSQL identifiers, UTC, plain
//! strings.
//!
//! `now()` is ours: it is the tick, not the wall clock. In a maintained view it stays a call until
//! the planner makes a temporal filter of it; in a query asked once, [`at`] puts the tick in its
//! place. Whatever else depends on the moment or on chance is refused by [`refuse_impure`].

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::ScalarValue;
use datafusion::common::config::Dialect;
use datafusion::common::exec_datafusion_err;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::ScalarFunctionArgs;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::ScalarUDFImpl;
use datafusion::logical_expr::Signature;
use datafusion::logical_expr::Volatility;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use schemas::relation::UTC;
use schemas::relation::timestamp_type;
use schemas::time::Timestamp;

use crate::apart::OuterJoinsApart;
use crate::plan::refuse::PlanError;

/// A session state with our settings and our `now()`.
pub fn state() -> SessionState {
    let mut config = SessionConfig::new().with_target_partitions(1).with_information_schema(true);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some(UTC.to_owned());
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    let rules = PhysicalOptimizer::new().rules;
    let rules = std::iter::once(Arc::new(OuterJoinsApart) as _).chain(rules).collect();
    let mut state = builder.with_physical_optimizer_rules(rules).build();
    let ours = [
        ScalarUDF::from(Now::new()),
        ScalarUDF::from(crate::date_bin::DateBin::new()),
        ScalarUDF::from(crate::hop::Hop::new()),
        ScalarUDF::from(crate::plan::as_of::Latest::new()),
        ScalarUDF::from(crate::plan::lookup::Known::new()),
    ];
    for function in ours {
        state.register_udf(Arc::new(function)).expect("a new session takes any function");
    }
    for name in crate::held::NAMES {
        let inner = Arc::clone(&state.scalar_functions()[name]);
        let ours = ScalarUDF::from(crate::held::Held { inner });
        state.register_udf(Arc::new(ours)).expect("a new session takes any function");
    }
    let aggregates = crate::extreme::functions().into_iter().chain(crate::moving::functions());
    for function in aggregates.chain(crate::spread::functions()) {
        state.register_udaf(Arc::new(function)).expect("a new session takes any function");
    }
    state
}

/// `now()`: the tick. Volatile, so that no rule folds it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    signature: Signature,
    aliases: Vec<String>,
}

impl Now {
    fn new() -> Now {
        let aliases = vec!["current_timestamp".to_owned()];
        Now { signature: Signature::nullary(Volatility::Volatile), aliases }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        NOW
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(exec_datafusion_err!("now() has no value outside a tick"))
    }
}

const NOW: &str = "now";

/// Whether this is a call of `now()`.
pub(crate) fn is_now(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == NOW)
}

/// Whether `now()` is called anywhere within.
pub(crate) fn has_now(expr: &Expr) -> bool {
    expr.exists(|e| Ok(is_now(e))).expect("looking cannot fail")
}

/// The plan with the tick in the place of `now()`.
///
/// # Errors
/// The tick is no date, or the plan cannot be rebuilt.
pub fn at(plan: LogicalPlan, now: Timestamp) -> Result<LogicalPlan> {
    let ms = i64::try_from(now.0).map_err(|_| exec_datafusion_err!("{} ms is no date", now.0))?;
    let tick = ScalarValue::TimestampMillisecond(Some(ms), Some(Arc::from(UTC)));
    plan.transform_down_with_subqueries(|plan| {
        let names = plan.schema().clone();
        let plan = plan.map_expressions(|expr| {
            let name = expr.schema_name().to_string();
            let changed = expr.transform_up(|e| {
                Ok(if is_now(&e) {
                    Transformed::yes(Expr::Literal(tick.clone(), None))
                } else {
                    Transformed::no(e)
                })
            })?;
            changed.map_data(|e| {
                // What is named after the call keeps its name.
                let output = names.has_column_with_unqualified_name(&name);
                Ok(if output && e.schema_name().to_string() != name { e.alias(name) } else { e })
            })
        })?;
        plan.map_data(LogicalPlan::recompute_schema)
    })
    .map(|changed| changed.data)
}

/// Refuses functions whose value depends on the moment or on chance.
pub(crate) fn refuse_impure(plan: &LogicalPlan) -> Result<(), PlanError> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::ScalarFunction(call) = e {
                    let name = call.func.name();
                    let impure = call.func.signature().volatility == Volatility::Volatile;
                    if (impure && name != NOW) || MOMENTS.contains(&name) {
                        found = Some(name.to_owned());
                        return Ok(TreeNodeRecursion::Stop);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.expect("looking cannot fail");
    match found {
        None => Ok(()),
        Some(name) => Err(PlanError::refused(
            format!("{name}()"),
            "a view must give the same rows each time it is computed: compare a time column with \
             now(), which is the tick",
        )),
    }
}

/// Functions of the wall clock that DataFusion folds into constants.
const MOMENTS: [&str; 3] = ["current_date", "current_time", "today"];
