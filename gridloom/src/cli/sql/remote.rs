//! Asking a running instance, through its PostgreSQL door.
//!
//! Statements are sent as they are; rows come back as text and are written as a table once all are
//! there. A subscription has no end, so its rows are written as they come, and so is what COPY
//! gives. Ctrl-C cancels the statement and not the prompt.
//!
//! A door with a certificate is asked over TLS ([`tls`](super::tls)), and so is the one that
//! cancels.

use std::io::IsTerminal;
use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::ArrayRef;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use futures::StreamExt;
use gridloom::problem::Told;
use queries::table::Answer;
use serde_json::Map;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;
use tokio_postgres::Client;
use tokio_postgres::Config;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::SimpleQueryRow;
use tokio_postgres::types::Type;

use super::Asks;
use super::Listed;
use super::Output;
use super::print;
use super::tls::Asked;
use super::tls::Tls;
use crate::exit::say;

/// Where the password may stand, as with other clients of PostgreSQL.
const PASSWORD: &str = "PGPASSWORD";

/// The database that every instance has.
const DATABASE: &str = "gridloom";

/// All relations with their columns.
const RELATIONS: &str = "SELECT table_schema, table_name, column_name, data_type \
    FROM information_schema.columns ORDER BY table_schema <> 'public', table_schema, table_name, \
    ordinal_position";

/// A connection to a running instance.
pub(super) struct Remote {
    runtime: Runtime,
    client: Client,
    tls: Tls,
    output: Output,
    /// Told by Ctrl-C.
    stop: Arc<Notify>,
}

impl Remote {
    /// Connects.
    ///
    /// # Errors
    /// The address is none, nobody listens there or not whom we trust, or nobody is let in with
    /// this password.
    pub(super) fn connect(url: &str, output: Output) -> anyhow::Result<Remote> {
        let (plain, asked) = Asked::take(url);
        let mut config: Config = plain
            .parse()
            .with_context(|| format!("{url} is no address: write postgresql://USER@HOST:PORT/"))?;
        let (mode, tls) = asked.read()?;
        if let Some(mode) = mode {
            config.ssl_mode(mode);
        }
        if config.get_dbname().is_none() {
            config.dbname(DATABASE);
        }
        config.application_name("gridloom sql");
        if config.get_password().is_none() {
            config.password(password()?);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (client, mut connection) =
            runtime.block_on(config.connect(tls.clone())).map_err(|error| told(&error))?;
        runtime.spawn(async move {
            let mut messages =
                futures::stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notice(notice) = message {
                    say(&format!("{}: {}", notice.severity().to_lowercase(), notice.message()));
                }
            }
        });
        let stop = Arc::new(Notify::new());
        let told = Arc::clone(&stop);
        ctrlc::set_handler(move || told.notify_one()).context("Ctrl-C cannot be heard")?;
        Ok(Remote { runtime, client, tls, output, stop })
    }

    /// Does `work`; Ctrl-C cancels the statement, whose refusal then ends it.
    fn until_stopped<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        self.runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    done = &mut work => return done,
                    () = self.stop.notified() => {
                        let token = self.client.cancel_token();
                        let cancelled = token.cancel_query(self.tls.clone()).await;
                        cancelled.context("the statement cannot be cancelled")?;
                    }
                }
            }
        })
    }

    /// Asks, and calls `each` with what comes.
    fn asked(
        &self,
        sql: &str,
        mut each: impl FnMut(SimpleQueryMessage) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.until_stopped(async {
            let asked = self.client.simple_query_raw(sql).await.map_err(|error| told(&error))?;
            let mut messages = std::pin::pin!(asked);
            while let Some(message) = messages.next().await {
                each(message.map_err(|error| told(&error))?)?;
            }
            Ok(())
        })
    }

    /// Writes what COPY gives, as it comes.
    fn copy(&self, sql: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        self.until_stopped(async {
            let copied = self.client.copy_out(sql).await.map_err(|error| told(&error))?;
            let mut pieces = std::pin::pin!(copied);
            while let Some(piece) = pieces.next().await {
                out.write_all(&piece.map_err(|error| told(&error))?)?;
                out.flush()?;
            }
            Ok(())
        })
    }

    /// Writes rows as they come, a line each, columns between tabs.
    fn follow(&self, sql: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        self.asked(sql, |message| {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
                    writeln!(out, "{}", names.join("\t"))?;
                }
                SimpleQueryMessage::Row(row) => {
                    let values = (0..row.len()).map(|at| row.get(at).unwrap_or("\\N"));
                    writeln!(out, "{}", values.collect::<Vec<_>>().join("\t"))?;
                }
                _ => {}
            }
            Ok(out.flush()?)
        })
    }

    /// Writes rows as objects; what is a number or a truth there is one here.
    fn objects(&self, sql: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let prepared = self.until_stopped(async {
            self.client.prepare(sql).await.map_err(|error| told(&error).into())
        })?;
        let types: Vec<Type> = prepared.columns().iter().map(|c| c.type_().clone()).collect();
        let mut objects = Vec::new();
        self.asked(sql, |message| {
            if let SimpleQueryMessage::Row(row) = message {
                objects.push(object(&row, &types));
            }
            Ok(())
        })?;
        serde_json::to_writer(&mut *out, &objects)?;
        Ok(writeln!(out)?)
    }
}

impl Asks for Remote {
    fn ask(&mut self, sql: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        match first_word(sql).as_str() {
            "COPY" => return self.copy(sql, out),
            "SUBSCRIBE" => return self.follow(sql, out),
            "SELECT" | "WITH" | "VALUES" | "TABLE" if self.output == Output::Json => {
                return self.objects(sql, out);
            }
            _ => {}
        }
        let mut names: Option<Vec<String>> = None;
        let mut rows = Vec::new();
        self.asked(sql, |message| {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    names = Some(columns.iter().map(|column| column.name().to_owned()).collect());
                }
                SimpleQueryMessage::Row(row) => rows.push(row),
                _ => {}
            }
            Ok(())
        })?;
        match names {
            Some(names) => print::answer(&answer(&names, &rows)?, self.output, out),
            None => {
                say("done");
                Ok(())
            }
        }
    }

    fn relations(&mut self) -> anyhow::Result<Vec<Listed>> {
        let mut listed: Vec<Listed> = Vec::new();
        self.asked(RELATIONS, |message| {
            let SimpleQueryMessage::Row(row) = message else { return Ok(()) };
            let at = |column| row.get(column).unwrap_or_default().to_owned();
            let name = match (at(0), at(1)) {
                (schema, name) if schema == "public" => name,
                (schema, name) => format!("{schema}.{name}"),
            };
            let column = (at(2), at(3));
            match listed.last_mut().filter(|last| last.name == name) {
                Some(last) => last.columns.push(column),
                None => listed.push(Listed { name, columns: vec![column] }),
            }
            Ok(())
        })?;
        Ok(listed)
    }
}

/// The password of the environment, or of the person in front.
fn password() -> anyhow::Result<String> {
    if let Ok(password) = std::env::var(PASSWORD) {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        let message = "there is no password";
        return Err(Told::new(message, "set PGPASSWORD to the user's token").into());
    }
    Ok(rpassword::prompt_password("password: ")?)
}

fn first_word(sql: &str) -> String {
    let line = sql.lines().find(|line| !line.trim().is_empty() && !line.trim().starts_with("--"));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.unwrap_or_default().to_uppercase()
}

/// Rows of texts as a table of texts.
fn answer(names: &[String], rows: &[SimpleQueryRow]) -> anyhow::Result<Answer> {
    let fields = names.iter().map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let column = |at: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row.get(at)).collect::<StringArray>())
    };
    let columns = (0..names.len()).map(column).collect();
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
    Ok(Answer { schema, batches: vec![batch] })
}

/// A row as an object.
fn object(row: &SimpleQueryRow, types: &[Type]) -> Map<String, Value> {
    let value = |at: usize| {
        let Some(text) = row.get(at) else { return Value::Null };
        let read = match types.get(at) {
            Some(kind) if *kind == Type::BOOL => Some(Value::Bool(text == "t")),
            Some(kind) if [Type::INT2, Type::INT4, Type::INT8].contains(kind) => {
                text.parse::<i64>().ok().map(Value::from)
            }
            Some(kind) if [Type::FLOAT4, Type::FLOAT8].contains(kind) => {
                text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number)
            }
            _ => None,
        };
        read.unwrap_or_else(|| Value::String(text.to_owned()))
    };
    let columns = row.columns().iter().enumerate();
    columns.map(|(at, column)| (column.name().to_owned(), value(at))).collect()
}

/// A refusal as a sentence with a hint.
fn told(error: &tokio_postgres::Error) -> Told {
    let Some(refused) = error.as_db_error() else {
        let cause = std::error::Error::source(error);
        if let Some(told) = cause.and_then(|cause| cause.downcast_ref::<Told>()) {
            return told.clone();
        }
        let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
        return Told { message: format!("{error}{cause}"), hint: None };
    };
    let code = refused.code().code();
    let message = format!("{} ({code})", refused.message());
    Told { message, hint: refused.hint().map(str::to_owned) }
}
