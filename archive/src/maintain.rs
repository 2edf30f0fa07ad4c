//! Keeping the table: small files become one, and days leave by policy.
//!
//! A compaction writes the rows of one kind and day again, in the chain's order, and commits the
//! new file and the end of the old ones as one version that says no data changed. A retirement
//! commits the end of all files of some days together with the position that they reached, so that
//! [`verify`](crate::verify) knows where the chain it can check begins.
//!
//! Files that no version of the last week names are removed then: what was compacted, retired, or
//! left by a crash. A reader that began with an older version has that week.
//!
//! **Invariant:** compaction changes no row; retirement is the only end of one.
//!
//! # Bounds
//!
//! The rows of one kind and day in memory.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::Int64Type;
use arrow::datatypes::TimestampMillisecondType;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::cast;
use datafusion::logical_expr::lit;
use datafusion::prelude::DataFrame;
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use deltalake_core::kernel::Action;
use deltalake_core::kernel::Remove;
use deltalake_core::kernel::Transaction;
use deltalake_core::operations::vacuum::VacuumMode;
use deltalake_core::protocol::DeltaOperation;
use schemas::audit::Kind;
use schemas::audit::SEQUENCE;
use schemas::audit::SUBJECT;
use schemas::audit::TICK_AT;
use schemas::relation::timestamp_type;
use schemas::time::Timestamp;

use crate::columns::DAY;
use crate::columns::RECORD_KIND;
use crate::decide::Group;
pub use crate::decide::Policy;
use crate::decide::decide;
use crate::error::ArchiveError;
use crate::read::column;
use crate::seal::Step;
use crate::table::Archive;
use crate::table::Position;
use crate::table::retired_to;

/// The size that Delta's log is told a compaction aims at: one file, however large.
const TARGET_BYTES: i64 = 1 << 40;

/// What maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Files that became fewer.
    pub compacted: usize,
    /// Files that left by policy.
    pub retired: usize,
    /// Files that no version names, removed.
    pub swept: usize,
}

impl Archive {
    /// Keeps the table by `policy`. `at` is told of each step.
    ///
    /// # Errors
    /// The table cannot be read or written. What was committed before stays.
    pub fn maintain(
        &mut self,
        policy: Policy,
        at: &mut dyn FnMut(Step),
    ) -> Result<Maintained, ArchiveError> {
        self.refresh()?;
        let mut done = Maintained::default();
        let files = self.groups()?;
        let counts = files.iter().map(|(group, files)| (group.clone(), files.len())).collect();
        let decision = decide(&counts, self.sealed(), policy);
        if let Some(first) = decision.retire_before {
            let old = files.iter().filter(|(group, _)| group.day < first);
            let old: Vec<Remove> = old.flat_map(|(_, files)| files.iter().cloned()).collect();
            done.retired = old.len();
            self.retire(first, old)?;
            at(Step::Committed);
        }
        for group in &decision.compact {
            done.compacted += files[group].len();
            self.compact(group, files[group].clone(), at)?;
        }
        if done.compacted + done.retired > 0 {
            done.swept = self.sweep()?;
        }
        Ok(done)
    }

    /// The table's files by kind and day, as their ends would say.
    pub(crate) fn groups(&self) -> Result<BTreeMap<Group, Vec<Remove>>, ArchiveError> {
        let state = self.loaded.table.snapshot().map_err(self.cannot("opened"))?;
        let mut groups: BTreeMap<Group, Vec<Remove>> = BTreeMap::new();
        for file in state.log_data().iter() {
            let values = file.partition_values_map();
            let text = |name: &str| values.get(name).cloned().flatten();
            let day = text(DAY).and_then(|day| day_number(&day));
            let (Some(day), Some(kind)) = (day, text(RECORD_KIND)) else { continue };
            groups.entry(Group { day, kind }).or_default().push(file.remove_action(false));
        }
        Ok(groups)
    }

    /// Makes one file of a kind's files of a day.
    fn compact(
        &mut self,
        group: &Group,
        files: Vec<Remove>,
        at: &mut dyn FnMut(Step),
    ) -> Result<(), ArchiveError> {
        let Some(kind) = Kind::from_name(&group.kind) else { return Ok(()) };
        let order = [TICK_AT, SUBJECT, SEQUENCE];
        let order = order.map(|name| column(name).sort(true, false)).to_vec();
        let wanted = of_day(group.day).and(column(RECORD_KIND).eq(lit(group.kind.as_str())));
        let rows: Vec<RecordBatch> = self.ask(|frame| frame.filter(wanted)?.sort(order))?;
        let rows: Vec<_> = rows.into_iter().map(|batch| (kind, batch)).collect();
        let mut adds = self.write(&rows)?;
        self.durable_files(&adds)?;
        at(Step::Written);
        adds.iter_mut().for_each(|add| add.data_change = false);
        let mut actions: Vec<Action> = files.into_iter().map(Action::Remove).collect();
        actions.extend(adds.into_iter().map(Action::Add));
        let operation = DeltaOperation::Optimize { predicate: None, target_size: TARGET_BYTES };
        self.commit(actions, vec![self.upkeep()], operation)?;
        at(Step::Committed);
        Ok(())
    }

    /// Ends the files of the days before `first`.
    fn retire(&mut self, first: u64, files: Vec<Remove>) -> Result<(), ArchiveError> {
        let before = column(DAY).lt(lit(day_value(first)));
        let found = self.ask(|frame| {
            let last = cast(max(column(TICK_AT)), timestamp_type());
            let counted = vec![count(column(TICK_AT)).alias("n"), last.alias("last")];
            frame.filter(before)?.aggregate(vec![], counted)
        })?;
        let (mut records, mut last) = (0, self.retired().tick);
        for batch in &found {
            records += batch.column(0).as_primitive::<Int64Type>().value(0).max(0) as u64;
            let tick = batch.column(1).as_primitive::<TimestampMillisecondType>().value(0);
            last = last.max(Timestamp(tick.max(0) as u64));
        }
        let retired = Position { count: self.retired().count + records, tick: last };
        let actions = files.into_iter().map(|file| Remove { data_change: true, ..file });
        let predicate = Some(format!("{DAY} < '{}'", date(first)));
        let operation = DeltaOperation::Delete { predicate };
        let mut transactions = retired_to(&self.place.instance, retired);
        transactions.push(self.upkeep());
        self.commit(actions.map(Action::Remove).collect(), transactions, operation)
    }

    /// The transaction of every change that ends files. Delta lets two compactions of the same
    /// files pass, which would double their rows; it refuses two that move one transaction.
    fn upkeep(&self) -> Transaction {
        let version = self.loaded.table.version().unwrap_or_default();
        let version = i64::try_from(version).expect("versions are counted one by one");
        Transaction::new(format!("{}/upkeep", self.place.instance), version)
    }

    /// Removes files that no version of the last week names.
    fn sweep(&mut self) -> Result<usize, ArchiveError> {
        let vacuum = self.loaded.table.clone().vacuum().with_mode(VacuumMode::Full);
        let swept = self.wait(async { vacuum.await });
        let (_, metrics) = swept.map_err(self.cannot("swept"))?;
        self.refresh()?;
        Ok(metrics.files_deleted.len())
    }

    /// Rows of the version at hand.
    pub(crate) fn ask(
        &self,
        question: impl FnOnce(DataFrame) -> Result<DataFrame, datafusion::error::DataFusionError>,
    ) -> Result<Vec<RecordBatch>, ArchiveError> {
        let rows = self.wait(async {
            let context = SessionContext::new();
            let table = self.loaded.table.table_provider().await?;
            question(context.read_table(table)?)?.collect().await
        });
        rows.map_err(ArchiveError::query(&self.location().to_string()))
    }
}

/// Whether a row is of a day.
pub(crate) fn of_day(day: u64) -> Expr {
    column(DAY).eq(lit(day_value(day)))
}

fn day_value(day: u64) -> ScalarValue {
    ScalarValue::Date32(Some(i32::try_from(day).expect("days until the year 5,000,000 fit")))
}

/// The day in days since the epoch, of a date as the table's log spells it.
pub(crate) fn day_number(date: &str) -> Option<u64> {
    let text = ScalarValue::Utf8(Some(date.to_owned()));
    match text.cast_to(&arrow::datatypes::DataType::Date32).ok()? {
        ScalarValue::Date32(Some(day)) => u64::try_from(day).ok(),
        _ => None,
    }
}

/// A day as the table's log spells it.
pub(crate) fn date(day: u64) -> String {
    day_value(day).to_string()
}
