//! The planner: from the text of a view to the plan that is maintained.
//!
//! ```text
//! text
//!  └ statement   our DDL, parsed with sqlparser
//!     └ survey    first refusals, with names and places
//!        └ context   DataFusion: plan, total orders, analyse, own nodes, queries to joins
//!           │           (subquery), now() (temporal), optimise
//!           └ lower     to our nodes, columns as positions (rel)
//!              └ prune, first, join   columns that are asked for, first rows, joins in order
//!                 └ expand        joins that no operator does, of those that are
//!                    └ retain        where rows are forgotten
//!                       └ emit          the ViewPlan
//! ```
//!
//! Every choice is made here and stands in the plan; rendering decides nothing. The same text over
//! the same catalog gives the same plan, in every process.

pub(crate) mod aggregate;
pub(crate) mod as_of;
pub mod canonical;
pub(crate) mod context;
pub(crate) mod distinct_from;
pub(crate) mod emit;
pub(crate) mod expand;
pub(crate) mod expr;
pub(crate) mod first;
pub(crate) mod join;
pub(crate) mod lookup;
pub(crate) mod lower;
pub(crate) mod named_window;
pub(crate) mod nodes;
pub mod order;
pub(crate) mod order_by;
pub(crate) mod prune;
pub mod refuse;
pub(crate) mod rel;
pub(crate) mod retain;
pub mod statement;
pub(crate) mod subquery;
pub(crate) mod survey;
pub(crate) mod temporal;

use datafusion::execution::session_state::SessionState;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::plan::OnError;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
use schemas::view_error::ViewError;

use self::lower::Lower;
use self::refuse::PlanError;
use self::statement::ViewStatement;

pub use self::context::said;

/// Plans views over a catalog that grows with them.
pub struct Planner {
    catalog: Catalog,
    state: SessionState,
}

impl Planner {
    /// A planner over the relations of `catalog`.
    pub fn new(catalog: Catalog) -> Planner {
        Planner { catalog, state: crate::session::state() }
    }

    /// The relations that views may read by now.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The plan of one `CREATE MATERIALIZED VIEW`.
    ///
    /// # Errors
    /// The text is not such a statement, names what there is not, or cannot be maintained.
    pub fn view(&self, sql: &str) -> Result<ViewPlan, PlanError> {
        let statement = statement::view(sql)?;
        if statement.name == ViewError::NAME {
            return Err(PlanError::DuplicateName { name: statement.name, what: "table" });
        }
        if let Some(info) = self.catalog.get(&statement.name)
            && info.kind != RelationKind::View
        {
            let what = if info.kind == RelationKind::Table { "table" } else { "stream" };
            return Err(PlanError::DuplicateName { name: statement.name, what });
        }
        self.planned(statement, sql)
    }

    /// The plan of a SELECT, without a name of its own.
    ///
    /// # Errors
    /// As for [`Planner::view`].
    pub fn select(&self, sql: &str) -> Result<ViewPlan, PlanError> {
        let statement = ViewStatement {
            name: QUERY.to_owned(),
            on_error: OnError::default(),
            allow_unbounded_state: true,
            retain_ms: None,
            query: statement::query(sql)?,
        };
        self.planned(statement, sql)
    }

    /// Makes a planned view readable by later ones.
    pub fn add_view(&mut self, plan: &ViewPlan) {
        let schema = plan.root.schema.clone();
        self.catalog.add(&plan.name, RelationInfo { schema, kind: RelationKind::View });
    }

    /// The views in an order in which each comes after those it reads, as positions in `texts`.
    ///
    /// # Errors
    /// Every text that is no view, names what there is not, or reads itself, with its position.
    pub fn order(&self, texts: &[&str]) -> Result<Vec<usize>, Vec<(usize, PlanError)>> {
        order::order(&self.catalog, texts)
    }

    /// Refuses what reads a relation that there is not. DataFusion finds all that are named, but
    /// takes a recursion for none whose own rows are read in a query within an expression only.
    fn known(&self, rel: &rel::Rel) -> Result<(), PlanError> {
        match emit::reads(rel).into_iter().find(|read| self.catalog.get(read).is_none()) {
            None => Ok(()),
            Some(_) => Err(PlanError::refused(
                "EXISTS, IN or a query as a value over the rows of a recursion",
                "put it above the recursion, or join the recursion's rows",
            )),
        }
    }

    /// The plan of a statement that was read from `sql`.
    ///
    /// # Errors
    /// As for [`Planner::view`].
    pub(crate) fn planned(
        &self,
        statement: ViewStatement,
        sql: &str,
    ) -> Result<ViewPlan, PlanError> {
        survey::survey(&statement.query)?;
        let logical = context::logical(&self.state, &self.catalog, statement.query)?;
        let rel = Lower::new(&self.state).rel(&logical)?;
        distinct_names(&rel)?;
        self.known(&rel)?;
        let all: Vec<usize> = (0..rel.width()).collect();
        // Before ordering, so that joins see what is asked of them; after it, for the columns of
        // their keys.
        let rel = first::rows(prune::prune(lookup::timed(rel, &self.catalog), &all));
        let rel = join::order(rel, &self.catalog);
        let mut rel = expand::expand(prune::prune(rel, &all));
        retain::place(&mut rel, &self.catalog);
        lookup::check(&rel, &self.catalog)?;
        if !statement.allow_unbounded_state {
            retain::refuse_unbounded(&rel, &self.catalog)?;
            if let Some(relation) = retain::grows_for_ever(&rel, &self.catalog) {
                let clause = "the view".to_owned();
                return Err(PlanError::Unbounded { clause, relation });
            }
        }
        Ok(ViewPlan {
            name: statement.name,
            sql: sql.to_owned(),
            reads: emit::reads(&rel),
            root: emit::emit(&rel, &self.catalog, statement.on_error),
            on_error: statement.on_error,
            retain_ms: statement.retain_ms,
        })
    }
}

/// What a SELECT without a view is called.
pub const QUERY: &str = "query";

fn distinct_names(rel: &rel::Rel) -> Result<(), PlanError> {
    let mut seen = std::collections::BTreeSet::new();
    match rel.fields.iter().find(|field| !seen.insert(field.name().as_str())) {
        None => Ok(()),
        Some(field) => Err(PlanError::DuplicateColumn { name: field.name().clone() }),
    }
}
