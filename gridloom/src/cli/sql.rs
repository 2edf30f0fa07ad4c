//! `gridloom sql`: questions, one or many, to a data folder or to a running instance.
//!
//! With a text the answer goes to stdout and the command ends. Without one there is a prompt
//! ([`prompt`]). Who answers is either the folder ([`local`]: the views' last state and the audit
//! log) or, with `--connect`, a running instance through its PostgreSQL door ([`remote`]), which
//! also makes views and tells of their changes as they happen.

mod local;
mod print;
mod prompt;
mod remote;
mod tls;
mod typing;

use std::io::Write;

use gridloom::data_dir::DataArgs;

use self::local::Local;
pub(crate) use self::local::told;
use self::remote::Remote;

/// What to ask, and of whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SqlArgs {
    /// A SELECT over views and audit.* tables; with --connect, any statement. Without it: a prompt.
    pub(crate) sql: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Ask a running instance: postgresql://USER@HOST:PORT/. The password is taken from PGPASSWORD,
    /// or asked for; `?sslrootcert=FILE` says who signs its certificate.
    #[arg(long, value_name = "URL", conflicts_with_all = ["data_dir", "config"])]
    pub(crate) connect: Option<String>,
    /// How the answer is written.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// A table for people.
    Table,
    /// Comma-separated, with a header.
    Csv,
    /// One array of objects.
    Json,
}

/// A relation that can be asked for.
struct Listed {
    name: String,
    /// Its columns with their types.
    columns: Vec<(String, String)>,
}

/// Who answers.
trait Asks {
    /// Asks one statement and writes the answer.
    fn ask(&mut self, sql: &str, out: &mut dyn Write) -> anyhow::Result<()>;

    /// What can be asked for.
    fn relations(&mut self) -> anyhow::Result<Vec<Listed>>;
}

/// Answers.
///
/// # Errors
/// There is no data, nobody listens, or the question cannot be answered.
pub(crate) fn run(args: &SqlArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut asked: Box<dyn Asks> = match &args.connect {
        Some(url) => Box::new(Remote::connect(url, args.output)?),
        None => Box::new(Local::open(&args.data, args.output)?),
    };
    match &args.sql {
        Some(sql) => asked.ask(sql, out),
        None => prompt::run(asked.as_mut(), out),
    }
}
