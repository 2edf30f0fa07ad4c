//! The statement that makes an index: what is kept of it, and what is said where there is none.
//!
//! Tools write the relation with its database and schema, or leave the index's name to the server.
//! What is kept says the same in plain names, and is what is planned: the log gives the same index
//! after a restart. What an index is and what it is not, [`queries::index`] says.

use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
use queries::PlanError;
use schemas::catalog::Catalog;
use schemas::contract::IndexPlan;

use crate::error::DeskError;
use crate::error::Kind;
use crate::text;
use crate::text::Word;

/// An index, planned.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// The index, of the text that is kept.
    pub(crate) plan: IndexPlan,
    /// Whether an index of that name may be there already.
    pub(crate) if_not_exists: bool,
}

/// The index that a text creates over the relations of `catalog`. One without a name gets the first
/// that is not `taken`, as in PostgreSQL.
///
/// # Errors
/// The text is no SQL, names what there is not, or asks for what an index here does not do.
pub(crate) fn planned(
    catalog: &Catalog,
    sql: &str,
    taken: impl Fn(&str) -> bool,
) -> Result<Planned, DeskError> {
    let words = text::words(sql)?;
    let written =
        queries::index::index(catalog, sql).map_err(|error| refused(&error, sql, &words))?;
    let IndexPlan { name, relation, columns, .. } = written.plan;
    let name = if names_none(&words) { free(&name, taken) } else { name };
    let text = statement(&name, &relation, &columns);
    let kept = queries::index::index(catalog, &text);
    let kept = kept.map_err(|error| DeskError::planned(&error, &text))?;
    Ok(Planned { plan: kept.plan, if_not_exists: written.if_not_exists })
}

/// The statement that makes an index, as it is kept.
pub(crate) fn statement(name: &str, relation: &str, columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    format!("CREATE INDEX {} ON {} ({})", quoted(name), quoted(relation), columns.join(", "))
}

/// A name as a statement writes it: in quotes where it would be read otherwise without.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    let bare = name.starts_with(plain)
        && name.chars().all(|c| plain(c) || c.is_ascii_digit())
        && !ALL_KEYWORDS.contains(&name.to_uppercase().as_str());
    if bare { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Whether `ON` stands where the name of the index may stand.
fn names_none(words: &[Word]) -> bool {
    let index = words.iter().position(|word| word.is("INDEX"));
    let mut after = words.iter().skip(index.map_or(0, |at| at + 1));
    after.find(|word| !word.is("CONCURRENTLY")).is_some_and(|word| word.is("ON"))
}

/// The name, or the first of those with a number at its end that is not taken.
fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (1_u64..).map(|n| format!("{name}{n}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !taken(name)).expect("there are more numbers than names")
}

/// What is said of a text that makes no index.
fn refused(error: &PlanError, sql: &str, words: &[Word]) -> DeskError {
    let mut refused = DeskError::planned(error, sql);
    match error {
        // It is SQL, of indexes that promise something.
        PlanError::Option { .. } => refused.kind = Kind::Unsupported,
        // The planner meets the relation in a SELECT, where it stands elsewhere.
        PlanError::UnknownRelation { .. } => {
            let on = words.iter().position(|word| word.is("ON"));
            let relation = on.and_then(|on| words.get(on + 1));
            refused.position = relation.map(|word| sql[..word.start].chars().count() + 1);
        }
        _ => {}
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(sql: &str) -> Result<Planned, DeskError> {
        let taken = |name: &str| name == "meters_meter_id_idx";
        planned(&Catalog::built_in(), sql, taken)
    }

    #[track_caller]
    fn check(sql: &str, kept: &str) {
        assert_eq!(made(sql).unwrap().plan.view.sql, kept);
    }

    #[test]
    fn what_is_kept_has_plain_names() {
        check(
            "create index if not exists\n  \"0a1b\"\n  on \"gridloom\".\"public\".\"meters\" using \
             btree\n  (feeder_id)",
            "CREATE INDEX \"0a1b\" ON meters (feeder_id)",
        );
        check(
            "CREATE INDEX CONCURRENTLY By_Feeder ON public.meters (feeder_id DESC, Meter_Id)",
            "CREATE INDEX by_feeder ON meters (feeder_id, meter_id)",
        );
        assert!(made("CREATE INDEX IF NOT EXISTS i ON meters (feeder_id)").unwrap().if_not_exists);
        assert_eq!(quoted("select"), "\"select\"");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn an_index_without_a_name_gets_one_that_is_free() {
        check(
            "CREATE INDEX ON meters (feeder_id)",
            "CREATE INDEX meters_feeder_id_idx ON meters (feeder_id)",
        );
        check(
            "CREATE INDEX CONCURRENTLY ON meters (meter_id)",
            "CREATE INDEX meters_meter_id_idx1 ON meters (meter_id)",
        );
        // Whoever names one that is taken is told.
        check(
            "CREATE INDEX meters_meter_id_idx ON meters (feeder_id)",
            "CREATE INDEX meters_meter_id_idx ON meters (feeder_id)",
        );
    }

    #[test]
    fn refusals_have_the_place_in_what_was_written() {
        let refused = |sql: &str| {
            let error = made(sql).unwrap_err();
            (error.kind, error.position)
        };
        let sql = "CREATE INDEX i ON metres (meter_id)";
        assert_eq!(refused(sql), (Kind::UnknownRelation, Some(19)));
        let sql = "CREATE INDEX i\nON meters (meter)";
        assert_eq!(refused(sql), (Kind::UnknownColumn, Some(27)));
        assert_eq!(refused("CREATE UNIQUE INDEX i ON meters (meter_id)").0, Kind::Unsupported);
        assert_eq!(refused("CREATE INDEX i ON meters USING gin (meter_id)").0, Kind::Unsupported);
    }
}
