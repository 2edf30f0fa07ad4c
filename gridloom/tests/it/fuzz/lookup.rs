//! A lookup in a case: rows of its stream, each with a table as it is when the row comes.
//!
//! What a row meets, batch is asked at the tick of the row: the same SELECT, over the rows of the
//! stream that came at this tick and the tables of this tick. What was met at all ticks so far, as
//! far as the stream retains it, is a relation like any other, and queries are asked over it. In
//! what is maintained the SELECT itself stands in the place of this relation, so that lookups lie
//! below joins, groups and windows, and in queries within queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use queries::batch::Rows;

use super::data::Column;
use super::data::Row;
use super::data::Table;
use super::data::Type;
use super::query::From;
use super::query::Query;
use super::query::Select;
use super::random::Random;
use super::run::Case;
use super::run::Held;
use super::shown::retained;
use super::write::Named;
use super::write::Writer;
use super::write::of_table;

/// The relation of what was met; no other name ends so.
const MET: &str = "met";

#[derive(Clone, Debug)]
pub(super) struct Lookup {
    /// The stream whose rows look something up.
    stream: String,
    /// What comes of them; the event time comes first.
    query: Query,
    types: Vec<Type>,
}

impl Lookup {
    /// A lookup of one of the tables, or of two, by rows of the stream.
    pub(super) fn random(random: &mut Random, tables: &[Table]) -> Option<Lookup> {
        let stream = tables.iter().find(|table| table.stream)?;
        let known: Vec<&Table> = tables.iter().filter(|table| !table.stream).collect();
        let rows = of_table("s", stream);
        let mut from = From::Table(stream.name.clone(), "s".to_owned());
        let mut scope = rows.clone();
        let count = if random.chance(30) { 2 } else { 1 };
        for (inner, outer) in [("m", "left_m"), ("n", "left_n")].into_iter().take(count) {
            let (kind, alias) = match random.chance(50) {
                true => ("JOIN", inner),
                false => ("LEFT JOIN", outer),
            };
            let table = *random.pick(&known);
            let columns = of_table(alias, table);
            let on = equalities(random, &scope, &columns);
            let table = format!("{} FOR SYSTEM_TIME AS OF now()", table.name);
            let right = Box::new(From::Table(table, alias.to_owned()));
            from = From::Join(kind, Box::new(from), right, on);
            scope.extend(columns);
        }
        let mut items = vec![rows.last()?.clone()];
        for _ in 0..1 + random.below(2) {
            items.push(random.pick(&rows).clone());
        }
        for _ in 0..1 + random.below(2) {
            items.push(random.pick(&scope[rows.len()..]).clone());
        }
        let wheres = match random.chance(30) {
            true => vec![Writer::new(random, tables).condition(&scope, 1)],
            false => Vec::new(),
        };
        let (items, types): (Vec<String>, Vec<Type>) =
            items.into_iter().map(|item| (item.sql, item.of)).unzip();
        let select = Select { items, from: Some(from), wheres, ..Select::default() };
        let query = Query::Select(Box::new(select));
        Some(Lookup { stream: stream.name.clone(), query, types })
    }

    /// What was met, as a relation that queries may read.
    pub(super) fn table(&self) -> Table {
        let column = |(i, of): (usize, &Type)| {
            let name = format!("c{i}");
            Column { name, of: *of, nullable: true }
        };
        let columns = self.types.iter().enumerate().map(column).collect();
        Table { name: MET.to_owned(), columns, stream: false }
    }

    /// Whether a query reads what was met.
    pub(super) fn is_read(&self, sql: &str) -> bool {
        sql.contains(&format!("{MET} AS "))
    }

    /// A query with the lookup in the place of what was met.
    pub(super) fn written(&self, sql: &str) -> String {
        sql.replace(&format!("{MET} AS "), &format!("({}) AS ", self.query))
    }

    /// The same with one part less.
    pub(super) fn smaller(&self) -> Vec<Lookup> {
        let one = |query: Query| Lookup { query, ..self.clone() };
        self.query.smaller().into_iter().map(one).collect()
    }

    /// Adds what was met to what is held after each tick; nothing, if batch cannot say it.
    pub(super) fn add(&self, case: &Case, held: &mut [Held]) {
        let Some(index) = case.tables.iter().position(|table| table.name == self.stream) else {
            return;
        };
        let sql = self.query.to_string();
        let mut all: Vec<RecordBatch> = Vec::new();
        for (n, tables) in held.iter_mut().enumerate() {
            let came = case.ticks[n].iter().filter(|change| change.table == index);
            let came: Vec<&Row> = came.map(|change| &change.row).collect();
            if !came.is_empty() || n == 0 {
                let mut now: BTreeMap<String, Rows> = tables.clone();
                let rows = Rows::of(case.tables[index].batch(&came));
                now.insert(self.stream.clone(), rows);
                let Ok(met) = queries::batch::query(&now, &sql, case.now(n)) else { return };
                if !matches!(met.schema().field(0).data_type(), DataType::Timestamp(..)) {
                    return;
                }
                all.push(nullable(&met));
            }
            let met = concat_batches(&all[0].schema(), &all).unwrap();
            let stands = retained(&met, 0, case.now(n), case.pace.retain_ms);
            tables.insert(MET.to_owned(), Rows::of(stands));
        }
    }
}

/// The same rows, whose columns may be NULL.
fn nullable(rows: &RecordBatch) -> RecordBatch {
    let schema = rows.schema();
    let field = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    let fields: Vec<Field> = schema.fields().iter().map(field).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), rows.columns().to_vec()).unwrap()
}

/// One or two equalities of columns of both sides; each side has a `k`.
fn equalities(random: &mut Random, left: &[Named], right: &[Named]) -> Vec<String> {
    let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
    let pairs: Vec<(&Named, &Named)> = pairs.filter(|(l, r)| l.of == r.of).collect();
    let whole: Vec<(&Named, &Named)> =
        pairs.iter().filter(|(l, _)| l.of == Type::Int).copied().collect();
    let mut on = Vec::new();
    for n in 0..1 + usize::from(random.chance(20)) {
        let of = if n == 0 && random.chance(70) { &whole } else { &pairs };
        let (l, r) = *random.pick(of);
        on.push(format!("{} = {}", l.sql, r.sql));
    }
    on
}
