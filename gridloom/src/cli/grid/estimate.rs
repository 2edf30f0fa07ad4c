//! `gridloom grid estimate`: the state from measurements, and what is wrong with them.
//!
//! Measurements that the others contradict are left out of the state and named with the reason; a
//! part of the network that nothing measured says anything about is said so and has no numbers.
//! Where no source is connected the state is all zeros, and the exit code is 1.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use cases::Remark;
use grid::estimation::Estimator;
use grid::estimation::Outcome;
use grid::estimation::Settings;
use grid::estimation::WhyUnused;
use grid::estimation::bad_data;
use grid::estimation::bad_data::Verdict;
use gridloom::problem::Problem;
use gridloom::problem::Problems;

use super::Which;
use super::network;
use super::network::Study;
use super::powerflow::say_dead;
use super::state;

mod balanced;
mod unbalanced;
mod units;

/// What to estimate.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EstimateArgs {
    #[command(flatten)]
    which: Which,
    /// What was measured, as CSV: kind, element_id, side and values with their sigmas.
    #[arg(long, value_name = "FILE")]
    measurements: Option<PathBuf>,
    /// Where the state goes, as CSV.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where measured and estimated values with their residuals go, as CSV.
    #[arg(long, value_name = "FILE")]
    residuals: Option<PathBuf>,
    /// Use every measurement, also those that the others contradict; they are named all the same.
    #[arg(long)]
    keep_bad: bool,
    /// Every bus with a load or a machine reports: a silent one is evidence of a wrong switch.
    #[arg(long)]
    all_report: bool,
    /// Transformers whose ratio is estimated with the state; stated ones count within 10 %.
    #[arg(long, value_name = "BRANCH,…", value_delimiter = ',')]
    taps: Vec<String>,
    /// Weigh down what is far off (Huber) instead of leaving it out.
    #[arg(long, conflicts_with = "keep_bad")]
    robust: bool,
}

/// Residuals beyond so many sigmas count less in a robust estimate (P. J. Huber, *Robust
/// Statistics*, 1981: 95 % as efficient as least squares where nothing is wrong).
const HUBER: f64 = 1.345;

/// How many of a list are named.
const NAMED_MAX: usize = 8;

/// Estimates, writes, and says what is worth knowing.
///
/// # Errors
/// A file cannot be read or written, or is not whole. Measurements without a state are an answer
/// with exit code 1.
pub(super) fn run(args: &EstimateArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    state::check_writable(&[Some(&args.out), args.residuals.as_deref()])?;
    match network::open(&args.which)? {
        Study::Balanced(study) => balanced::run(args, &study, out),
        Study::Unbalanced(import) => unbalanced::run(args, &import, out),
    }
}

/// Refuses measurements that were not understood, all of them at once.
fn whole(args: &EstimateArgs, file: &Path, remarks: &[Remark]) -> anyhow::Result<()> {
    let fatal = remarks.iter().filter(|remark| remark.is_fatal());
    let problem = |remark: &Remark| {
        Problem::new(file, remark.to_string()).hint("--partial goes on without it")
    };
    let problems: Vec<Problem> = fatal.map(problem).collect();
    Ok(if args.which.partial { Ok(()) } else { Problems::none(problems) }?)
}

/// What is done with measurements that the others contradict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    LeftOut,
    Kept,
    Weighed,
}

impl EstimateArgs {
    fn treatment(&self) -> Treatment {
        match (self.robust, self.keep_bad) {
            (true, _) => Treatment::Weighed,
            (false, true) => Treatment::Kept,
            (false, false) => Treatment::LeftOut,
        }
    }
}

/// Estimates as it was asked for; the verdict names what does not fit, whatever is done with it.
fn estimate(args: &EstimateArgs, estimator: &mut Estimator) -> (Outcome, Verdict) {
    let settings = Settings::default();
    let judging = bad_data::Settings::default();
    let treatment = args.treatment();
    if treatment == Treatment::LeftOut {
        let verdict = bad_data::identify(estimator, &judging);
        return (verdict.outcome.clone(), verdict);
    }
    let verdict = bad_data::identify(&mut estimator.clone(), &judging);
    let outcome = if treatment == Treatment::Weighed {
        estimator.solve_robust(&settings, HUBER)
    } else {
        estimator.solve(&settings)
    };
    (outcome, verdict)
}

/// Says how the estimate ended; false if there is none.
fn tell_outcome(
    outcome: &Outcome,
    name: &str,
    node: &dyn Fn(usize) -> String,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    match outcome {
        Outcome::Solved { .. } => {
            writeln!(out, "{name}: estimated")?;
            Ok(true)
        }
        Outcome::Diverged { worst, .. } => {
            let worst: Vec<String> = worst.iter().map(|&at| node(at)).collect();
            let worst = worst.join(", ");
            writeln!(out, "{name}: no state was found; it does not settle at {worst}")?;
            writeln!(out, "Wrong switch positions, or values in a wrong unit, do that.")?;
            Ok(false)
        }
        Outcome::Unobservable => {
            writeln!(out, "{name}: nothing can be observed; measure a voltage and some powers")?;
            Ok(true)
        }
        // The state is known, all zeros.
        Outcome::NoSource => {
            say_dead(name);
            Ok(true)
        }
    }
}

/// The exit code of an outcome of which a state was written: where no source is connected a script
/// is not to take it for a supply, as of a power flow.
fn exit_code(outcome: &Outcome) -> ExitCode {
    if *outcome == Outcome::NoSource { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Says how well the measurements fit together, and which do not.
fn tell_fit(
    estimator: &mut Estimator,
    (verdict, treatment): (&Verdict, Treatment),
    measurement: &dyn Fn(usize) -> String,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let chi = bad_data::ChiSquare::of(estimator, bad_data::Settings::default().confidence);
    if chi.freedom == 0 {
        let line = "as many rows as unknowns: nothing tells whether they are right";
        writeln!(out, "{:<16}{line}", "objective")?;
        return Ok(());
    }
    let fits = if chi.alarms() { "too much: the measurements do not fit together" } else { "fits" };
    writeln!(
        out,
        "{:<16}{:.2} with {} degrees of freedom (at most {:.2} in 99 of 100): {fits}",
        "objective", chi.objective, chi.freedom, chi.limit
    )?;
    tell_suspects(estimator, (verdict, treatment), measurement, out)?;
    if verdict.is_unexplained() {
        let line = "many small errors, sigmas too small, or a switch that is not where it is said";
        writeln!(out, "{:<16}{line}", "unexplained")?;
    }
    let critical = estimator.critical();
    let critical: Vec<String> = (0..critical.len())
        .filter(|&row| critical[row])
        .filter_map(|row| estimator.rows()[row].members.first().map(|&(at, _)| measurement(at)))
        .collect();
    if !critical.is_empty() {
        let count = critical.len();
        let line = format!("{count} (an error in them shows nowhere): {}", some(&critical));
        writeln!(out, "{:<16}{line}", "critical")?;
    }
    Ok(())
}

/// Says which measurements the others contradict, what is probably the matter with them, and what
/// was done with them.
fn tell_suspects(
    estimator: &Estimator,
    (verdict, treatment): (&Verdict, Treatment),
    measurement: &dyn Fn(usize) -> String,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let rows = estimator.rows();
    let shares = estimator.shares();
    for suspect in &verdict.suspects {
        let culprits: Vec<String> = suspect.culprits.iter().map(|&at| measurement(at)).collect();
        let culprits = match culprits.as_slice() {
            [] => "the angles of a source between its phases".to_owned(),
            culprits => culprits.join(" or "),
        };
        let (sigmas, cause) = (suspect.normalised().abs(), suspect.cause);
        let done = match treatment {
            Treatment::LeftOut => "left out".to_owned(),
            Treatment::Kept => "kept all the same".to_owned(),
            Treatment::Weighed => format!("counts {:.1} %", 100.0 * shares[suspect.row]),
        };
        writeln!(out, "{:<16}{culprits}: {sigmas:.1} sigma off, {cause}; {done}", "bad")?;
        let instead = suspect.instead.iter().filter_map(|&row| rows[row].members.first());
        let instead: Vec<String> = instead.map(|&(at, _)| measurement(at)).collect();
        if !instead.is_empty() {
            let instead = some(&instead);
            writeln!(out, "{:<16}as well explained by {instead}", "")?;
        }
    }
    if treatment == Treatment::Weighed {
        let less = shares.iter().filter(|share| **share < 1.0).count();
        let line = format!("{less} of {} rows are beyond {HUBER} sigma and count less", rows.len());
        writeln!(out, "{:<16}{line}", "robust")?;
    }
    Ok(())
}

/// The first of a list, and how many more.
fn some(list: &[String]) -> String {
    let shown = list.iter().take(NAMED_MAX).cloned().collect::<Vec<String>>().join(", ");
    match list.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Why a measurement is not used, for people.
fn why(reason: WhyUnused) -> &'static str {
    match reason {
        WhyUnused::Dead => "at a dead node",
        WhyUnused::OpenEnd => "at an open end",
        WhyUnused::Incomplete => "at nodes where something else is not measured",
        WhyUnused::KnownZero => "of an injection that is known to be zero",
        WhyUnused::OutOfService => "of something out of service",
        WhyUnused::Meaningless => "of a quantity that is not there",
        WhyUnused::Invalid => "without a value or a sigma",
    }
}
