//! The relations of TPC-H, and which of their rows are there at each tick.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::BooleanArray;
use arrow::array::RecordBatch;
use arrow::array::UInt32Array;
use arrow::compute::cast;
use arrow::compute::concat_batches;
use arrow::compute::filter_record_batch;
use arrow::compute::take_record_batch;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Int64Type;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use tpchgen::generators;
use tpchgen_arrow::CustomerArrow;
use tpchgen_arrow::LineItemArrow;
use tpchgen_arrow::NationArrow;
use tpchgen_arrow::OrderArrow;
use tpchgen_arrow::PartArrow;
use tpchgen_arrow::PartSuppArrow;
use tpchgen_arrow::RegionArrow;
use tpchgen_arrow::SupplierArrow;

/// Of a hundred orders, so many are there at the first tick.
const FIRST_PERCENT: usize = 70;

/// Of so many customers, parts, suppliers and offers one goes at each batch, and comes back at the
/// next.
const CHURN: usize = 40;

/// One relation.
pub struct Relation {
    /// Its name.
    pub name: &'static str,
    /// All rows that it ever has.
    pub rows: RecordBatch,
    alive: Vec<bool>,
}

/// All eight, and how far they are.
pub struct Database {
    /// The relations, in name order.
    pub relations: Vec<Relation>,
    /// The number of the order of each line.
    order_of: Vec<usize>,
    orders: usize,
    batches: usize,
}

/// Rows that come or go: the relation by position, the rows, and +1 or −1.
pub type Change = (usize, RecordBatch, i64);

impl Database {
    /// The relations at this scale, empty yet; the last orders have come after `batches` batches.
    pub fn new(scale: f64, batches: usize) -> Database {
        let all =
            |batches: &mut dyn Iterator<Item = Result<RecordBatch, ArrowError>>| plain(batches);
        let mut relations = vec![
            (
                "customer",
                all(&mut CustomerArrow::new(generators::CustomerGenerator::new(scale, 1, 1))),
            ),
            (
                "lineitem",
                all(&mut LineItemArrow::new(generators::LineItemGenerator::new(scale, 1, 1))),
            ),
            ("nation", all(&mut NationArrow::new(generators::NationGenerator::new(scale, 1, 1)))),
            ("orders", all(&mut OrderArrow::new(generators::OrderGenerator::new(scale, 1, 1)))),
            ("part", all(&mut PartArrow::new(generators::PartGenerator::new(scale, 1, 1)))),
            (
                "partsupp",
                all(&mut PartSuppArrow::new(generators::PartSuppGenerator::new(scale, 1, 1))),
            ),
            ("region", all(&mut RegionArrow::new(generators::RegionGenerator::new(scale, 1, 1)))),
            (
                "supplier",
                all(&mut SupplierArrow::new(generators::SupplierGenerator::new(scale, 1, 1))),
            ),
        ];
        let relations: Vec<Relation> = relations
            .drain(..)
            .map(|(name, rows)| Relation { name, alive: vec![false; rows.num_rows()], rows })
            .collect();
        let keys = relations[3].rows.column(0).as_primitive::<Int64Type>().values();
        let number: BTreeMap<i64, usize> = keys.iter().copied().zip(0..).collect();
        let lines = relations[1].rows.column(0).as_primitive::<Int64Type>().values();
        let order_of = lines.iter().map(|key| number[key]).collect();
        let orders = number.len();
        Database { relations, order_of, orders, batches }
    }

    /// What comes and goes at batch `n`; the first is number 0.
    pub fn step(&mut self, n: usize) -> Vec<Change> {
        let share = self.orders * (100 - FIRST_PERCENT) / 100 / self.batches.max(1);
        let first = self.orders - share * self.batches;
        let window = n * share..first + n * share;
        let mut changes = Vec::new();
        for (index, relation) in self.relations.iter_mut().enumerate() {
            let there = |row: usize| match relation.name {
                "orders" => window.contains(&row),
                "lineitem" => window.contains(&self.order_of[row]),
                "nation" | "region" => true,
                _ => n == 0 || row % CHURN != n % CHURN,
            };
            let (mut come, mut go) = (Vec::new(), Vec::new());
            for (row, alive) in relation.alive.iter_mut().enumerate() {
                let now = there(row);
                match (*alive, now) {
                    (false, true) => come.push(row as u32),
                    (true, false) => go.push(row as u32),
                    _ => {}
                }
                *alive = now;
            }
            for (rows, diff) in [(go, -1), (come, 1)] {
                if !rows.is_empty() {
                    let rows = take_record_batch(&relation.rows, &UInt32Array::from(rows));
                    changes.push((index, rows.expect("rows of the relation"), diff));
                }
            }
        }
        changes
    }
}

impl Relation {
    /// The rows that are there.
    pub fn now(&self) -> RecordBatch {
        let alive = BooleanArray::from(self.alive.clone());
        filter_record_batch(&self.rows, &alive).expect("one flag a row")
    }
}

/// One batch with plain strings, as relations have them.
fn plain(batches: &mut dyn Iterator<Item = Result<RecordBatch, ArrowError>>) -> RecordBatch {
    let batches: Vec<RecordBatch> = batches.map(|b| b.expect("the generator generates")).collect();
    let schema = batches[0].schema();
    let batch = concat_batches(&schema, &batches).expect("batches of one schema");
    let text = |of: &DataType| *of == DataType::Utf8View;
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| match text(field.data_type()) {
            true => {
                let plain = cast(column, &DataType::Utf8).expect("text is text");
                (field.as_ref().clone().with_data_type(DataType::Utf8), plain)
            }
            false => (field.as_ref().clone(), Arc::clone(column)),
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("the same columns")
}
