//! `gridloom why`: one action's story, from the audit log.

use std::io::Write;

use anyhow::Context;
use gridloom::data_dir;
use gridloom::data_dir::DataArgs;
use gridloom::problem::Told;
use gridloom::story;
use gridloom::story::Found;

use crate::exit::say;

/// Which action.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WhyArgs {
    /// The action's id, as in `audit.actions`.
    pub(crate) action: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// Tells it.
///
/// # Errors
/// There is no such action, or no log that can be read.
pub(crate) fn run(args: &WhyArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let dir = data_dir::find(&args.data)?;
    say(&format!("audit log of {}", dir.shown()));
    match story::find(&dir.audit(), &args.action).context("the log cannot be read")? {
        Found::Story(story) => write!(out, "{}", story.tell(&args.action))?,
        Found::Unknown(others) => {
            let message = format!("there is no action {}", args.action);
            let hint = if others.is_empty() {
                "the log holds no action at all".to_owned()
            } else {
                format!(
                    "there are {}; `gridloom sql \"SELECT DISTINCT action_id FROM audit.actions\"` \
                     lists all",
                    others.join(", ")
                )
            };
            return Err(Told::new(message, hint).into());
        }
    }
    Ok(())
}
