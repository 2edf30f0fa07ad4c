//! From files to a history that can be told again: which column, which clock, which weather.
//!
//! What a user does not say is taken from the file where the file says it plainly, and every such
//! guess is a line of the answer ([`Series::remarks`]): a backtest whose terms are hidden is worth
//! nothing. Guesses rest on the part before the window alone.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use forecast::backtest::Frame;
use forecast::backtest::Origins;
use forecast::backtest::weather;
use forecast::calendar;
use forecast::calendar::Region;
use forecast::model::Kind;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::plant::unit::OWN_USE;
use forecast::plant::unit::without_own_use;
use forecast::series::DAY_MS;
use gridloom::problem::Problem;

use super::columns;
use super::issues;
use super::issues::Issues;
use super::table;
use super::table::Table;
use super::time;

mod kind;
mod sky;

/// Steps of a series for each row of its file, beyond which it is rather a wrong time than a gap.
const STEPS_PER_ROW_MAX: i64 = 50;

/// Asked every six hours where nobody says otherwise: the protocol of the published table.
const EVERY_MS: i64 = 6 * 3_600_000;

/// Whether weather of target hours was measured or forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum WeatherKind {
    /// Measured: taken as if it had been forecast, which flatters.
    Measured,
    /// Forecast: columns `…_forecast_…`, or all where there are none.
    Forecast,
}

/// What a user says of a series; what is absent is found out.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub data: Vec<PathBuf>,
    pub target: Option<String>,
    pub weather: Vec<String>,
    pub weather_kind: WeatherKind,
    pub issues: Option<PathBuf>,
    pub holidays: Option<String>,
    pub kind: Option<Kind>,
    pub ahead_ms: Option<i64>,
    pub horizon_ms: i64,
    pub every_ms: Option<i64>,
    pub from: Option<(i64, i64)>,
    pub to: Option<(i64, i64)>,
    pub capacity: Option<f64>,
    pub place: Option<(f64, f64)>,
}

/// A history with what is said about it.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// To be told again.
    pub frame: Frame,
    /// The column.
    pub name: String,
    /// Its unit, empty where its name has none.
    pub unit: &'static str,
    /// The files.
    pub files: Vec<PathBuf>,
    /// The clock, for people.
    pub clock: String,
    /// Weather for people: `measured`, `forecast`, `as issued` or `none`.
    pub weather: &'static str,
    /// The window, in milliseconds on the series' clock.
    pub window_ms: Range<i64>,
    /// What was taken for granted, a line each.
    pub remarks: Vec<String>,
}

/// The grid that a series lies on.
#[derive(Clone, Copy, Debug)]
struct Grid {
    /// Milliseconds of a step.
    step_ms: i64,
    /// The index of the first row.
    first: i64,
    /// How many steps.
    steps: usize,
    /// What the series' clock is ahead of the times of the file.
    ahead_ms: i64,
    /// The first time of the file, as it is in the file.
    begin_ms: i64,
}

impl Grid {
    fn index(&self, at_ms: i64) -> i64 {
        (at_ms + self.ahead_ms).div_euclid(self.step_ms)
    }

    /// A column of the file, one value a step; NaN where there is no row.
    fn lay(&self, table: &Table, values: &[f64]) -> Vec<f64> {
        let mut laid = vec![f64::NAN; self.steps];
        for (at_ms, value) in table.times_ms.iter().zip(values) {
            laid[(self.index(*at_ms) - self.first) as usize] = *value;
        }
        laid
    }
}

/// Reads what is wanted.
///
/// # Errors
/// All that is wrong with the files and with what was said of them.
pub(super) fn build(wanted: &Wanted) -> Result<Series, Vec<Problem>> {
    let one = |problem: Problem| vec![problem];
    let (of_issues, data) = issues::split(&wanted.data);
    let issues_file = issues_file(wanted, &of_issues).map_err(one)?;
    if data.is_empty() {
        let message = "this file holds weather as it was issued, and no series";
        let hint = "name the file of the series with --data too";
        return Err(one(Problem::new(&wanted.data[0], message).hint(hint)));
    }
    let table = table::read(&data)?;
    let ahead_ms = clock(wanted, &table).map_err(one)?;
    let target = target(wanted, &table).map_err(one)?;
    let values = table.numbers(&target).map_err(one)?;
    let grid = grid(&table, ahead_ms).map_err(one)?;
    let (horizon, every) = asked(wanted, &table, grid)?;
    let mut readings = grid.lay(&table, values);
    let window = window(wanted, &table, grid, &readings).map_err(one)?;
    let training = &readings[..(window.start - grid.first).clamp(0, grid.steps as i64) as usize];
    let issues = issues_file.map(|file| issues::read(&file, &wanted.weather)).transpose();
    let issues = issues.map_err(one)?;
    let kind = wanted.kind.unwrap_or_else(|| kind::infer(&target, &data[0], training, grid));
    known(wanted, &table, issues.as_ref())?;
    let mut remarks = Vec::new();
    let sky = sky::Sky { wanted, table: &table, grid, target: &target, kind };
    let sky = sky.read()?;
    let holidays = match kind {
        Kind::Load | Kind::NetLoad => {
            holidays(wanted, &table, grid, training, &mut remarks).map_err(one)?
        }
        // Wind and sun keep none.
        Kind::Wind | Kind::Pv => BTreeSet::new(),
    };
    let unit = columns::power_unit(&target).unwrap_or_default();
    let mut capacity = wanted.capacity.or((unit == "pu").then_some(1.0));
    if matches!(kind, Kind::Wind | Kind::Pv) {
        let known = capacity.map_or_else(|| rated(&table, training, unit, &mut remarks), Ok);
        let rated = *capacity.insert(known.map_err(one)?);
        leave_out_own_use(&mut readings, rated, &mut remarks);
    }
    let mut setup = Setup {
        kind,
        step_ms: grid.step_ms,
        horizon,
        quantities: sky.quantities.clone(),
        holidays,
        clock_ahead: 0,
        capacity,
        place: plant(wanted, &table, grid, kind, &mut remarks),
    };
    let mut weather_words = sky.words(grid.first, horizon);
    let origins = match (&issues, every) {
        (Some(issues), None) => Origins::After(issues.origins(ahead_ms, grid.step_ms)),
        (_, every) => Origins::Every(every.unwrap_or((EVERY_MS / grid.step_ms).max(1))),
    };
    weather_words.extend(tell_issues(&issues, grid, &mut setup));
    weather::order(&mut weather_words);
    sky.remark(issues.is_some(), &mut remarks);
    let missing = readings.iter().filter(|value| !value.is_finite()).count();
    if missing > 0 {
        remarks.push(format!("readings   {missing} of {} steps are missing", readings.len()));
    }
    let known_as = if issues.is_some() { "as issued" } else { sky.known_as(wanted.weather_kind) };
    let window_ms = window.start * grid.step_ms..window.end * grid.step_ms;
    let first = grid.first;
    let frame = Frame { setup, first, readings, weather: weather_words, window, origins };
    let clock = if table.utc { time::show_offset(ahead_ms) } else { "the file's own".to_owned() };
    let mut files = data;
    files.extend(of_issues.into_iter().chain(wanted.issues.clone()));
    Ok(Series { frame, name: target, unit, files, clock, weather: known_as, window_ms, remarks })
}

/// Takes what a plant draws itself while it stands still for nothing.
fn leave_out_own_use(readings: &mut [f64], rated: f64, remarks: &mut Vec<String>) {
    let mut count = 0;
    for reading in readings {
        let without = without_own_use(*reading, rated);
        count += usize::from(without.to_bits() != reading.to_bits());
        *reading = without;
    }
    if count > 0 {
        let of = 100.0 * OWN_USE;
        remarks.push(format!(
            "own use    {count} readings below 0 by {of} % of the capacity or less count as 0"
        ));
    }
}

/// The rated power of a plant where nobody says it: the largest reading before the window.
fn rated(
    table: &Table,
    training: &[f64],
    unit: &str,
    remarks: &mut Vec<String>,
) -> Result<f64, Problem> {
    let most = training.iter().copied().filter(|x| x.is_finite()).fold(0.0, f64::max);
    if most > 0.0 {
        let of = "the largest reading before the window; --capacity says another";
        remarks.push(format!("capacity   {most} {unit}, {of}"));
        return Ok(most);
    }
    let message = "what the plant is rated is not to be seen before the window".to_owned();
    Err(Problem::new(&table.path, message).hint("--capacity X says it, in the unit of the column"))
}

/// That every column that was named as weather is somewhere.
fn known(wanted: &Wanted, table: &Table, issues: Option<&Issues>) -> Result<(), Vec<Problem>> {
    let issued = |name: &String| {
        issues.is_some_and(|issues| issues.quantities.iter().any(|own| own.name == *name))
    };
    let there = |name: &&String| !table.columns.contains_key(*name) && !issued(name);
    let problems: Vec<Problem> =
        wanted.weather.iter().filter(there).map(|name| table.unknown(name)).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Words of issues, whose quantities come after those of the file.
fn tell_issues(issues: &Option<Issues>, grid: Grid, setup: &mut Setup) -> Vec<Said> {
    let Some(issues) = issues else { return Vec::new() };
    let words = issues.said(grid.ahead_ms, grid.step_ms, setup.quantities.len());
    setup.quantities.extend(issues.quantities.iter().cloned());
    words
}

fn issues_file(wanted: &Wanted, found: &[PathBuf]) -> Result<Option<PathBuf>, Problem> {
    let mut files: Vec<&PathBuf> = wanted.issues.iter().chain(found).collect();
    files.dedup();
    match files.as_slice() {
        [] => Ok(None),
        [file] => Ok(Some((*file).clone())),
        [_, second, ..] => {
            let message = "a second file of weather as it was issued";
            let hint = "join them to one file: a series has one stream of issues";
            Err(Problem::new(second, message).hint(hint))
        }
    }
}

/// What the series' clock is ahead of the times of the table.
fn clock(wanted: &Wanted, table: &Table) -> Result<i64, Problem> {
    match wanted.ahead_ms {
        Some(_) if !table.utc => {
            let message = "its times are of a local clock already, which --utc-offset would move";
            let hint = "leave --utc-offset out, or call the column time_utc";
            Err(Problem::new(&table.path, message).hint(hint))
        }
        Some(ahead_ms) => Ok(ahead_ms),
        None if !table.utc => Ok(0),
        None => {
            Ok(table.ahead_ms.filter(|ahead| *ahead != 0).or_else(|| midnight(table)).unwrap_or(0))
        }
    }
}

/// What the clock is ahead of UTC on which a holiday begins at midnight. Where summer time moves
/// it, the smallest: standard time, as the series' clock has no summer time.
fn midnight(table: &Table) -> Option<i64> {
    let name = table.names.iter().find(|name| columns::is_holiday(name))?;
    let flags = table.numbers(name).ok()?;
    let mut starts: BTreeMap<i64, usize> = BTreeMap::new();
    for (at, pair) in flags.windows(2).enumerate() {
        if pair[0] < 0.5 && pair[1] > 0.5 {
            let of_day_ms = table.times_ms[at + 1].rem_euclid(DAY_MS);
            // East of Greenwich the day begins before it does there.
            let ahead_ms = if of_day_ms == 0 { 0 } else { DAY_MS - of_day_ms };
            let ahead_ms = if ahead_ms > DAY_MS / 2 { ahead_ms - DAY_MS } else { ahead_ms };
            *starts.entry(ahead_ms).or_default() += 1;
        }
    }
    let all: usize = starts.values().sum();
    // A flag that begins at any hour is not one of days.
    let often = starts.iter().filter(|(_, count)| **count * 5 >= all);
    let (ahead_ms, _) = often.min_by_key(|(ahead_ms, _)| **ahead_ms)?;
    (starts.len() <= 2).then_some(*ahead_ms)
}

/// The column that is forecast.
fn target(wanted: &Wanted, table: &Table) -> Result<String, Problem> {
    if let Some(name) = &wanted.target {
        return if table.columns.contains_key(name) {
            Ok(name.clone())
        } else {
            Err(table.unknown(name))
        };
    }
    let found: Vec<&String> = table.names.iter().filter(|name| columns::is_target(name)).collect();
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        [] => {
            let message = "no column looks like a load or a power";
            let hint = format!("name it with --target; there are {}", table.names.join(", "));
            Err(Problem::new(&table.path, message).hint(hint))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            let message = format!("{} columns look like a load or a power", names.len());
            let hint = format!("name one with --target: {}", names.join(", "));
            Err(Problem::new(&table.path, message).hint(hint))
        }
    }
}

/// The step is the commonest distance of neighbours; every time must lie on it.
fn grid(table: &Table, ahead_ms: i64) -> Result<Grid, Problem> {
    let wrong = |message: String, hint: &str| Problem::new(&table.path, message).hint(hint);
    let times = &table.times_ms;
    let mut distances: BTreeMap<i64, usize> = BTreeMap::new();
    for pair in times.windows(2) {
        *distances.entry(pair[1] - pair[0]).or_default() += 1;
    }
    let common = distances.iter().max_by_key(|(step_ms, count)| (**count, -**step_ms));
    let Some((&step_ms, _)) = common else {
        let hint = "a history of some weeks is needed";
        return Err(wrong("there is one row, and no step".to_owned(), hint));
    };
    if DAY_MS % step_ms != 0 {
        let shown = gridloom::config::duration::print(step_ms.unsigned_abs());
        let hint = "write it in steps of minutes or hours that make up a day";
        return Err(wrong(format!("a day is no whole number of steps of {shown}"), hint));
    }
    if let Some(off) = times.iter().find(|at_ms| (**at_ms - times[0]) % step_ms != 0) {
        let shown = gridloom::config::duration::print(step_ms.unsigned_abs());
        let message = format!("{} is off the step of {shown}", time::show(*off));
        let hint = "write one row a step; leave cells empty where nothing was measured";
        return Err(wrong(message, hint));
    }
    let steps = (times[times.len() - 1] - times[0]) / step_ms + 1;
    if steps > STEPS_PER_ROW_MAX * times.len() as i64 {
        let (from, to) = (time::show(times[0]), time::show(times[times.len() - 1]));
        let message = format!("{} rows lie between {from} and {to}", times.len());
        return Err(wrong(message, "is one of the times wrong?"));
    }
    let first = (times[0] + ahead_ms).div_euclid(step_ms);
    Ok(Grid { step_ms, first, steps: steps as usize, ahead_ms, begin_ms: times[0] })
}

/// The horizon, and how often it is asked where somebody says so, in steps: whole ones, for a
/// forecast of half a step is none.
fn asked(wanted: &Wanted, table: &Table, grid: Grid) -> Result<(usize, Option<i64>), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut steps = |name: &str, ms: i64| {
        if ms % grid.step_ms != 0 {
            let shown = |ms: i64| gridloom::config::duration::print(ms.unsigned_abs());
            let step = shown(grid.step_ms);
            let message = format!("{name} {} is no whole number of steps of {step}", shown(ms));
            let hint = format!("the series has a reading every {step}");
            problems.push(Problem::new(&table.path, message).hint(hint));
        }
        ms / grid.step_ms
    };
    let horizon = steps("--horizon", wanted.horizon_ms);
    let every = wanted.every_ms.map(|every_ms| steps("--step", every_ms));
    if problems.is_empty() { Ok((horizon as usize, every)) } else { Err(problems) }
}

/// Where newest readings of origins lie: what was said, else the last third.
fn window(
    wanted: &Wanted,
    table: &Table,
    grid: Grid,
    readings: &[f64],
) -> Result<Range<i64>, Problem> {
    let end = grid.first + grid.steps as i64;
    let first_ms = grid.first * grid.step_ms;
    let whole_ms = first_ms..end * grid.step_ms;
    let span = || format!("{} to {}", time::show(whole_ms.start), time::show(whole_ms.end));
    let from = match wanted.from {
        Some((from_ms, _)) => from_ms.div_euclid(grid.step_ms),
        None => {
            let third = first_ms + (whole_ms.end - first_ms) / 3 * 2;
            (third / DAY_MS * DAY_MS).div_euclid(grid.step_ms)
        }
    };
    let to = wanted.to.map_or(end, |(_, to_ms)| to_ms.div_euclid(grid.step_ms));
    let wrong = |message: String, hint: String| Problem::new(&table.path, message).hint(hint);
    if from >= to {
        return Err(wrong("--from is not before --to".to_owned(), format!("it holds {}", span())));
    }
    if to <= grid.first || from >= end {
        let shown = (time::show(from * grid.step_ms), time::show(to * grid.step_ms));
        let message = format!("nothing lies between {} and {}", shown.0, shown.1);
        return Err(wrong(message, format!("it holds {}", span())));
    }
    let inside = from.max(grid.first)..to.min(end);
    let at = |index: i64| (index - grid.first) as usize;
    if readings[at(inside.start)..at(inside.end)].iter().all(|value| !value.is_finite()) {
        let message = "every reading of the window is missing".to_owned();
        return Err(wrong(message, format!("it holds {}", span())));
    }
    Ok(from..to)
}

/// The days off, by what was said, by a column, or by what the training part shows.
fn holidays(
    wanted: &Wanted,
    table: &Table,
    grid: Grid,
    training: &[f64],
    remarks: &mut Vec<String>,
) -> Result<BTreeSet<i64>, Problem> {
    let column = table.names.iter().find(|name| columns::is_holiday(name));
    let name = match (&wanted.holidays, column) {
        (Some(name), _) => name.clone(),
        (None, Some(column)) => column.clone(),
        (None, None) => {
            let history = (grid.first..).zip(training);
            let history = history.map(|(index, value)| (index * grid.step_ms, *value));
            let found = calendar::infer(history);
            remarks.push(format!("holidays   inferred before the window: {}", found.words));
            return Ok(found.region.map(|region| days_of(region, grid)).unwrap_or_default());
        }
    };
    if name.eq_ignore_ascii_case("none") {
        remarks.push("holidays   none".to_owned());
        return Ok(BTreeSet::new());
    }
    if table.columns.contains_key(&name) {
        remarks.push(format!("holidays   column {name}"));
        return Ok(flagged(table.numbers(&name)?, table, grid));
    }
    let region: Region = name.parse().map_err(|_| {
        let regions = Region::ALL.map(Region::code).join(", ");
        let message = format!("--holidays {name} is neither a region nor a column");
        let hint = format!("write none, a column of 0 and 1, or one of {regions}");
        Problem::new(&table.path, message).hint(hint)
    })?;
    remarks.push(format!("holidays   {region}"));
    Ok(days_of(region, grid))
}

/// Days that are flagged for more than half of their steps.
fn flagged(flags: &[f64], table: &Table, grid: Grid) -> BTreeSet<i64> {
    let mut days: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (at_ms, flag) in table.times_ms.iter().zip(flags).filter(|(_, flag)| flag.is_finite()) {
        let day = days.entry((at_ms + grid.ahead_ms).div_euclid(DAY_MS)).or_default();
        *day = (day.0 + flag, day.1 + 1.0);
    }
    days.into_iter().filter(|(_, (sum, n))| sum > &(n / 2.0)).map(|(day, _)| day).collect()
}

/// The days off of a region over the series, with a week around it.
fn days_of(region: Region, grid: Grid) -> BTreeSet<i64> {
    let first_ms = grid.first * grid.step_ms;
    let day = |at_ms: i64| at_ms.div_euclid(DAY_MS);
    let from = day(first_ms) - 7;
    let to = day(first_ms + grid.steps as i64 * grid.step_ms) + 7;
    let year = |day: i64| time::show_day(day * DAY_MS)[..4].parse::<i32>().unwrap_or(1970);
    let years = year(from)..=year(to);
    let days = years.flat_map(|year| region.in_year(year)).map(time::days);
    days.filter(|day| (from..=to).contains(day)).collect()
}

/// Where a photovoltaic plant is. The sun is computed in UTC, so a place is of use on that
/// clock only.
fn plant(
    wanted: &Wanted,
    table: &Table,
    grid: Grid,
    kind: Kind,
    remarks: &mut Vec<String>,
) -> Option<(f64, f64)> {
    let found = wanted.place.or_else(|| place(table));
    if kind != Kind::Pv {
        return found;
    }
    let (lat, lon) = found?;
    let on_utc = table.utc && grid.ahead_ms == 0;
    let what = if on_utc { "used" } else { "not used: the clock is not UTC" };
    remarks.push(format!("place      {lat},{lon} {what}"));
    found.filter(|_| on_utc)
}

/// Where the plant is, if the file says it in columns `lat` and `lon` that never change.
fn place(table: &Table) -> Option<(f64, f64)> {
    let constant = |names: [&str; 2]| {
        let name = table.names.iter().find(|name| names.contains(&name.as_str()))?;
        let values = table.numbers(name).ok()?;
        let first = values.iter().copied().find(|value| value.is_finite())?;
        let same = values.iter().all(|value| !value.is_finite() || *value == first);
        same.then_some(first)
    };
    Some((constant(["lat", "latitude"])?, constant(["lon", "longitude"])?))
}
