//! The indexes that PostgreSQL's catalog shows: those that there are, and those that keys would
//! have.
//!
//! Clients learn the key of a relation from its index, so that each key has one here. Those that
//! somebody made are beside them; none of them is unique. Both find rows by equal columns, which is
//! what clients know as btree.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use datafusion::common::Result;
use schemas::contract::Status;

use super::build::Columns;
use super::namespace_oid;
use super::oid;
use crate::index::quoted;
use crate::relations::Listed;
use crate::relations::PUBLIC;

/// An index, as the catalog has it.
pub(super) struct Index<'a> {
    /// What it is on.
    pub(super) on: &'a Listed,
    /// Its name, in the schema of that.
    pub(super) name: String,
    /// The names of its columns.
    pub(super) columns: Vec<String>,
    /// Whether it is the one that the key would have.
    pub(super) of_key: bool,
}

impl Index<'_> {
    /// Its number.
    pub(super) fn oid(&self) -> i32 {
        oid(&self.on.schema, &self.name)
    }

    /// The number of what it is on.
    pub(super) fn on_oid(&self) -> i32 {
        oid(&self.on.schema, &self.on.name)
    }

    /// Its columns.
    pub(super) fn fields(&self) -> Vec<&Arc<Field>> {
        self.places().map(|at| &self.on.columns.fields()[at]).collect()
    }

    /// The numbers that its columns have where it is on, from 1.
    fn numbers(&self) -> Vec<i16> {
        self.places().map(|at| i16::try_from(at + 1).unwrap_or(i16::MAX)).collect()
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().filter_map(|column| self.on.columns.index_of(column).ok())
    }

    /// The statement that PostgreSQL would say had made it.
    pub(super) fn definition(&self) -> String {
        let unique = if self.of_key { "UNIQUE " } else { "" };
        let (name, table) = (quoted(&self.name), quoted(&self.on.name));
        let columns: Vec<String> = self.columns.iter().map(|column| quoted(column)).collect();
        let on = format!("{}.{table} USING btree ({})", self.on.schema, columns.join(", "));
        format!("CREATE {unique}INDEX {name} ON {on}")
    }
}

/// All of them: those of keys, and those that somebody made.
pub(super) fn all<'a>(listed: &'a [Listed], status: &Status) -> Vec<Index<'a>> {
    let keyed = listed.iter().filter(|on| !on.key.is_empty());
    let of_keys = keyed.map(|on| {
        let (name, columns) = (format!("{}_pkey", on.name), on.key.clone());
        Index { on, name, columns, of_key: true }
    });
    let made = status.indexes.iter().filter_map(|index| {
        let on = listed.iter().find(|on| on.schema == PUBLIC && on.name == index.relation)?;
        let (name, columns) = (index.name.clone(), index.columns.clone());
        Some(Index { on, name, columns, of_key: false })
    });
    of_keys.chain(made).collect()
}

/// The rows of `pg_index`.
pub(super) fn rows(indexes: &[Index<'_>]) -> Result<RecordBatch> {
    let n = |index: &Index<'_>| i16::try_from(index.columns.len()).unwrap_or(i16::MAX);
    let zeros = |index: &Index<'_>| vec![0; index.columns.len()];
    Columns::of(indexes.len())
        .oid("indexrelid", indexes.iter().map(Index::oid))
        .oid("indrelid", indexes.iter().map(Index::on_oid))
        .small("indnatts", indexes.iter().map(n))
        .small("indnkeyatts", indexes.iter().map(n))
        .truth("indisunique", indexes.iter().map(|index| index.of_key))
        .all_truth("indnullsnotdistinct", false)
        .truth("indisprimary", indexes.iter().map(|index| index.of_key))
        .all_truth("indisexclusion", false)
        .all_truth("indimmediate", true)
        .all_truth("indisclustered", false)
        .all_truth("indisvalid", true)
        .all_truth("indcheckxmin", false)
        .all_truth("indisready", true)
        .all_truth("indislive", true)
        .all_truth("indisreplident", false)
        .numbers("indkey", indexes.iter().map(Index::numbers))
        .numbers("indcollation", indexes.iter().map(zeros))
        .numbers("indclass", indexes.iter().map(zeros))
        .numbers("indoption", indexes.iter().map(zeros))
        .nothing("indexprs", &DataType::Utf8)
        .nothing("indpred", &DataType::Utf8)
        .build()
}

/// The rows of `pg_indexes`.
pub(super) fn texts(indexes: &[Index<'_>]) -> Result<RecordBatch> {
    Columns::of(indexes.len())
        .text("schemaname", indexes.iter().map(|index| &index.on.schema))
        .text("tablename", indexes.iter().map(|index| &index.on.name))
        .text("indexname", indexes.iter().map(|index| &index.name))
        .nothing("tablespace", &DataType::Utf8)
        .text("indexdef", indexes.iter().map(Index::definition))
        .build()
}

/// The rows of `pg_constraint`: the keys.
pub(super) fn constraints(indexes: &[Index<'_>]) -> Result<RecordBatch> {
    let keys: Vec<&Index<'_>> = indexes.iter().filter(|index| index.of_key).collect();
    Columns::of(keys.len())
        .oid("oid", keys.iter().map(|key| key.oid()))
        .text("conname", keys.iter().map(|key| &key.name))
        .oid("connamespace", keys.iter().map(|key| namespace_oid(&key.on.schema)))
        .all_text("contype", "p")
        .all_truth("condeferrable", false)
        .all_truth("condeferred", false)
        .all_truth("convalidated", true)
        .oid("conrelid", keys.iter().map(|key| key.on_oid()))
        .all_oid("contypid", 0)
        .oid("conindid", keys.iter().map(|key| key.oid()))
        .all_oid("conparentid", 0)
        .all_oid("confrelid", 0)
        .all_text("confupdtype", " ")
        .all_text("confdeltype", " ")
        .all_text("confmatchtype", " ")
        .all_truth("conislocal", true)
        .all_int("coninhcount", 0)
        .all_truth("connoinherit", true)
        .numbers("conkey", keys.iter().map(|key| key.numbers()))
        .numbers("confkey", keys.iter().map(|_| Vec::new()))
        .nothing("conbin", &DataType::Utf8)
        .build()
}
