//! Scores for people and for programs.
//!
//! A number that cannot be had is `null`, or a dash: a MAPE of a series that crosses zero,
//! quantiles of a model that gives none. Both forms say on which terms the scores were made.

use std::io::Write;

use forecast::backtest::Origins;
use forecast::backtest::Scored;
use forecast::naive::Season;
use forecast::score::Coverage;
use forecast::score::LeadSummary;
use forecast::score::PointScore;
use forecast::score::skill;
use gridloom::config::duration;
use serde::Serialize;

use super::series::Series;
use super::time;

/// Milliseconds of an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// All that is said, in the shape of the issue that asked for it.
#[derive(Debug, Serialize)]
struct Report {
    /// The column.
    series: String,
    files: Vec<String>,
    unit: &'static str,
    kind: forecast::model::Kind,
    step_ms: i64,
    capacity: Option<f64>,
    protocol: Protocol,
    remarks: Vec<String>,
    models: Vec<Entry>,
}

/// On which terms.
#[derive(Debug, Serialize)]
struct Protocol {
    origins: usize,
    every: String,
    horizon_ms: i64,
    from: String,
    to: String,
    clock: String,
    weather: &'static str,
    weather_columns: Vec<String>,
    skill_against: Option<&'static str>,
}

/// A model's scores. Shares are in percent, coverage is a fraction, the rest in the series' unit.
#[derive(Debug, Serialize)]
struct Entry {
    model: String,
    n: u64,
    mape: Option<f64>,
    mae: Option<f64>,
    rmse: Option<f64>,
    nmae: Option<f64>,
    wape: Option<f64>,
    bias: Option<f64>,
    pinball: Option<f64>,
    crps: Option<f64>,
    coverage_80: Option<f64>,
    /// Targets that were held by a band of no width, which coverage does not count.
    sure: u64,
    skill: Option<f64>,
    by_horizon: Vec<Lead>,
    by_hour: Vec<Hour>,
    by_month: Vec<Month>,
}

#[derive(Debug, Serialize)]
struct Lead {
    lead_h: f64,
    n: u64,
    mape: Option<f64>,
    mae: Option<f64>,
    rmse: Option<f64>,
    pinball: Option<f64>,
    coverage_80: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Hour {
    hour: usize,
    n: u64,
    mape: Option<f64>,
    mae: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Month {
    month: String,
    n: u64,
    mape: Option<f64>,
    mae: Option<f64>,
    coverage_80: Option<f64>,
}

/// The better of the naive seasons: what skill is held against.
fn reference(all: &[Scored]) -> Option<&Scored> {
    let names = [Season::Day.name(), Season::Week.name()];
    let seasons = all.iter().filter(|scored| names.contains(&scored.name.as_str()));
    let mae = |scored: &&Scored| scored.board.point().mae().unwrap_or(f64::INFINITY);
    seasons.min_by(|a, b| mae(a).total_cmp(&mae(b)))
}

/// Whether a MAPE may be said: nowhere in the file does the series cross zero.
fn has_mape(series: &Series) -> bool {
    let finite = || series.frame.readings.iter().filter(|value| value.is_finite());
    finite().all(|value| *value >= 0.0) || finite().all(|value| *value <= 0.0)
}

fn percent(share: Option<f64>) -> Option<f64> {
    share.map(|share| 100.0 * share)
}

fn entry(series: &Series, scored: &Scored, reference: Option<&Scored>) -> Entry {
    let summary = scored.board.summary(&scored.name, series.frame.setup.capacity);
    let allowed = has_mape(series) && summary.mape.is_some();
    let mape = |score: &PointScore| percent(score.mape()).filter(|_| allowed);
    let held = &scored.held;
    let share = |coverage: Option<&Coverage>| coverage.and_then(|coverage| coverage.share());
    let lead = |lead: LeadSummary| Lead {
        lead_h: lead.lead_ms as f64 / HOUR_MS,
        n: lead.n,
        mape: lead.mape.filter(|_| allowed),
        mae: lead.mae,
        rmse: lead.rmse,
        pinball: lead.pinball,
        coverage_80: share(held.by_lead.get(&lead.lead_ms)),
    };
    let hours = scored.by_hour.iter().enumerate().filter(|(_, score)| score.n() > 0);
    let hour = |(hour, score): (usize, &PointScore)| Hour {
        hour,
        n: score.n(),
        mape: mape(score),
        mae: score.mae(),
    };
    let month = |name: String| {
        let parts = name.split_once('-').expect("months are written YYYY-MM");
        let (year, of_year) = (parts.0.parse(), parts.1.parse());
        let (year, of_year) = (year.expect("a year"), of_year.expect("a month"));
        let (point, _) = scored.board.in_month(year, of_year).expect("it was summed up");
        let coverage_80 = share(held.by_month.get(&(year, of_year)));
        Month { month: name, n: point.n(), mape: mape(point), mae: point.mae(), coverage_80 }
    };
    Entry {
        n: summary.n,
        mape: summary.mape.filter(|_| allowed),
        mae: summary.mae,
        rmse: summary.rmse,
        nmae: summary.nmae,
        wape: summary.wape,
        bias: scored.board.point().bias(),
        pinball: summary.pinball,
        crps: summary.crps,
        coverage_80: held.total.share(),
        sure: held.sure,
        skill: reference.and_then(|other| skill(scored.board.point(), other.board.point())),
        by_horizon: summary.by_horizon.into_iter().map(lead).collect(),
        by_hour: hours.map(hour).collect(),
        by_month: summary.coverage_by_month.into_keys().map(month).collect(),
        model: summary.model,
    }
}

fn every(series: &Series) -> String {
    match &series.frame.origins {
        Origins::After(_) => "issue".to_owned(),
        Origins::Every(steps) => {
            duration::print((steps * series.frame.setup.step_ms).unsigned_abs())
        }
    }
}

fn report(series: &Series, all: &[Scored], chosen: &[usize]) -> anyhow::Result<Report> {
    let frame = &series.frame;
    let reference = reference(all);
    let protocol = Protocol {
        origins: frame.origins()?.len(),
        every: every(series),
        horizon_ms: frame.setup.horizon as i64 * frame.setup.step_ms,
        from: time::show(series.window_ms.start),
        to: time::show(series.window_ms.end),
        clock: series.clock.clone(),
        weather: series.weather,
        weather_columns: frame.setup.quantities.iter().map(|q| q.name.clone()).collect(),
        skill_against: reference.and_then(|scored| {
            let same = Season::ALL.into_iter().find(|season| season.name() == scored.name);
            same.map(Season::name)
        }),
    };
    let models = chosen.iter().map(|at| entry(series, &all[*at], reference)).collect();
    let files = series.files.iter().map(|path| path.display().to_string()).collect();
    Ok(Report {
        series: series.name.clone(),
        files,
        unit: series.unit,
        kind: frame.setup.kind,
        step_ms: frame.setup.step_ms,
        capacity: frame.setup.capacity,
        protocol,
        remarks: series.remarks.clone(),
        models,
    })
}

/// Writes one object on one line.
///
/// # Errors
/// Nobody reads it.
pub(super) fn json(
    series: &Series,
    all: &[Scored],
    chosen: &[usize],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, &report(series, all, chosen)?)?;
    writeln!(out)?;
    Ok(())
}

/// Writes a table with what it rests on.
///
/// # Errors
/// Nobody reads it.
pub(super) fn table(
    series: &Series,
    all: &[Scored],
    chosen: &[usize],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let report = report(series, all, chosen)?;
    let Protocol { origins, every, from, to, clock, weather, .. } = &report.protocol;
    let horizon = report.protocol.horizon_ms as f64 / HOUR_MS;
    let step = duration::print(report.step_ms.unsigned_abs());
    writeln!(out, "{} of {}", report.series, report.files.join(" and "))?;
    writeln!(out, "  every {step}, clock {clock}, taken as {}", kind_name(report.kind))?;
    let asked =
        if every == "issue" { "at every issue".to_owned() } else { format!("every {every}") };
    writeln!(out, "  protocol   {origins} origins, {asked}, from {from} to {to}")?;
    writeln!(
        out,
        "             targets up to {horizon} h ahead; weather of target hours: {weather}"
    )?;
    for remark in &report.remarks {
        writeln!(out, "  {remark}")?;
    }
    writeln!(out)?;
    rows(&report, out)?;
    writeln!(out)?;
    notes(&report, out)
}

fn kind_name(kind: forecast::model::Kind) -> &'static str {
    match kind {
        forecast::model::Kind::Load => "a load",
        forecast::model::Kind::NetLoad => "a net load",
        forecast::model::Kind::Wind => "a wind plant",
        forecast::model::Kind::Pv => "a photovoltaic plant",
    }
}

/// The table, its columns as wide as what is in them.
fn rows(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let with_unit = |name: &str| match report.unit {
        "" => name.to_owned(),
        unit => format!("{name} {unit}"),
    };
    let head = [
        "model".to_owned(),
        "targets".to_owned(),
        "MAPE %".to_owned(),
        with_unit("MAE"),
        with_unit("RMSE"),
        "nMAE %".to_owned(),
        "WAPE %".to_owned(),
        with_unit("CRPS"),
        "in P10-P90 %".to_owned(),
        "skill %".to_owned(),
    ];
    let digits = |value: Option<f64>, digits: usize| {
        value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let size = report.models.iter().filter_map(|entry| entry.mae).fold(f64::INFINITY, f64::min);
    let fine = if size >= 100.0 {
        1
    } else if size >= 1.0 {
        3
    } else {
        4
    };
    let row = |entry: &Entry| {
        [
            entry.model.clone(),
            entry.n.to_string(),
            digits(entry.mape, 2),
            digits(entry.mae, fine),
            digits(entry.rmse, fine),
            digits(entry.nmae, 2),
            digits(entry.wape, 2),
            digits(entry.crps, fine),
            digits(percent(entry.coverage_80), 1),
            digits(percent(entry.skill), 1),
        ]
    };
    let all: Vec<_> = std::iter::once(head).chain(report.models.iter().map(row)).collect();
    let width = |at: usize| all.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..10).map(width).collect();
    for row in &all {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// What must be known to read the table.
fn notes(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(reference) = report.protocol.skill_against {
        writeln!(out, "skill: share of the error of {reference} that is saved, by MAE.")?;
    }
    let of = match report.capacity {
        Some(capacity) => format!("the capacity of {capacity}"),
        None => "the largest value of the window".to_owned(),
    };
    writeln!(out, "nMAE: of {of}.")?;
    if report.models.iter().all(|entry| entry.mape.is_none()) {
        let why = "the series crosses zero or comes near it";
        writeln!(out, "MAPE is not said: {why}, and a few hours would decide it.")?;
    }
    if report.models.iter().any(|entry| entry.sure > 0) {
        let what = "targets at which P10 and P90 are one value and were met, such as nights,";
        writeln!(out, "in P10-P90: {what} are left out.")?;
    }
    if report.protocol.weather == "measured" {
        let why = "not comparable with scores that rest on forecast weather";
        writeln!(out, "Weather of target hours is as measured: {why}, which are worse.")?;
    }
    let most = report.models.iter().map(|entry| entry.n).max().unwrap_or(0);
    if report.models.iter().any(|entry| entry.n < most) {
        writeln!(out, "Models with fewer targets are scored on other hours: not comparable.")?;
    }
    Ok(())
}
