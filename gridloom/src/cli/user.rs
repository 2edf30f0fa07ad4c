//! `gridloom user`: who may come in through the doors.

use std::io::Write;

use clap::Args;
use clap::Subcommand;
use desk::Role;
use desk::Users;
use gridloom::data_dir;
use gridloom::data_dir::DataArgs;

use crate::exit::say;

/// What to do with users.
#[derive(Args, Debug)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a user; prints the token, which is password and bearer token, once.
    Add {
        /// The name.
        name: String,
        /// What the user may do: viewer, engineer, operator or admin.
        #[arg(long, default_value = "viewer")]
        role: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// Does it.
///
/// # Errors
/// The name is taken, the role is none, or the users cannot be written.
pub(crate) fn run(args: &UserArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let What::Add { name, role, data } = &args.what;
    let role: Role = role.parse()?;
    let dir = data_dir::find(data)?;
    let (users, admin) = Users::open(&dir.path)?;
    if let Some(token) = admin {
        say(&format!("the first user, admin, was made too: {token}"));
    }
    let token = users.add(name, role)?;
    say(&format!("{}: {name} is {role}; the token is shown this once", dir.shown()));
    writeln!(out, "{token}")?;
    Ok(())
}
