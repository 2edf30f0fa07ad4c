//! One table a kind: what is sealed and what is not yet, as one.
//!
//! A scan takes the newest version of the archive, and with it the position that this version is
//! sealed to. Rows up to the position come from its files, rows above it from whoever has the fresh
//! ones ([`Fresh`]). A seal that commits while a query runs makes a newer version; this one does
//! not see it, and nothing leaves the log.
//!
//! Filters and projections are handed to both halves, and the archive's files are chosen by day,
//! kind, and the least and greatest values that the table's log has of each.
//!
//! **Invariant:** the rows are those of the log up to its end, each once, whatever is sealed,
//! except what a policy has retired.
//!
//! It keeps no order: a query that wants the chain's says ORDER BY.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::common::Result;
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::TableProviderFilterPushDown;
use datafusion::logical_expr::TableType;
use datafusion::logical_expr::cast;
use datafusion::logical_expr::lit;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use deltalake_core::DeltaTable;
use schemas::audit::Kind;
use schemas::audit::SEQUENCE;
use schemas::audit::SUBJECT;
use schemas::audit::TICK_AT;
use schemas::time::Timestamp;
use tokio::sync::Mutex;

use crate::columns;
use crate::columns::RECORD_KIND;
use crate::error::ArchiveError;
use crate::error::Outside;
use crate::location::Location;
use crate::table::Loaded;
use crate::table::Place;
use crate::table::runtime;

/// Who has the records that are not sealed yet.
pub trait Fresh: fmt::Debug + Send + Sync + 'static {
    /// The records of `kind` of the ticks after `after`, linked, with both hash columns. All that
    /// are committed when this is called.
    ///
    /// # Errors
    /// The log cannot be read.
    fn records(&self, kind: Kind, after: Timestamp) -> Result<Vec<RecordBatch>, Outside>;
}

/// The archive, for whoever reads it beside a writer. Every scan sees the newest version.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    /// The version that was read last, so that the next scan reads only what came since.
    known: Mutex<Option<DeltaTable>>,
}

impl Reader {
    /// A reader of the archive of `instance`, which need not be there yet.
    pub fn new(location: Location, instance: &str) -> Reader {
        let place = Place { location, instance: instance.to_owned() };
        Reader { place, known: Mutex::new(None) }
    }

    async fn newest(&self) -> Result<Option<Loaded>, ArchiveError> {
        let mut known = self.known.lock().await;
        let loaded = match known.take() {
            Some(table) => Some(self.place.newest(table).await?),
            None => self.place.load().await?,
        };
        *known = loaded.as_ref().map(|loaded| loaded.table.clone());
        Ok(loaded)
    }
}

/// The records of one kind: `audit.actions`, say.
#[derive(Debug)]
pub struct AuditTable {
    kind: Kind,
    schema: SchemaRef,
    reader: Option<Arc<Reader>>,
    fresh: Arc<dyn Fresh>,
}

impl AuditTable {
    /// The records of `kind` with the columns of `schema`; columns that a record does not have are
    /// NULL. Without an archive all are fresh.
    pub fn new(
        kind: Kind,
        schema: &Schema,
        reader: Option<Arc<Reader>>,
        fresh: Arc<dyn Fresh>,
    ) -> AuditTable {
        AuditTable { kind, schema: columns::open(schema), reader, fresh }
    }

    /// All rows in the chain's order, for whoever has no session.
    ///
    /// # Errors
    /// The archive or the log cannot be read.
    pub fn rows(self) -> Result<(SchemaRef, Vec<RecordBatch>), ArchiveError> {
        let schema = Arc::clone(&self.schema);
        let shown = self.reader.as_ref().map(|reader| reader.place.location.to_string());
        let order = [TICK_AT, SUBJECT, SEQUENCE];
        let order = order.map(|name| column(name).sort(true, false)).to_vec();
        let rows = runtime().block_on(async {
            let context = SessionContext::new();
            context.read_table(Arc::new(self))?.sort(order)?.collect().await
        });
        Ok((schema, rows.map_err(ArchiveError::query(&shown.unwrap_or_default()))?))
    }

    /// The rows of one version of the archive, with our columns.
    async fn sealed(&self, loaded: &Loaded) -> Result<LogicalPlan> {
        let source = loaded.table.table_provider().await?;
        let has = source.schema();
        let columns = self.schema.fields().iter().map(|field| {
            let (name, wanted) = (field.name(), field.data_type());
            match has.field_with_name(name) {
                Ok(found) if found.data_type() == wanted => Ok(column(name)),
                Ok(_) => Ok(cast(column(name), wanted.clone()).alias(name)),
                Err(_) => Ok(lit(ScalarValue::try_from(wanted)?).alias(name)),
            }
        });
        let columns = columns.collect::<Result<Vec<Expr>>>()?;
        LogicalPlanBuilder::scan("sealed", provider_as_source(source), None)?
            .filter(column(RECORD_KIND).eq(lit(self.kind.name())))?
            .project(columns)?
            .build()
    }

    /// The rows that the archive does not have.
    async fn fresh(&self, after: Timestamp) -> Result<LogicalPlan> {
        let (kind, fresh, schema) = (self.kind, Arc::clone(&self.fresh), Arc::clone(&self.schema));
        // Files are read: not on a thread that others wait for.
        let read = tokio::task::spawn_blocking(move || -> Result<Vec<RecordBatch>, Outside> {
            let batches = fresh.records(kind, after)?;
            let fit = |batch: &RecordBatch| columns::fit(kind, batch, &schema);
            Ok(batches.iter().map(fit).collect::<Result<_, _>>()?)
        });
        let batches = read.await.map_err(|error| DataFusionError::External(error.into()))?;
        let batches = batches.map_err(DataFusionError::External)?;
        let table = MemTable::try_new(Arc::clone(&self.schema), vec![batches])?;
        LogicalPlanBuilder::scan("fresh", provider_as_source(Arc::new(table)), None)?.build()
    }
}

#[async_trait]
impl TableProvider for AuditTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let loaded = match &self.reader {
            Some(reader) => reader.newest().await,
            None => Ok(None),
        };
        let loaded = loaded.map_err(|error| DataFusionError::External(error.into()))?;
        // In this order: a record that is sealed meanwhile is fresh after this position.
        let after = loaded.as_ref().map_or(Timestamp(0), |loaded| loaded.sealed.tick);
        let fresh = self.fresh(after).await?;
        let all = match &loaded {
            Some(loaded) => {
                let sealed = self.sealed(loaded).await?;
                LogicalPlanBuilder::from(sealed).union(fresh)?
            }
            None => LogicalPlanBuilder::from(fresh),
        };
        let all = filters.iter().try_fold(all, |plan, filter| plan.filter(filter.clone()))?;
        let all = match projection {
            Some(columns) => {
                let fields = self.schema.fields();
                all.project(columns.iter().map(|at| column(fields[*at].name())))?
            }
            None => all,
        };
        let all = all.limit(0, limit)?;
        session.create_physical_plan(&all.build()?).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// A column by its name as it is spelt.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}
