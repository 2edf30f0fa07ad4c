//! `gridloom forecast backtest`: what would have been said, and how good it would have been.
//!
//! The flow: files become a history ([`super::series`]), the history is told again to every model
//! ([`forecast::backtest`]), what they said is scored, printed and drawn.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use forecast::backtest::Scored;
use forecast::backtest::evaluate;
use forecast::calendar::utc_offset_ms;
use forecast::model::Kind;
use gridloom::config::duration;
use gridloom::problem::Problem;
use gridloom::problem::Problems;

use super::models;
use super::plot;
use super::print;
use super::series;
use super::series::Series;
use super::series::WeatherKind;
use super::time;
use crate::exit::say;
use crate::progress::Progress;

/// What to tell again, and how it is asked.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct BacktestArgs {
    /// CSV or Parquet: a time column (time_utc, time_local, …) and columns of numbers. Several
    /// files are joined on time; one with issue_time_utc and lead_h is taken as --issues.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// The column that is forecast. Default: the only one that looks like a load or a power.
    #[arg(long, value_name = "COL")]
    target: Option<String>,
    /// Columns that are known ahead. Default: those recognised as weather by name and unit.
    #[arg(long, value_name = "COL", value_delimiter = ',')]
    weather: Vec<String>,
    /// What is known of the weather of target hours: as measured (which flatters), or as forecast
    /// (columns …_forecast_…, or all columns where none is called so).
    #[arg(long, value_enum, default_value = "measured")]
    weather_kind: WeatherKind,
    /// Weather forecasts with their issue times, as CSV: issue_time_utc, lead_h, columns. Origins
    /// are then the issue times, unless --step says otherwise.
    #[arg(long, value_name = "FILE")]
    issues: Option<PathBuf>,
    /// Days off: US, US-MA, NL, GB, AU-VIC, DE, FR, …, a column of 0 and 1, or none. Default: a
    /// column called holiday, else what the history before the window shows.
    #[arg(long, value_name = "REGION|COL|none")]
    holidays: Option<String>,
    /// What the series is. Default: by its name, its nights and its sign.
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// The series' own clock, for files in UTC: what standard time is ahead of it, as +10:00.
    #[arg(long, value_name = "±HH:MM", allow_hyphen_values = true, value_parser = offset)]
    utc_offset: Option<i64>,
    /// How far ahead every origin is asked: whole steps of the series, at most a day.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = span_ms)]
    horizon: i64,
    /// How often it is asked, counted from midnight: whole steps of the series. Default: 6h, or
    /// when weather is issued.
    #[arg(long, value_name = "DURATION", value_parser = span_ms)]
    step: Option<i64>,
    /// The window begins with this day, month or instant on the series' clock. Default: the last
    /// third of the file.
    #[arg(long, value_name = "TIME", value_parser = window)]
    from: Option<(i64, i64)>,
    /// The window ends with this day or month, inclusive, or before this instant.
    #[arg(long, value_name = "TIME", value_parser = window)]
    to: Option<(i64, i64)>,
    /// Only these are printed: gridloom (the combination of all), a part of it, naive-day,
    /// naive-week, persistence.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    model: Vec<String>,
    /// Rated power in the unit of the series, which divides nMAE. Default: 1 for columns in pu,
    /// else the largest value of the window.
    #[arg(long, value_name = "X", value_parser = positive)]
    capacity: Option<f64>,
    /// Where a photovoltaic plant is, in degrees north and east. Default: columns lat and lon.
    #[arg(long, value_name = "LAT,LON", allow_hyphen_values = true, value_parser = place)]
    place: Option<(f64, f64)>,
    /// Where drawings go: a week with its band, error by hour and by horizon, as SVG.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// How it is written.
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

const AFTER: &str = "docs/forecast.md says what the layouts are and what each number means.";

/// How scores are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// One object.
    Json,
}

/// What a series is, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum KindArg {
    /// Demand.
    Load,
    /// Demand less what is generated behind the meter.
    NetLoad,
    /// A wind plant.
    Wind,
    /// A photovoltaic plant.
    Pv,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Kind {
        match kind {
            KindArg::Load => Kind::Load,
            KindArg::NetLoad => Kind::NetLoad,
            KindArg::Wind => Kind::Wind,
            KindArg::Pv => Kind::Pv,
        }
    }
}

fn span_ms(text: &str) -> Result<i64, String> {
    let ms = duration::parse(text).map_err(|error| format!("{error}: {}", duration::HINT))?;
    match i64::try_from(ms) {
        Ok(ms) if ms > 0 => Ok(ms),
        _ => Err("it must be longer than nothing".to_owned()),
    }
}

fn offset(text: &str) -> Result<i64, String> {
    utc_offset_ms(text).ok_or_else(|| "write hours and minutes, as +10:00 or -03:30".to_owned())
}

fn window(text: &str) -> Result<(i64, i64), String> {
    let hint = "write a day, a month or an instant on the series' own clock, without a zone: \
                2013-07-01, 2013-07, 2013-07-01T12:00";
    time::span(text).ok_or_else(|| hint.to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| "write a number above zero".to_owned())
}

fn place(text: &str) -> Result<(f64, f64), String> {
    let parts = text.split_once(',').and_then(|(lat, lon)| {
        Some((lat.trim().parse::<f64>().ok()?, lon.trim().parse::<f64>().ok()?))
    });
    let valid = parts.filter(|(lat, lon)| lat.abs() <= 90.0 && lon.abs() <= 180.0);
    valid.ok_or_else(|| "write degrees north and east, as 52.1,5.2".to_owned())
}

/// Reads, tells again, scores, prints and draws.
///
/// # Errors
/// A file is not understood (all mistakes at once, exit code 2), or a drawing cannot be written.
pub(super) fn run(args: &BacktestArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let series = match series::build(&wanted(args)) {
        Ok(series) => series,
        Err(problems) => return refuse(problems),
    };
    if let Err(problem) = answerable(&series) {
        return refuse(vec![problem]);
    }
    let scored = score(args, &series)?;
    let chosen = match choose(args, &series, &scored) {
        Ok(chosen) => chosen,
        Err(problem) => return refuse(vec![problem]),
    };
    match args.output {
        Output::Json => print::json(&series, &scored, &chosen, out)?,
        Output::Table => print::table(&series, &scored, &chosen, out)?,
    }
    if let Some(folder) = &args.plots {
        for path in plot::write(folder, &series, &scored, &chosen)? {
            say(&format!("wrote {}", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse(problems: Vec<Problem>) -> anyhow::Result<ExitCode> {
    Err(Problems::none(problems).expect_err("there is one at least").into())
}

fn wanted(args: &BacktestArgs) -> series::Wanted {
    series::Wanted {
        data: args.data.clone(),
        target: args.target.clone(),
        weather: args.weather.clone(),
        weather_kind: args.weather_kind,
        issues: args.issues.clone(),
        holidays: args.holidays.clone(),
        kind: args.kind.map(Kind::from),
        ahead_ms: args.utc_offset,
        horizon_ms: args.horizon,
        every_ms: args.step,
        from: args.from,
        to: args.to,
        capacity: args.capacity,
        place: args.place,
    }
}

/// Whether there is an origin to be asked at.
fn answerable(series: &Series) -> Result<(), Problem> {
    let frame = &series.frame;
    frame.origins().map(|_| ()).map_err(|error| {
        let shown = |index: i64| time::show(index * frame.setup.step_ms);
        let (first, end) = (shown(frame.first), shown(frame.end()));
        let hint = format!("the file holds {first} to {end}; move --from, --to or --horizon");
        Problem::new(&series.files[0], error.to_string()).hint(hint)
    })
}

/// Every model, ours and its parts first. Ours is left out where only naive ones are wanted.
fn score(args: &BacktestArgs, series: &Series) -> anyhow::Result<Vec<Scored>> {
    let frame = &series.frame;
    let mut all: Vec<(&str, Box<dyn forecast::model::Model>)> = Vec::new();
    let naive_only = !args.model.is_empty() && args.model.iter().all(|name| models::is_naive(name));
    if !naive_only {
        all.push((models::OURS, models::ours(&frame.setup, frame.first)));
    }
    all.extend(models::naive(&frame.setup, frame.first));
    let steps = frame.readings.len() as u64;
    let mut progress = Progress::counting("backtest", "readings", steps * all.len() as u64);
    let mut scored = Vec::new();
    for (at, (name, model)) in all.iter_mut().enumerate() {
        let before = at as u64 * steps;
        let mut told = |told: u64| {
            if told.is_multiple_of(256) {
                progress.advance(before + told);
            }
        };
        scored.extend(evaluate(frame, name, model.as_mut(), &mut told)?);
    }
    progress.finish();
    Ok(scored)
}

/// Which are printed, best first: those that were named, or all. Those that did not score every
/// target come last, as their scores are of other hours.
fn choose(args: &BacktestArgs, series: &Series, all: &[Scored]) -> Result<Vec<usize>, Problem> {
    let place = |name: &String| all.iter().position(|scored| scored.name == *name);
    let mut chosen: Vec<usize> = match args.model.as_slice() {
        [] => (0..all.len()).collect(),
        names => {
            let strange = names.iter().find(|name| place(name).is_none());
            if let Some(name) = strange {
                let known = all.iter().map(|scored| scored.name.as_str());
                let hint = gridloom::problem::nearest(name, known);
                let message = format!("there is no model {name}");
                return Err(Problem::new(&series.files[0], message).hint(hint));
            }
            names.iter().filter_map(place).collect()
        }
    };
    chosen.sort_unstable();
    chosen.dedup();
    let most = all.iter().map(|scored| scored.board.point().n()).max().unwrap_or(0);
    let rank = |at: &usize| {
        let point = all[*at].board.point();
        (point.n() < most, point.mae().unwrap_or(f64::INFINITY))
    };
    chosen.sort_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    Ok(chosen)
}
