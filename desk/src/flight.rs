//! The Arrow Flight SQL door.
//!
//! Every call carries a token (`authorization: Bearer …`); a handshake with a name and a password
//! gives one, for drivers that ask so. Answers are streamed as they are computed; who lets go of a
//! stream ends the statement.
//!
//! **Bounds:** prepared statements are kept for all clients together, [`PREPARED`] of them; beyond
//! that the one that was longest not asked for goes.

mod metadata;
mod prepared;

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightDescriptor;
use arrow_flight::FlightEndpoint;
use arrow_flight::FlightInfo;
use arrow_flight::HandshakeRequest;
use arrow_flight::HandshakeResponse;
use arrow_flight::Ticket;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::flight_service_server::FlightServiceServer;
use arrow_flight::sql::server::FlightSqlService;
use arrow_flight::sql::server::PeekableFlightDataStream;
use arrow_flight::sql::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::Stream;
use futures::StreamExt;
use prost::Message;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tonic::metadata::MetadataMap;

use crate::desk::Desk;
use crate::error::DeskError;
use crate::error::Kind;
use crate::limits::MESSAGE_BYTES_OVER;
use crate::listen::Incoming;
use crate::role::Principal;
use crate::session::Outcome;
use crate::session::Session;

use self::metadata::Metadata;
use self::prepared::Kept;
use self::prepared::PREPARED;

/// Answers the calls of the door.
pub(crate) struct Service {
    desk: Arc<Desk>,
    metadata: Metadata,
    kept: Kept,
}

/// Answers calls for ever.
pub(crate) async fn serve(desk: Arc<Desk>, incoming: Incoming) {
    let longest = desk.limits.statement_bytes + MESSAGE_BYTES_OVER;
    let metadata = match Metadata::new() {
        Ok(metadata) => metadata,
        Err(error) => {
            tracing::error!(%error, "the Flight SQL door stays closed");
            return;
        }
    };
    let service = Service { desk, metadata, kept: Kept::new(PREPARED) };
    let service = FlightServiceServer::new(service).max_decoding_message_size(longest);
    let server = tonic::transport::Server::builder().add_service(service);
    if let Err(error) = server.serve_with_incoming(incoming).await {
        tracing::error!(%error, "the Flight SQL door closed");
    }
}

/// A refusal as the door sends it.
fn refused(error: DeskError) -> Status {
    let text = match &error.hint {
        Some(hint) => format!("{}; hint: {hint}", error.message),
        None => error.message.clone(),
    };
    match error.kind {
        Kind::Syntax
        | Kind::UnknownColumn
        | Kind::UnknownSetting
        | Kind::Parameter
        | Kind::Data => Status::invalid_argument(text),
        Kind::UnknownRelation | Kind::UnknownIndex => Status::not_found(text),
        Kind::Exists => Status::already_exists(text),
        Kind::Unsupported => Status::unimplemented(text),
        Kind::Denied => Status::permission_denied(text),
        Kind::Unknown => Status::unauthenticated(text),
        Kind::TooLarge | Kind::Memory | Kind::TooMany => Status::resource_exhausted(text),
        Kind::Timeout => Status::deadline_exceeded(text),
        Kind::Cancelled => Status::cancelled(text),
        Kind::InUse | Kind::NotReadable => Status::failed_precondition(text),
        Kind::Gone => Status::unavailable(text),
        Kind::Aborted => Status::failed_precondition(text),
        Kind::Internal => Status::internal(text),
    }
}

fn internal(error: impl std::fmt::Display) -> Status {
    Status::internal(error.to_string())
}

type Data = <Service as FlightService>::DoGetStream;
type Answered = Result<Response<Data>, Status>;
type Info = Result<Response<FlightInfo>, Status>;

impl Service {
    fn who(&self, metadata: &MetadataMap) -> Result<Principal, Status> {
        let given = metadata.get("authorization").and_then(|value| value.to_str().ok());
        crate::http::principal(&self.desk, given).map_err(refused)
    }

    fn session<T>(&self, request: &Request<T>) -> Result<Session, Status> {
        Ok(self.desk.session(self.who(request.metadata())?))
    }

    /// What a statement without rows gives.
    fn done(outcome: Outcome) -> Result<(), Status> {
        match outcome {
            Outcome::Done { .. } | Outcome::Transaction { .. } => Ok(()),
            _ => Err(Status::unimplemented("this door does not copy: ask for the rows")),
        }
    }

    /// What a statement gives, as a stream.
    fn streamed(outcome: Outcome) -> Answered {
        match outcome {
            Outcome::Rows(answer) | Outcome::Changes(answer) | Outcome::Copy(answer, _) => {
                let rows = answer.rows.map(|batch| {
                    batch.map_err(|error| FlightError::Tonic(Box::new(refused(error))))
                });
                Ok(encoded(answer.schema, rows))
            }
            Outcome::Done { .. } | Outcome::Transaction { .. } => {
                Ok(encoded(Arc::new(Schema::empty()), futures::stream::empty()))
            }
        }
    }

    /// One batch, as a stream.
    fn at_hand(batch: RecordBatch) -> Answered {
        Ok(encoded(batch.schema(), futures::stream::iter([Ok(batch)])))
    }
}

fn encoded<S>(schema: SchemaRef, batches: S) -> Response<Data>
where
    S: Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
{
    let data = FlightDataEncoderBuilder::new().with_schema(schema).build(batches);
    Response::new(Box::pin(data.map(|data| data.map_err(Status::from))))
}

/// What is told of an answer before it is got.
fn info(descriptor: FlightDescriptor, ticket: &impl ProstMessageExt, schema: &Schema) -> Info {
    let ticket = Ticket { ticket: ticket.as_any().encode_to_vec().into() };
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(internal)?
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
        .with_descriptor(descriptor);
    Ok(Response::new(info))
}

/// What is told of a statement that has no rows: it was done already. Drivers ask for what a
/// statement gives only after they were told of it, and some never do where it gives nothing.
fn nothing(descriptor: FlightDescriptor) -> Info {
    let info = FlightInfo::new().try_with_schema(&Schema::empty()).map_err(internal)?;
    Ok(Response::new(info.with_descriptor(descriptor)))
}

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Service;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<
        Response<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>>,
        Status,
    > {
        let unknown = || Status::unauthenticated("nobody has this name and password");
        let given = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let basic = given.and_then(|given| given.strip_prefix("Basic ")).ok_or_else(unknown)?;
        let decoded = STANDARD.decode(basic.trim()).map_err(|_| unknown())?;
        let text = String::from_utf8(decoded).map_err(|_| unknown())?;
        let (user, password) = text.split_once(':').ok_or_else(unknown)?;
        // The password of a user is the token.
        let found = self.desk.users.by_token(password).filter(|found| found.user == user);
        found.ok_or_else(unknown)?;
        let payload = password.as_bytes().to_vec().into();
        let answer = HandshakeResponse { protocol_version: 0, payload };
        let answers: Pin<Box<dyn Stream<Item = _> + Send>> =
            Box::pin(futures::stream::iter([Ok(answer)]));
        let mut response = Response::new(answers);
        let bearer = format!("Bearer {password}").parse().map_err(|_| unknown())?;
        response.metadata_mut().insert("authorization", bearer);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let session = self.session(&request)?;
        let prepared = session.prepare(&query.query).await.map_err(refused)?;
        let Some(schema) = &prepared.schema else {
            Service::done(session.execute(&prepared, None).await.map_err(refused)?)?;
            return nothing(request.into_inner());
        };
        let ticket = TicketStatementQuery { statement_handle: query.query.into() };
        info(request.into_inner(), &ticket, schema)
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Answered {
        let session = self.session(&request)?;
        let sql = std::str::from_utf8(&ticket.statement_handle)
            .map_err(|_| Status::invalid_argument("the ticket is not ours"))?;
        let pieces = session.split(sql).map_err(refused)?;
        let [piece] = pieces.as_slice() else {
            return Err(Status::invalid_argument("one statement at a time"));
        };
        Service::streamed(session.ask(piece).await.map_err(refused)?)
    }

    async fn do_put_statement_update(
        &self,
        ticket: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let session = self.session(&request)?;
        for piece in session.split(&ticket.query).map_err(refused)? {
            session.ask(piece).await.map_err(refused)?;
        }
        Ok(0)
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<arrow_flight::Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let session = self.session(&request)?;
        self.kept.prepare(&session, &query.query).await
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<arrow_flight::Action>,
    ) -> Result<(), Status> {
        let who = self.who(request.metadata())?;
        self.kept.close(&query.prepared_statement_handle, &who);
        Ok(())
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let session = self.session(&request)?;
        let kept = self.kept.find(&query.prepared_statement_handle, session.principal())?;
        let Some(schema) = &kept.prepared.schema else {
            let outcome = session.execute(&kept.prepared, kept.values()?).await;
            Service::done(outcome.map_err(refused)?)?;
            return nothing(request.into_inner());
        };
        info(request.into_inner(), &query, schema)
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Answered {
        let session = self.session(&request)?;
        let kept = self.kept.find(&query.prepared_statement_handle, session.principal())?;
        let values = kept.values()?;
        Service::streamed(session.execute(&kept.prepared, values).await.map_err(refused)?)
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let who = self.who(request.metadata())?;
        let given = prepared::given(request.into_inner()).await?;
        self.kept.bind(&query.prepared_statement_handle, &who, given)?;
        let handle = Some(query.prepared_statement_handle);
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: handle })
    }

    async fn do_put_prepared_statement_update(
        &self,
        query: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let session = self.session(&request)?;
        let kept = self.kept.find(&query.prepared_statement_handle, session.principal())?;
        let values = kept.values()?;
        session.execute(&kept.prepared, values).await.map_err(refused)?;
        Ok(0)
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        info(request.into_inner(), &query, &query.into_builder().schema())
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<Ticket>,
    ) -> Answered {
        self.who(request.metadata())?;
        Service::at_hand(metadata::catalogs(query)?)
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        let schema = query.clone().into_builder().schema();
        info(request.into_inner(), &query, &schema)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<Ticket>,
    ) -> Answered {
        self.who(request.metadata())?;
        Service::at_hand(metadata::schemas(&self.desk, query)?)
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        let schema = query.clone().into_builder().schema();
        info(request.into_inner(), &query, &schema)
    }

    async fn do_get_tables(&self, query: CommandGetTables, request: Request<Ticket>) -> Answered {
        self.who(request.metadata())?;
        Service::at_hand(metadata::tables(&self.desk, query)?)
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        info(request.into_inner(), &query, &query.into_builder().schema())
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<Ticket>,
    ) -> Answered {
        self.who(request.metadata())?;
        Service::at_hand(metadata::table_types(query)?)
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        let schema = query.clone().into_builder(&self.metadata.info).schema();
        info(request.into_inner(), &query, &schema)
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<Ticket>,
    ) -> Answered {
        self.who(request.metadata())?;
        let batch = query.into_builder(&self.metadata.info).build().map_err(internal)?;
        Service::at_hand(batch)
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        let schema = query.into_builder(&self.metadata.types).schema();
        info(request.into_inner(), &query, &schema)
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<Ticket>,
    ) -> Answered {
        self.who(request.metadata())?;
        let batch = query.into_builder(&self.metadata.types).build().map_err(internal)?;
        Service::at_hand(batch)
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        info(request.into_inner(), &query, &metadata::primary_key_schema())
    }

    async fn do_get_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<Ticket>,
    ) -> Answered {
        self.who(request.metadata())?;
        Service::at_hand(metadata::primary_keys(&self.desk, &query)?)
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        info(request.into_inner(), &query, &metadata::foreign_key_schema())
    }

    async fn do_get_exported_keys(
        &self,
        _: CommandGetExportedKeys,
        request: Request<Ticket>,
    ) -> Answered {
        self.who(request.metadata())?;
        Service::at_hand(RecordBatch::new_empty(metadata::foreign_key_schema()))
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        info(request.into_inner(), &query, &metadata::foreign_key_schema())
    }

    async fn do_get_imported_keys(
        &self,
        _: CommandGetImportedKeys,
        request: Request<Ticket>,
    ) -> Answered {
        self.who(request.metadata())?;
        Service::at_hand(RecordBatch::new_empty(metadata::foreign_key_schema()))
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.who(request.metadata())?;
        info(request.into_inner(), &query, &metadata::foreign_key_schema())
    }

    async fn do_get_cross_reference(
        &self,
        _: CommandGetCrossReference,
        request: Request<Ticket>,
    ) -> Answered {
        self.who(request.metadata())?;
        Service::at_hand(RecordBatch::new_empty(metadata::foreign_key_schema()))
    }

    /// What is known is said by [`Metadata`]; nothing is added later.
    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}
