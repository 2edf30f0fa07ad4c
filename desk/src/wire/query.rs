//! Statements of the PostgreSQL door: simple ones, prepared ones, and portals.
//!
//! Rows are sent as they are computed; whenever the next one lets itself be waited for, what is
//! there is sent off, so that a subscription's changes arrive as they happen.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use arrow_pg::datatypes::into_pg_type;
use async_trait::async_trait;
use futures::FutureExt;
use futures::Sink;
use futures::SinkExt;
use futures::Stream;
use futures::StreamExt;
use pgwire::api::ClientInfo;
use pgwire::api::ClientPortalStore;
use pgwire::api::DEFAULT_NAME;
use pgwire::api::PgWireConnectionState;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::portal::Portal;
use pgwire::api::portal::PortalExecutionState;
use pgwire::api::query::ExtendedQueryHandler;
use pgwire::api::query::SimpleQueryHandler;
use pgwire::api::query::send_ready_for_query;
use pgwire::api::results::FieldInfo;
use pgwire::api::results::QueryResponse;
use pgwire::api::results::Response;
use pgwire::api::results::Tag;
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::Entry;
use pgwire::api::store::PortalStore;
use pgwire::error::ErrorInfo;
use pgwire::error::PgWireError;
use pgwire::error::PgWireResult;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::CopyDone;
use pgwire::messages::copy::CopyOutResponse;
use pgwire::messages::data::RowDescription;
use pgwire::messages::extendedquery::Execute;
use pgwire::messages::extendedquery::PortalSuspended;
use pgwire::messages::response::CommandComplete;
use pgwire::messages::response::EmptyQueryResponse;
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::simplequery::Query;

use super::Client;
use super::encode;
use super::sent;
use crate::error::DeskError;
use crate::error::Kind;
use crate::run::Answer;
use crate::session::Copying;
use crate::session::Outcome;
use crate::session::Prepared;
use crate::session::Session;

/// A prepared statement.
pub(crate) type Statement = Arc<Prepared>;

/// What a client's connection can be written to.
trait Writes: Sink<PgWireBackendMessage> + Unpin + Send {}
impl<C: Sink<PgWireBackendMessage> + Unpin + Send> Writes for C {}

#[async_trait]
impl SimpleQueryHandler for Client {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let session = self.session()?;
        let whole = query.query.as_str();
        let pieces = session.split(whole).map_err(sent)?;
        if pieces.is_empty() {
            let empty = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
            client.feed(empty).await?;
        }
        let mut rest = pieces.as_slice();
        while let Some(piece) = rest.first() {
            let n = session.change_together(rest).await;
            let outcomes = match n {
                1 => session.ask(piece).await.map(|outcome| vec![outcome]).map_err(|e| (0, e)),
                n => session.ask_together(&rest[..n]).await,
            };
            client.set_transaction_status(standing(session).await);
            let outcomes = outcomes.map_err(|(at, e)| sent(placed(e, whole, rest[at])))?;
            for outcome in outcomes {
                send(client, outcome).await?;
            }
            rest = &rest[n..];
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        let status = client.transaction_status();
        send_ready_for_query(client, status).await
    }

    async fn do_query<C>(&self, _: &mut C, _: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // `on_query` sends as it computes; nothing comes by here.
        Err(PgWireError::NotReadyForQuery)
    }
}

/// An error of a piece, with its place in the whole text.
fn placed(mut error: DeskError, whole: &str, piece: &str) -> DeskError {
    let before = piece.as_ptr() as usize - whole.as_ptr() as usize;
    let chars = whole[..before].chars().count();
    error.position = error.position.map(|position| position + chars);
    error
}

/// How a client's transaction stands.
async fn standing(session: &Session) -> TransactionStatus {
    match session.in_transaction().await {
        None => TransactionStatus::Idle,
        Some(true) => TransactionStatus::Transaction,
        Some(false) => TransactionStatus::Error,
    }
}

/// Sends what a statement gave, with the names of its columns.
async fn send<C>(client: &mut C, outcome: Outcome) -> PgWireResult<()>
where
    C: Writes,
    PgWireError: From<C::Error>,
{
    match outcome {
        Outcome::Rows(answer) | Outcome::Changes(answer) => {
            notify(client, &answer.notices).await?;
            let fields = Arc::new(encode::fields(&answer.schema, &Format::UnifiedText)?);
            let described = RowDescription::new(fields.iter().map(Into::into).collect());
            client.feed(PgWireBackendMessage::RowDescription(described)).await?;
            let mut rows = encode::rows(answer.rows, fields);
            let (n, _) = send_rows(client, &mut rows, usize::MAX).await?;
            complete(client, Tag::new("SELECT").with_rows(n)).await
        }
        Outcome::Copy(answer, how) => send_copy(client, answer, &how).await,
        Outcome::Done { tag, notices } => {
            notify(client, &notices).await?;
            complete(client, Tag::new(&tag)).await
        }
        Outcome::Transaction { word, notices } => {
            notify(client, &notices).await?;
            complete(client, Tag::new(word)).await
        }
    }
}

async fn complete<C>(client: &mut C, tag: Tag) -> PgWireResult<()>
where
    C: Writes,
    PgWireError: From<C::Error>,
{
    let complete: CommandComplete = tag.into();
    Ok(client.feed(PgWireBackendMessage::CommandComplete(complete)).await?)
}

async fn notify<C>(client: &mut C, notices: &[String]) -> PgWireResult<()>
where
    C: Writes,
    PgWireError: From<C::Error>,
{
    for notice in notices {
        let info = ErrorInfo::new("NOTICE".to_owned(), "00000".to_owned(), notice.clone());
        client.feed(PgWireBackendMessage::NoticeResponse(info.into())).await?;
    }
    Ok(())
}

/// Waits for the next of a stream; sends off what is there before it waits.
async fn next<C, S>(client: &mut C, stream: &mut S) -> PgWireResult<Option<S::Item>>
where
    C: Writes,
    S: Stream + Unpin + Send,
    S::Item: Send,
    PgWireError: From<C::Error>,
{
    if let Some(next) = stream.next().now_or_never() {
        return Ok(next);
    }
    client.flush().await?;
    Ok(stream.next().await)
}

/// Sends rows, at most so many; says how many, and whether there may be more.
async fn send_rows<C, S>(client: &mut C, rows: &mut S, most: usize) -> PgWireResult<(usize, bool)>
where
    C: Writes,
    S: Stream<Item = PgWireResult<pgwire::messages::data::DataRow>> + Unpin + Send,
    PgWireError: From<C::Error>,
{
    let mut n = 0;
    while n < most {
        let Some(row) = next(client, rows).await? else { return Ok((n, false)) };
        client.feed(PgWireBackendMessage::DataRow(row?)).await?;
        n += 1;
    }
    Ok((n, true))
}

async fn send_copy<C>(client: &mut C, mut answer: Answer, how: &Copying) -> PgWireResult<()>
where
    C: Writes,
    PgWireError: From<C::Error>,
{
    notify(client, &answer.notices).await?;
    let fields = Arc::new(encode::fields(&answer.schema, &Format::UnifiedText)?);
    let columns = i16::try_from(fields.len()).unwrap_or(i16::MAX);
    let response = CopyOutResponse::new(0, columns, vec![0; fields.len()]);
    client.feed(PgWireBackendMessage::CopyOutResponse(response)).await?;
    if how.0.header {
        let header = encode::header(&answer.schema, &how.0);
        client.feed(PgWireBackendMessage::CopyData(header)).await?;
    }
    let mut n = 0;
    while let Some(batch) = next(client, &mut answer.rows).await? {
        for line in encode::copied(batch.map_err(sent)?, &fields, &how.0)? {
            client.feed(PgWireBackendMessage::CopyData(line)).await?;
            n += 1;
        }
    }
    client.feed(PgWireBackendMessage::CopyDone(CopyDone::new())).await?;
    complete(client, Tag::new("COPY").with_rows(n)).await
}

/// Understands statements that are prepared.
pub(crate) struct Understands(Arc<Session>);

#[async_trait]
impl QueryParser for Understands {
    type Statement = Statement;

    async fn parse_sql<C>(
        &self,
        _: &C,
        sql: &str,
        _: &[Option<Type>],
    ) -> PgWireResult<Option<Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        if self.0.split(sql).map_err(sent)?.is_empty() {
            return Ok(None);
        }
        let prepared = self.0.prepare(sql).await.map_err(sent)?;
        Ok(Some(Arc::new(prepared)))
    }

    fn get_parameter_types(&self, statement: &Statement) -> PgWireResult<Vec<Type>> {
        parameter_types(statement)
    }

    fn get_result_schema(
        &self,
        statement: &Statement,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match &statement.schema {
            None => Ok(Vec::new()),
            Some(schema) => encode::fields(schema, format.unwrap_or(&Format::UnifiedText)),
        }
    }
}

/// The parameters' types; what is not known is a text.
fn parameter_types(statement: &Prepared) -> PgWireResult<Vec<Type>> {
    let kind = |kind: &Option<_>| kind.as_ref().map_or(Ok(Type::TEXT), into_pg_type);
    statement.parameters.iter().map(kind).collect()
}

#[async_trait]
impl ExtendedQueryHandler for Client {
    type Statement = Statement;
    type QueryParser = Understands;

    fn query_parser(&self) -> Arc<Understands> {
        let session = self.session.get().expect("only clients that were let in come here");
        Arc::new(Understands(Arc::clone(session)))
    }

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) => portal,
            Some(Entry::Empty) => {
                let empty = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
                return Ok(client.feed(empty).await?);
            }
            None => return Err(PgWireError::PortalNotFound(name.to_owned())),
        };
        client.set_state(PgWireConnectionState::QueryInProgress);
        let most = usize::try_from(message.max_rows).ok().filter(|n| *n > 0);
        self.fetch(client, &portal, most.unwrap_or(usize::MAX)).await?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    async fn do_query<C>(
        &self,
        _: &mut C,
        _: &Portal<Statement>,
        _: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // `on_execute` sends as it computes; nothing comes by here.
        Err(PgWireError::NotReadyForQuery)
    }
}

impl Client {
    /// Sends the next rows of a portal; begins it first where it has not begun.
    async fn fetch<C>(
        &self,
        client: &mut C,
        portal: &Portal<Statement>,
        most: usize,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let state = portal.state();
        let mut state = state.lock().await;
        if matches!(*state, PortalExecutionState::Initial) {
            *state = PortalExecutionState::Finished;
            let begun = self.begin(portal).await;
            client.set_transaction_status(standing(self.session()?).await);
            match begun? {
                Outcome::Rows(answer) | Outcome::Changes(answer) => {
                    notify(client, &answer.notices).await?;
                    let fields = encode::fields(&answer.schema, &portal.result_column_format)?;
                    let fields = Arc::new(fields);
                    let rows = encode::rows(answer.rows, Arc::clone(&fields));
                    let response = QueryResponse::new(fields, rows);
                    *state = PortalExecutionState::Suspended(response);
                }
                other => return send(client, other).await,
            }
        }
        let PortalExecutionState::Suspended(response) = &mut *state else {
            return complete(client, Tag::new("SELECT").with_rows(0)).await;
        };
        let (n, more) = send_rows(client, response.data_rows(), most).await?;
        if more {
            let suspended = PgWireBackendMessage::PortalSuspended(PortalSuspended::new());
            return Ok(client.feed(suspended).await?);
        }
        *state = PortalExecutionState::Finished;
        complete(client, Tag::new("SELECT").with_rows(n)).await
    }

    async fn begin(&self, portal: &Portal<Statement>) -> PgWireResult<Outcome> {
        let statement = &portal.statement.statement;
        let types = parameter_types(statement)?;
        let types: Vec<Option<&Type>> = types.iter().map(Some).collect();
        let inferred: Vec<_> = statement.parameters.iter().map(Option::as_ref).collect();
        let given = portal.parameters.len();
        let values = deserialize_parameters_with_server_types(portal, &inferred, &types)?;
        if given < statement.parameters.len() {
            let needs = statement.parameters.len();
            let message = format!("the statement has {needs} parameters, {given} were given");
            return Err(sent(DeskError::new(Kind::Parameter, message)));
        }
        let session = self.session()?;
        let values = (given > 0).then_some(values);
        session.execute(statement, values).await.map_err(sent)
    }
}
