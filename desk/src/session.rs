//! One client's session: it takes statements, asks whether the client may, and answers.
//!
//! A statement is understood ([`crate::statement`]), the relations that it names are seen at one
//! tick ([`crate::relations`]), and it computes in a task of its own ([`crate::run`]). Settings are
//! remembered and answered, as PostgreSQL's clients expect; of all of them only
//! `statement_timeout` changes anything.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use arrow::datatypes::DataType;
use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use queries::plan::canonical::canonical;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::change;
use crate::desk::Desk;
use crate::error::DeskError;
use crate::error::Kind;
use crate::guard;
use crate::guard::Guard;
use crate::relations::Sight;
use crate::relations::Wanted;
use crate::relations::see;
use crate::role::Principal;
use crate::run;
use crate::run::Answer;
use crate::run::Stop;
use crate::settings::Settings;
use crate::statement::Asked;
use crate::statement::CopyForm;
use crate::statement::Rows;
use crate::subscription;
use crate::text;
use crate::transaction::Staged;
use crate::transaction::Transaction;

/// What is said where a view is to be refreshed.
const REFRESHED: &str = "views are always up to date: there is nothing to refresh";

/// What a statement gives.
#[derive(Debug)]
pub enum Outcome {
    /// Rows.
    Rows(Answer),
    /// The changes of a view, as rows without an end.
    Changes(Answer),
    /// Rows as COPY writes them.
    Copy(Answer, Copying),
    /// It was done.
    Done {
        /// The word that says so.
        tag: String,
        /// What the client should know.
        notices: Vec<String>,
    },
    /// A transaction began or ended.
    Transaction {
        /// The word that says so.
        word: &'static str,
        /// What the client should know.
        notices: Vec<String>,
    },
}

/// How rows are written by COPY.
#[derive(Clone, Debug)]
pub struct Copying(pub(crate) CopyForm);

/// A statement that was understood, to be asked once or often.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) asked: Asked,
    pub(crate) sql: Arc<str>,
    /// The columns of the answer; none where it has no rows.
    pub schema: Option<SchemaRef>,
    /// The types of the parameters, where they are known.
    pub parameters: Vec<Option<DataType>>,
}

/// One client's session.
pub struct Session {
    desk: Arc<Desk>,
    principal: Principal,
    settings: Mutex<Settings>,
    running: Mutex<Option<Stop>>,
    transaction: tokio::sync::Mutex<Transaction>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("principal", &self.principal).finish()
    }
}

impl Session {
    pub(crate) fn new(desk: Arc<Desk>, principal: Principal) -> Session {
        let settings = Mutex::new(Settings::of(&principal));
        let (running, transaction) = (Mutex::default(), Default::default());
        Session { desk, principal, settings, running, transaction }
    }

    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The desk that answers.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// The settings.
    pub(crate) fn settings(&self) -> std::sync::MutexGuard<'_, Settings> {
        self.settings.lock().expect("no holder panics")
    }

    /// The statements of a text.
    ///
    /// # Errors
    /// The text is too long, or no SQL.
    pub fn split<'a>(&self, sql: &'a str) -> Result<Vec<&'a str>, DeskError> {
        let most = self.desk.limits.statement_bytes;
        if sql.len() > most {
            let message = format!("the statement has {} bytes, more than {most}", sql.len());
            let hint = "bring rows by a stream or a reference table instead of by statements";
            return Err(DeskError::new(Kind::TooLarge, message).hint(hint));
        }
        text::split(sql)
    }

    /// Understands one statement; learns its columns and parameters.
    ///
    /// # Errors
    /// It is none, names what there is not, or is not allowed.
    pub async fn prepare(&self, sql: &str) -> Result<Prepared, DeskError> {
        let pieces = self.split(sql)?;
        let [piece] = pieces.as_slice() else {
            let message = format!("one statement at a time, not {}", pieces.len());
            return Err(DeskError::new(Kind::Syntax, message));
        };
        let prepared = self.understood(piece).await;
        self.note(prepared.is_err()).await;
        prepared
    }

    async fn understood(&self, piece: &str) -> Result<Prepared, DeskError> {
        let asked = Asked::read(piece)?;
        self.allowed(&asked)?;
        self.goes_on(&asked).await?;
        let mut prepared =
            Prepared { asked, sql: Arc::from(piece), schema: None, parameters: Vec::new() };
        match &prepared.asked {
            Asked::Rows(rows) | Asked::CopyOut(rows, _) => {
                let (_, plan) = self.plan(&prepared.sql, rows, false, None).await?;
                prepared.parameters = parameters(&plan)?;
                let is_copy = matches!(prepared.asked, Asked::CopyOut(..));
                let schema = Arc::clone(plan.schema().inner());
                prepared.schema = (!is_copy).then_some(schema);
            }
            Asked::Plan(_) => prepared.schema = Some(crate::explain::schema()),
            Asked::Show(name) => prepared.schema = Some(Settings::schema(name.as_deref())),
            Asked::Subscribe(asked, at) => {
                let changes = subscription::begin(&self.desk, asked, *at)?;
                prepared.schema = Some(subscription::schema(&changes.schema()));
            }
            _ => {}
        }
        Ok(prepared)
    }

    /// Asks a statement.
    ///
    /// # Errors
    /// It is none, names what there is not, is not allowed, or cannot be computed.
    pub async fn ask(&self, sql: &str) -> Result<Outcome, DeskError> {
        let asked = Asked::read(sql);
        self.note(asked.is_err()).await;
        let (asked, parameters) = (asked?, Vec::new());
        let prepared = Prepared { asked, sql: Arc::from(sql), schema: None, parameters };
        self.execute(&prepared, None).await
    }

    /// How many statements at the beginning of `pieces` are one change of views and indexes: those
    /// that follow each other, unless a transaction is open anyway. 1 for every other statement.
    pub(crate) async fn change_together(&self, pieces: &[&str]) -> usize {
        if !matches!(*self.transaction.lock().await, Transaction::None) {
            return 1;
        }
        let changes = |sql: &&&str| Asked::read(sql).is_ok_and(|asked| asked.changes_views());
        pieces.iter().take_while(changes).count().max(1)
    }

    /// Asks statements that change views as if they stood between BEGIN and COMMIT.
    ///
    /// # Errors
    /// One is refused, by its place in the list; then none of them is done.
    pub(crate) async fn ask_together(
        &self,
        pieces: &[&str],
    ) -> Result<Vec<Outcome>, (usize, DeskError)> {
        *self.transaction.lock().await = Transaction::Open(Staged::default());
        let mut outcomes = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            match self.ask(piece).await {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => {
                    *self.transaction.lock().await = Transaction::None;
                    return Err((at, error));
                }
            }
        }
        let committed = self.end("COMMIT").await.map_err(|error| (pieces.len() - 1, error))?;
        if let (Outcome::Transaction { notices: told, .. }, Some(Outcome::Done { notices, .. })) =
            (committed, outcomes.last_mut())
        {
            notices.extend(told);
        }
        Ok(outcomes)
    }

    /// Ends the transaction, if there is one.
    async fn end(&self, word: &'static str) -> Result<Outcome, DeskError> {
        let transaction = std::mem::take(&mut *self.transaction.lock().await);
        let (word, notices) = match transaction {
            Transaction::Open(staged) if word == "COMMIT" => {
                (word, staged.commit(&self.desk, &self.principal).await?)
            }
            Transaction::None | Transaction::Open(_) => (word, Vec::new()),
            Transaction::Failed => ("ROLLBACK", Vec::new()),
        };
        Ok(Outcome::Transaction { word, notices })
    }

    /// Whether a transaction is open, and whether it can still be committed.
    pub(crate) async fn in_transaction(&self) -> Option<bool> {
        match &*self.transaction.lock().await {
            Transaction::None => None,
            Transaction::Open(_) => Some(true),
            Transaction::Failed => Some(false),
        }
    }

    /// After a statement of a transaction was refused, only its end is answered.
    async fn goes_on(&self, asked: &Asked) -> Result<(), DeskError> {
        let ends = matches!(asked, Asked::End { .. });
        if ends || !matches!(*self.transaction.lock().await, Transaction::Failed) {
            return Ok(());
        }
        let message = "a statement of this transaction was refused: nothing is done until it ends";
        Err(DeskError::new(Kind::Aborted, message).hint("ROLLBACK ends it"))
    }

    /// Notes that a statement was refused.
    async fn note(&self, refused: bool) {
        let mut transaction = self.transaction.lock().await;
        if refused && matches!(*transaction, Transaction::Open(_)) {
            *transaction = Transaction::Failed;
        }
    }

    /// Asks a statement that was understood before.
    ///
    /// # Errors
    /// It is not allowed, or cannot be computed.
    pub async fn execute(
        &self,
        prepared: &Prepared,
        parameters: Option<ParamValues>,
    ) -> Result<Outcome, DeskError> {
        self.allowed(&prepared.asked)?;
        self.goes_on(&prepared.asked).await?;
        self.desk.counters.asked();
        let outcome = self.outcome(prepared, parameters).await;
        if outcome.is_err() {
            self.desk.counters.refused();
        }
        self.note(outcome.is_err()).await;
        outcome
    }

    async fn outcome(
        &self,
        prepared: &Prepared,
        parameters: Option<ParamValues>,
    ) -> Result<Outcome, DeskError> {
        let sql = &prepared.sql;
        let done = |notices| {
            let tag = prepared.asked.tag().to_owned();
            Ok(Outcome::Done { tag, notices })
        };
        match &prepared.asked {
            Asked::Rows(rows) => {
                Ok(Outcome::Rows(self.answer(sql, rows.clone(), parameters).await?))
            }
            Asked::CopyOut(rows, form) => {
                let answer = self.answer(sql, rows.clone(), parameters).await?;
                Ok(Outcome::Copy(answer, Copying(form.clone())))
            }
            Asked::CopyChanges(asked, at, form) => {
                let answer = subscription::answer(&self.desk, asked, *at)?;
                self.remember(answer.rows.stop());
                Ok(Outcome::Copy(answer, Copying(form.clone())))
            }
            Asked::Subscribe(asked, at) => {
                let answer = subscription::answer(&self.desk, asked, *at)?;
                self.remember(answer.rows.stop());
                Ok(Outcome::Changes(answer))
            }
            Asked::Plan(of) => Ok(Outcome::Rows(crate::explain::answer(&self.desk, of)?)),
            Asked::Show(name) => {
                let shown = self.settings().show(name.as_deref())?;
                Ok(Outcome::Rows(self.at_hand(shown)))
            }
            Asked::CreateView { .. }
            | Asked::DropViews { .. }
            | Asked::RenameView { .. }
            | Asked::CreateIndex
            | Asked::DropIndexes { .. } => done(self.change_views(sql, &prepared.asked).await?),
            Asked::CreateSource(source) => {
                done(change::create_source(&self.desk, &self.principal, source).await?)
            }
            Asked::DropSources { names, if_exists } => {
                let by = &self.principal;
                done(change::remove_sources(&self.desk, by, names, *if_exists).await?)
            }
            Asked::RefreshView => done(vec![REFRESHED.to_owned()]),
            Asked::Set { name, value } => {
                self.settings().set(name, value)?;
                done(Vec::new())
            }
            Asked::Reset(name) => {
                self.settings().reset(name.as_deref());
                done(Vec::new())
            }
            Asked::Begin => {
                let mut transaction = self.transaction.lock().await;
                if matches!(*transaction, Transaction::None) {
                    *transaction = Transaction::Open(Staged::default());
                }
                Ok(Outcome::Transaction { word: "BEGIN", notices: Vec::new() })
            }
            Asked::End { word } => self.end(word).await,
            Asked::Forget { word } => {
                if *word == "DISCARD ALL" {
                    self.settings().reset(None);
                }
                done(Vec::new())
            }
        }
    }

    /// Changes views and indexes, at once or at the end of the transaction.
    async fn change_views(&self, sql: &str, asked: &Asked) -> Result<Vec<String>, DeskError> {
        let (desk, by) = (&self.desk, &self.principal);
        let mut transaction = self.transaction.lock().await;
        let staged = match &mut *transaction {
            Transaction::Open(staged) => Some(staged),
            _ => None,
        };
        match (asked, staged) {
            (Asked::CreateView { replace }, Some(staged)) => staged.create(desk, sql, *replace),
            (Asked::CreateView { replace }, None) => change::create(desk, by, sql, *replace).await,
            (Asked::DropViews { names, if_exists, cascade }, Some(staged)) => {
                staged.remove(desk, names, *if_exists, *cascade)
            }
            (Asked::DropViews { names, if_exists, cascade }, None) => {
                change::remove(desk, by, names, *if_exists, *cascade).await
            }
            (Asked::RenameView { from, to }, Some(staged)) => {
                staged.rename(desk, from, to).map(|()| Vec::new())
            }
            (Asked::RenameView { from, to }, None) => {
                let mut staged = Staged::default();
                staged.rename(desk, from, to)?;
                staged.commit(desk, by).await
            }
            (Asked::CreateIndex, Some(staged)) => staged.create_index(desk, sql),
            (Asked::CreateIndex, None) => change::create_index(desk, by, sql).await,
            (Asked::DropIndexes { names, if_exists }, Some(staged)) => {
                staged.remove_indexes(desk, names, *if_exists)
            }
            (Asked::DropIndexes { names, if_exists }, None) => {
                change::remove_indexes(desk, by, names, *if_exists).await
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Stops the statement that runs, if one does.
    pub fn cancel(&self) {
        if let Some(stop) = self.running.lock().expect("no holder panics").take() {
            let message = "the statement was cancelled, as its client asked";
            stop.stop(DeskError::new(Kind::Cancelled, message));
        }
    }

    fn remember(&self, stop: Stop) {
        *self.running.lock().expect("no holder panics") = Some(stop);
    }

    fn allowed(&self, asked: &Asked) -> Result<(), DeskError> {
        let (has, needs) = (self.principal.role, asked.role());
        if has >= needs {
            return Ok(());
        }
        let message =
            format!("{} is for {needs}s, and {} is {has}", asked.tag(), self.principal.user);
        Err(DeskError::new(Kind::Denied, message))
    }

    /// How long a statement may take: the limit, or less where the client set so.
    fn time(&self) -> Duration {
        let most = self.desk.limits.statement_time;
        self.settings().statement_timeout().map_or(most, |asked| asked.min(most))
    }

    /// The rows of a query. It is planned where it computes, so that a cancel ends that as well.
    async fn answer(
        &self,
        sql: &Arc<str>,
        rows: Rows,
        parameters: Option<ParamValues>,
    ) -> Result<Answer, DeskError> {
        let (tell, told) = oneshot::channel();
        let (desk, sql) = (Arc::clone(&self.desk), Arc::clone(sql));
        let user = self.principal.user.clone();
        let mut limits = desk.limits.clone();
        limits.statement_time = self.time();
        let deadline = Instant::now() + limits.statement_time;
        let guard = Arc::new(Guard::until(deadline.into_std(), run::too_long(&limits)));
        let heeded = Arc::clone(&guard);
        let stream = run::start(self.desk.runtime(), guard, |put| async move {
            let Ok(permit) = tokio::time::timeout_at(deadline, desk.permits.acquire()).await else {
                let message = "too many statements compute at once";
                let error = DeskError::new(Kind::TooMany, message).hint("ask again in a moment");
                tell.send(Err(error)).ok();
                return;
            };
            let begun = begin(&desk, &user, &sql, &rows, parameters, &heeded).await;
            let stream = match begun {
                Err(error) => {
                    tell.send(Err(error)).ok();
                    return;
                }
                Ok((sight, stream)) => {
                    tell.send(Ok((stream.schema(), sight.tick, sight.notices))).ok();
                    stream
                }
            };
            run::hand_over(stream, &put, &limits, deadline, &sql).await;
            drop(permit);
        });
        let stop = stream.stop();
        self.remember(stop.clone());
        match told.await {
            Ok(Ok((schema, tick, notices))) => Ok(Answer { schema, tick, notices, rows: stream }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(stop.reason().unwrap_or_else(|| {
                DeskError::new(Kind::Internal, "the statement ended without a word")
            })),
        }
    }

    /// An answer of rows that are there already.
    fn at_hand(&self, rows: arrow::array::RecordBatch) -> Answer {
        run::at_hand(self.desk.runtime(), self.desk.engine.tick(), rows)
    }

    async fn plan(
        &self,
        sql: &str,
        rows: &Rows,
        read: bool,
        parameters: Option<ParamValues>,
    ) -> Result<(Sight, LogicalPlan), DeskError> {
        let user = &self.principal.user;
        plan(&self.desk, user, sql, rows, read, parameters)
            .await
            .map(|(sight, _, plan)| (sight, plan))
    }
}

/// Plans a query and begins to compute it.
async fn begin(
    desk: &Desk,
    user: &str,
    sql: &str,
    rows: &Rows,
    parameters: Option<ParamValues>,
    guard: &Arc<Guard>,
) -> Result<(Sight, datafusion::execution::SendableRecordBatchStream), DeskError> {
    let failed = |error| DeskError::computed(&error, sql);
    let (sight, state, plan) = plan(desk, user, sql, rows, true, parameters).await?;
    let plan = queries::session::at(plan, sight.tick).map_err(failed)?;
    let context = SessionContext::new_with_state(state);
    let frame = context.execute_logical_plan(plan).await.map_err(failed)?;
    let tasks = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await.map_err(failed)?;
    let plan = guard::guarded(plan, guard).map_err(failed)?;
    let stream = datafusion::physical_plan::execute_stream(plan, tasks).map_err(failed)?;
    Ok((sight, stream))
}

/// The plan of a query over what it names; with the rows, or with the columns alone.
async fn plan(
    desk: &Desk,
    user: &str,
    sql: &str,
    rows: &Rows,
    read: bool,
    parameters: Option<ParamValues>,
) -> Result<(Sight, SessionState, LogicalPlan), DeskError> {
    let failed = |error| DeskError::computed(&error, sql);
    let statement = Statement::Statement(rows.statement.clone());
    let (names, _) =
        datafusion::sql::resolve::resolve_table_references(&statement, true).map_err(failed)?;
    let step_ms = desk.engine.status().step_ms;
    let at = rows.at.map(|at| at.tick(step_ms));
    let all = rows.of_catalog || lists(&rows.statement);
    let wanted = Wanted { sql, names: &names, at, all, rows: read };
    let sight = see(desk.engine.as_ref(), desk.tables.as_ref(), &wanted)?;
    let mut state = desk.state(sight.catalog.clone());
    if rows.of_catalog {
        state = desk.catalogs.add(state, &sight, user, &desk.users).map_err(failed)?;
    }
    let plan = state.statement_to_plan(statement).await.map_err(failed)?;
    let only_reads =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    only_reads.verify_plan(&plan).map_err(failed)?;
    let plan = match parameters {
        None => plan,
        Some(values) => plan.with_param_values(values).map_err(failed)?,
    };
    Ok((sight, state, canonical(plan).map_err(failed)?))
}

/// Whether a statement asks which relations there are.
fn lists(statement: &datafusion::sql::sqlparser::ast::Statement) -> bool {
    use datafusion::sql::sqlparser::ast::Statement;
    matches!(
        statement,
        Statement::ExplainTable { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowColumns { .. }
    )
}

/// The types of a plan's parameters, by number.
fn parameters(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>, DeskError> {
    let found = plan.get_parameter_types().map_err(|error| DeskError::computed(&error, ""))?;
    let number = |name: &str| name.strip_prefix('$')?.parse::<usize>().ok();
    let most = found.keys().filter_map(|name| number(name)).max().unwrap_or(0);
    let mut types = vec![None; most];
    for (name, kind) in found {
        if let Some(n) = number(&name).filter(|n| *n > 0) {
            types[n - 1] = kind;
        }
    }
    Ok(types)
}
