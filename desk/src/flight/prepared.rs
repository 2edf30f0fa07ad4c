//! Prepared statements of the Flight SQL door, and the values that are bound to them.
//!
//! A client names its statement by a handle and may come by another connection each time, so they
//! are kept for all clients together. A handle is drawn at random and works for its owner alone.
//!
//! # Bounds
//!
//! [`PREPARED`] statements; beyond them the one that was asked longest ago goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::IpcMessage;
use arrow_flight::SchemaAsIpc;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::ActionCreatePreparedStatementResult;
use arrow_flight::sql::server::PeekableFlightDataStream;
use bytes::Bytes;
use datafusion::common::ParamValues;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;
use tonic::Status;

use super::internal;
use super::refused;
use crate::role::Principal;
use crate::scram::random;
use crate::session::Prepared;
use crate::session::Session;

/// Prepared statements that are kept. A driver has one for each that it has open; a thousand
/// clients with a few each fit.
pub(super) const PREPARED: usize = 4_096;

/// A prepared statement with its values.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) prepared: Arc<Prepared>,
    owner: String,
    given: Option<RecordBatch>,
    asked: u64,
}

impl Bound {
    /// The values that were bound, for the one row that is asked.
    ///
    /// # Errors
    /// More than one row of values was bound, or too few values.
    pub(super) fn values(&self) -> Result<Option<ParamValues>, Status> {
        let needs = self.prepared.parameters.len();
        let Some(given) = &self.given else {
            return if needs == 0 {
                Ok(None)
            } else {
                Err(Status::invalid_argument(format!("{needs} values are to be bound first")))
            };
        };
        if given.num_rows() != 1 || given.num_columns() < needs {
            let (rows, columns) = (given.num_rows(), given.num_columns());
            let text = format!("one row of {needs} values is to be bound, not {rows} of {columns}");
            return Err(Status::invalid_argument(text));
        }
        let values: Result<Vec<ScalarValue>, _> =
            given.columns().iter().map(|column| ScalarValue::try_from_array(column, 0)).collect();
        Ok(Some(ParamValues::from(values.map_err(internal)?)))
    }
}

/// The prepared statements of all clients.
pub(super) struct Kept {
    most: usize,

    statements: Mutex<(u64, BTreeMap<Bytes, Bound>)>,
}

impl Kept {
    /// Room for so many.
    pub(super) fn new(most: usize) -> Kept {
        Kept { most, statements: Mutex::default() }
    }

    /// Prepares a statement; gives its handle, its columns and its parameters.
    ///
    /// # Errors
    /// The statement is refused.
    pub(super) async fn prepare(
        &self,
        session: &Session,
        sql: &str,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let prepared = Arc::new(session.prepare(sql).await.map_err(refused)?);
        let handle = Bytes::from(random::<16>().to_vec());
        let dataset_schema = match &prepared.schema {
            Some(schema) => as_ipc(schema)?,
            None => Bytes::new(),
        };
        let parameter = |(n, kind): (usize, &Option<DataType>)| {
            let kind = kind.clone().unwrap_or(DataType::Utf8);
            Field::new(format!("${}", n + 1), kind, true)
        };
        let parameters: Vec<Field> =
            prepared.parameters.iter().enumerate().map(parameter).collect();
        let parameter_schema = as_ipc(&Schema::new(parameters))?;
        let owner = session.principal().user.clone();
        let mut statements = self.statements.lock().expect("no holder panics");
        statements.0 += 1;
        let bound = Bound { prepared, owner, given: None, asked: statements.0 };
        statements.1.insert(handle.clone(), bound);
        if statements.1.len() > self.most {
            let oldest = statements.1.iter().min_by_key(|(_, bound)| bound.asked);
            let oldest = oldest.map(|(handle, _)| handle.clone());
            oldest.and_then(|handle| statements.1.remove(&handle));
        }
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle,
            dataset_schema,
            parameter_schema,
        })
    }

    /// A statement by its handle, for who prepared it.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(&self, handle: &Bytes, who: &Principal) -> Result<Bound, Status> {
        self.with(handle, who, |bound| bound.clone())
    }

    /// Binds values.
    ///
    /// # Errors
    /// There is no such statement.
    pub(super) fn bind(
        &self,
        handle: &Bytes,
        who: &Principal,
        given: RecordBatch,
    ) -> Result<(), Status> {
        self.with(handle, who, |bound| bound.given = Some(given))
    }

    /// Forgets a statement.
    pub(super) fn close(&self, handle: &Bytes, who: &Principal) {
        let mut statements = self.statements.lock().expect("no holder panics");
        if statements.1.get(handle).is_some_and(|bound| bound.owner == who.user) {
            statements.1.remove(handle);
        }
    }

    fn with<T>(
        &self,
        handle: &Bytes,
        who: &Principal,
        take: impl FnOnce(&mut Bound) -> T,
    ) -> Result<T, Status> {
        let mut statements = self.statements.lock().expect("no holder panics");
        statements.0 += 1;
        let now = statements.0;
        let bound = statements.1.get_mut(handle).filter(|bound| bound.owner == who.user);
        let bound =
            bound.ok_or_else(|| Status::not_found("there is no such prepared statement"))?;
        bound.asked = now;
        Ok(take(bound))
    }
}

/// The values that a client sends.
///
/// # Errors
/// They are no rows.
pub(super) async fn given(data: PeekableFlightDataStream) -> Result<RecordBatch, Status> {
    let data = data.map_err(|status| FlightError::Tonic(Box::new(status)));
    let batches: Vec<RecordBatch> =
        FlightRecordBatchStream::new_from_flight_data(data).try_collect().await?;
    let first = batches.first().ok_or_else(|| Status::invalid_argument("no values were sent"))?;
    arrow::compute::concat_batches(&first.schema(), &batches).map_err(internal)
}

fn as_ipc(schema: &Schema) -> Result<Bytes, Status> {
    let message: IpcMessage =
        SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into().map_err(internal)?;
    Ok(message.0)
}
