//! From text to index: `CREATE INDEX [name] ON relation (column, …)`.
//!
//! An index keeps the rows of a relation, arranged by some of its columns, for views that are made
//! later: they take the past from it and, where they join by just these columns, share it. What it
//! keeps is what `SELECT * FROM relation` would.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::Spanned;
use schemas::catalog::Catalog;
use schemas::contract::IndexPlan;
use schemas::plan::OnError;

use crate::Planner;
use crate::plan::refuse::PlanError;
use crate::plan::refuse::nearest;
use crate::plan::statement;
use crate::plan::statement::ViewStatement;

/// An index, parsed and planned.
#[derive(Clone, Debug)]
pub struct IndexStatement {
    /// The index.
    pub plan: IndexPlan,
    /// Whether an index of that name may be there already.
    pub if_not_exists: bool,
}

/// Whether a text creates an index.
pub fn is_index(sql: &str) -> bool {
    let mut words = sql.split_whitespace().map(str::to_uppercase);
    let created = words.next().is_some_and(|word| word == "CREATE");
    created && words.find(|word| word != "UNIQUE").is_some_and(|word| word == "INDEX")
}

/// The index that a text creates over the relations of `catalog`.
///
/// # Errors
/// The text is no such statement, names what there is not, or asks for what an index here does not
/// do.
pub fn index(catalog: &Catalog, sql: &str) -> Result<IndexStatement, PlanError> {
    let ast::Statement::CreateIndex(create) = statement::one(sql)? else {
        return Err(PlanError::Statement {
            expected: "CREATE INDEX",
            found: statement::first_words(sql),
            hint: FORM.to_owned(),
        });
    };
    refuse(&create)?;
    let relation = statement::plain_name(&create.table_name);
    let columns = create.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let query = statement::query(&format!("SELECT * FROM {}", create.table_name))?;
    let name = match &create.name {
        Some(name) => statement::plain_name(name),
        // As PostgreSQL calls it.
        None => format!("{relation}_{}_idx", columns.join("_")),
    };
    let read = ViewStatement {
        name: name.clone(),
        on_error: OnError::default(),
        allow_unbounded_state: false,
        retain_ms: None,
        query,
    };
    let view = Planner::new(catalog.clone()).planned(read, sql).map_err(|error| match error {
        PlanError::Unbounded { relation, .. } => {
            PlanError::Unbounded { clause: "the index".to_owned(), relation }
        }
        other => other,
    })?;
    let fields = view.root.schema.fields();
    let names = || fields.iter().map(|field| field.name().as_str());
    let mut key = Vec::new();
    for (name, given) in columns.iter().zip(&create.columns) {
        let at = names().position(|field| field == name).ok_or_else(|| {
            let (hint, at) = (nearest(name, names()), statement::place(given.column.span()));
            PlanError::UnknownColumn { name: name.clone(), hint, at }
        })?;
        if key.contains(&at) {
            return Err(PlanError::DuplicateColumn { name: name.clone() });
        }
        key.push(at);
    }
    if name.contains('.') {
        let message = format!("an index cannot be put into another schema ({name})");
        return Err(PlanError::Option { message, hint: FORM.to_owned(), at: None });
    }
    let plan = IndexPlan { name, relation, columns, key, view };
    Ok(IndexStatement { plan, if_not_exists: create.if_not_exists })
}

/// How the statement is written.
const FORM: &str = "write CREATE INDEX name ON relation (column, …)";

/// Refuses what an index here does not do.
fn refuse(create: &ast::CreateIndex) -> Result<(), PlanError> {
    let using = create.using.as_ref().map(ToString::to_string);
    let clause = if create.unique {
        "UNIQUE"
    } else if create.predicate.is_some() {
        "WHERE"
    } else if !create.include.is_empty() {
        "INCLUDE"
    } else if create.nulls_distinct.is_some() {
        "NULLS DISTINCT"
    } else if !create.with.is_empty() {
        "WITH"
    } else if create.columns.is_empty() {
        "no columns"
    } else if let Some(using) = using.filter(|u| !["BTREE", "HASH"].contains(&&*u.to_uppercase())) {
        return Err(refused(&format!("USING {using}")));
    } else {
        return Ok(());
    };
    Err(refused(clause))
}

fn refused(clause: &str) -> PlanError {
    let message = format!("an index with {clause} is not kept");
    let hint = format!("{FORM}: it arranges rows for views and promises nothing of them");
    PlanError::Option { message, hint, at: None }
}

/// The name of a column of an index.
fn column(column: &ast::IndexColumn) -> Result<String, PlanError> {
    let by = &column.column;
    match &by.expr {
        ast::Expr::Identifier(ident) if column.operator_class.is_none() => {
            Ok(statement::fold(ident))
        }
        other => Err(PlanError::Option {
            message: format!("an index by {other} is not kept"),
            hint: "name columns; for an expression, make a view that has it and index that".into(),
            at: statement::place(other.span()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_its_relation_and_key() {
        let catalog = Catalog::built_in();
        let made = |sql: &str| index(&catalog, sql).map(|made| made.plan);
        let sql = "CREATE INDEX IF NOT EXISTS by_feeder ON public.meters USING btree (feeder_id)";
        let plan = made(sql).unwrap();
        assert_eq!((plan.name.as_str(), plan.relation.as_str()), ("by_feeder", "meters"));
        assert_eq!((plan.columns, plan.key), (vec!["feeder_id".to_owned()], vec![2]));
        assert_eq!(plan.view.sql, sql);
        let plan = made("create index on meter_readings (meter_id, \"measured_at\")").unwrap();
        assert_eq!(plan.name, "meter_readings_meter_id_measured_at_idx");
        assert!(plan.view.explain().contains("keeps its rows"), "{}", plan.view.explain());
    }

    #[test]
    fn what_is_no_index_here_is_refused() {
        let catalog = Catalog::built_in();
        let said = |sql: &str| index(&catalog, sql).unwrap_err().full();
        assert!(said("CREATE UNIQUE INDEX i ON meters (meter_id)").contains("UNIQUE"));
        assert!(said("CREATE INDEX i ON meters (meter_id) WHERE bus_id = 'b'").contains("WHERE"));
        assert!(said("CREATE INDEX i ON meters (lower(meter_id))").contains("lower(meter_id)"));
        assert!(said("CREATE INDEX i ON meters (meter)").contains("did you mean meter_id?"));
        assert!(said("CREATE INDEX i ON metres (meter_id)").contains("did you mean meters?"));
        assert!(said("SELECT 1").contains("CREATE INDEX"));
        assert!(is_index("create unique  index x on y (z)") && !is_index("CREATE SOURCE s"));
    }
}
