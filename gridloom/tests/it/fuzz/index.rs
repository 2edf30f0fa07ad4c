//! Indexes in a case: one on a relation, for a view that is made half-way, and one on that view,
//! for the view that reads it.
//!
//! An index on a relation has the past of the relation when the view is made, so the view takes it
//! from there, and shares it where it joins by just the key; its twin, the same view without the
//! index, works the past off by itself. Which relation and which columns, the seed decides; those
//! by which the view joins are taken before others.

use pipeline::index::serves;
use schemas::catalog::Catalog;
use schemas::contract::IndexPlan;
use schemas::plan::ViewPlan;

use super::random::Random;

/// The index on a relation.
const INDEXED: &str = "indexed";

/// Which index there is, as far as the seed says it.
#[derive(Clone, Debug)]
pub(super) struct Indexed {
    /// The relation, among those that the view reads.
    relation: usize,
    column: usize,
    /// By two columns.
    two: bool,
    /// The last part of its past is held back for a tick.
    pub(super) late: bool,
}

/// An index, planned.
pub(super) struct Index {
    pub(super) plan: IndexPlan,
    /// The view joins by just its key.
    pub(super) shared: bool,
}

impl Indexed {
    pub(super) fn random(random: &mut Random) -> Indexed {
        Indexed {
            relation: random.below(12),
            column: random.below(60),
            two: random.chance(20),
            late: random.chance(50),
        }
    }

    /// The same by one column, without holding anything back.
    pub(super) fn smaller(&self) -> Option<Indexed> {
        (self.two || self.late).then(|| Indexed { two: false, late: false, ..self.clone() })
    }

    /// The index, if one can serve the view: by the key of a join, if there is such a join.
    pub(super) fn plan(&self, catalog: &Catalog, view: &ViewPlan) -> Result<Option<Index>, String> {
        let reads = view.reads.len();
        let mut found = None;
        for n in 0..reads {
            let relation = &view.reads[(self.relation + n) % reads];
            let width = catalog.get(relation).map_or(0, |info| info.schema.fields().len());
            let first = index(catalog, INDEXED, relation, &[self.column % width.max(1)])?;
            let by = |column: usize| IndexPlan { key: vec![column], ..first.clone() };
            if let Some(column) = (0..width).find(|at| serves(&by(*at), view) == Some(true)) {
                found = Some((relation, column, width));
                break;
            }
            if serves(&first, view).is_some() {
                found = found.or(Some((relation, first.key[0], width)));
            }
        }
        let Some((relation, column, width)) = found else { return Ok(None) };
        let second = (column + 1) % width;
        let key = if self.two && second != column { vec![column, second] } else { vec![column] };
        let plan = index(catalog, INDEXED, relation, &key)?;
        let shared = serves(&plan, view);
        Ok(shared.map(|shared| Index { plan, shared }))
    }
}

/// `CREATE INDEX` on these columns of a relation.
pub(super) fn index(
    catalog: &Catalog,
    name: &str,
    relation: &str,
    key: &[usize],
) -> Result<IndexPlan, String> {
    let schema = catalog.get(relation).map(|info| info.schema.clone());
    let schema = schema.ok_or_else(|| format!("there is no {relation} to be indexed"))?;
    let column = |at: &usize| format!("\"{}\"", schema.field(*at).name());
    let columns: Vec<String> = key.iter().map(column).collect();
    let sql = format!("CREATE INDEX {name} ON {relation} ({})", columns.join(", "));
    let made = queries::index::index(catalog, &sql);
    made.map(|made| made.plan).map_err(|error| format!("{sql}: {error}"))
}
