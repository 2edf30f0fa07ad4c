//! The weather columns of a file: which, in which unit, and known when.
//!
//! A column is either measured, and then taken as known a horizon ahead as well, or a forecast,
//! which is never told as measured. Which of the two is the user's word, not a guess.

use forecast::backtest::weather;
use forecast::model::Kind;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::series::DAY_MS;
use gridloom::problem::Problem;

use super::Grid;
use super::Wanted;
use super::WeatherKind;
use crate::cli::forecast::columns;
use crate::cli::forecast::columns::Convert;
use crate::cli::forecast::columns::Recognised;
use crate::cli::forecast::table::Table;

/// What weather is looked for in.
pub(super) struct Sky<'a> {
    pub wanted: &'a Wanted,
    pub table: &'a Table,
    pub grid: Grid,
    pub target: &'a str,
    pub kind: Kind,
}

/// Weather as it will be told.
pub(super) struct Weather {
    /// Names and roles.
    pub quantities: Vec<Quantity>,
    /// Of each, what is known a horizon ahead, one value a step.
    ahead: Vec<Vec<f64>>,
    /// Of each, what is measured, if anything is.
    measured: Vec<Option<Vec<f64>>>,
    /// Whether columns are forecasts.
    forecast: bool,
}

/// A column to be read, and the one that is the forecast of it.
struct Choice {
    name: String,
    forecast: Option<String>,
    found: Recognised,
}

impl Sky<'_> {
    /// Reads the columns that were named and are in the table, or those that are recognised.
    ///
    /// # Errors
    /// A column holds something that is no number.
    pub(super) fn read(&self) -> Result<Weather, Vec<Problem>> {
        let choices = match self.wanted.weather.as_slice() {
            [] => self.recognised(),
            names => self.named(names),
        };
        let forecast = self.wanted.weather_kind == WeatherKind::Forecast;
        let mut all =
            Weather { quantities: Vec::new(), ahead: Vec::new(), measured: Vec::new(), forecast };
        let mut problems = Vec::new();
        for choice in choices {
            match self.column(&choice) {
                Ok((ahead, measured)) => {
                    let (name, role) = (choice.name, choice.found.role);
                    all.quantities.push(Quantity { name, role });
                    all.ahead.push(ahead);
                    all.measured.push(measured);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    fn named(&self, names: &[String]) -> Vec<Choice> {
        let mut choices: Vec<Choice> = Vec::new();
        for name in names.iter().filter(|name| self.table.columns.contains_key(*name)) {
            let found = columns::recognise_or_other(name, self.typical(name));
            let base = columns::forecast_of(name, &self.table.names);
            let choice = match base.filter(|_| self.forecasts()) {
                Some(base) => Choice { name: base, forecast: Some(name.clone()), found },
                None => Choice { name: name.clone(), forecast: self.pair(name), found },
            };
            if choices.iter().all(|other| other.name != choice.name) {
                choices.push(choice);
            }
        }
        choices
    }

    fn recognised(&self) -> Vec<Choice> {
        let names = &self.table.names;
        let own = names.iter().filter(|name| *name != self.target && self.belongs(name));
        let choice = |name: &String| {
            if columns::forecast_of(name, names).is_some() {
                return None;
            }
            let found = columns::recognise(name, self.typical(name))?;
            let usual = found.usual || self.kind == Kind::Pv;
            usual.then(|| Choice { name: name.clone(), forecast: self.pair(name), found })
        };
        own.filter_map(choice).collect()
    }

    /// Whether a column is not of another zone: `NH_temp_degF` is not the weather of `ME_load_mw`.
    fn belongs(&self, name: &str) -> bool {
        let zone = |name: &str| columns::words(name).into_iter().next();
        let others = self.table.names.iter().filter(|other| columns::is_target(other));
        let mut zones = others.map(|other| zone(other)).filter(|z| *z != zone(self.target));
        !zones.any(|other| other == zone(name))
    }

    fn forecasts(&self) -> bool {
        self.wanted.weather_kind == WeatherKind::Forecast
    }

    fn pair(&self, name: &str) -> Option<String> {
        let names = &self.table.names;
        let of_it = |other: &&String| columns::forecast_of(other, names).as_deref() == Some(name);
        names.iter().find(of_it).filter(|_| self.forecasts()).cloned()
    }

    fn typical(&self, name: &str) -> f64 {
        let values = self.table.columns.get(name).map(|column| column.values.as_slice());
        let mut values = values.unwrap_or_default().iter().copied();
        values.find(|value| value.is_finite()).unwrap_or(f64::NAN)
    }

    /// What is known ahead of a column, and what is measured of it.
    fn column(&self, choice: &Choice) -> Result<(Vec<f64>, Option<Vec<f64>>), Problem> {
        let own = self.laid(&choice.name, choice.found.convert)?;
        let Some(forecast) = &choice.forecast else {
            let measured = (!self.forecasts()).then(|| own.clone());
            return Ok((own, measured));
        };
        let mut ahead = self.laid(forecast, choice.found.convert)?;
        // Before forecasts were kept, what was measured stands in for them.
        let kept = ahead.iter().position(|value| value.is_finite()).unwrap_or(ahead.len());
        ahead[..kept].copy_from_slice(&own[..kept]);
        Ok((ahead, Some(own)))
    }

    fn laid(&self, name: &str, convert: Convert) -> Result<Vec<f64>, Problem> {
        let values = self.table.numbers(name)?;
        let laid = self.grid.lay(self.table, values);
        let laid = if convert.accumulated { self.differences(&laid, name) } else { laid };
        Ok(laid.into_iter().map(|value| convert.value(value)).collect())
    }

    /// What was added in each step to a sum that begins anew after every midnight UTC; of joules,
    /// watts. A sum stands at the end of what it sums.
    fn differences(&self, sums: &[f64], name: &str) -> Vec<f64> {
        let Grid { step_ms, begin_ms, .. } = self.grid;
        let joules = columns::words(name).iter().any(|word| word.starts_with('j'));
        let seconds = if joules { step_ms as f64 / 1_000.0 } else { 1.0 };
        let value = |at: usize| {
            let begins_ms = begin_ms + (at as i64 - 1) * step_ms;
            let before = match at.checked_sub(1) {
                _ if begins_ms.rem_euclid(DAY_MS) == 0 => 0.0,
                Some(before) => sums[before],
                None => f64::NAN,
            };
            // Sums are rounded, and so may fall by a little.
            let added = (sums[at] - before) / seconds;
            if added < 0.0 { 0.0 } else { added }
        };
        (0..sums.len()).map(value).collect()
    }
}

impl Weather {
    /// All that is said, in no order.
    pub(super) fn words(&self, first: i64, horizon: usize) -> Vec<Said> {
        let mut words = Vec::new();
        for (quantity, ahead) in self.ahead.iter().enumerate() {
            words.extend(weather::ahead(quantity, first, ahead, horizon));
            if let Some(measured) = &self.measured[quantity] {
                words.extend(weather::measured(quantity, first, measured));
            }
        }
        words
    }

    /// How it is known, for people.
    pub(super) fn known_as(&self, kind: WeatherKind) -> &'static str {
        match kind {
            _ if self.quantities.is_empty() => "none",
            WeatherKind::Measured => "measured",
            WeatherKind::Forecast => "forecast",
        }
    }

    /// Says which columns are used.
    pub(super) fn remark(&self, with_issues: bool, remarks: &mut Vec<String>) {
        if self.quantities.is_empty() {
            if !with_issues {
                remarks.push("weather    none: no column is recognised, none was named".to_owned());
            }
            return;
        }
        let shown = |quantity: &Quantity| match quantity.role {
            Role::Other => format!("{} (as a line)", quantity.name),
            _ => quantity.name.clone(),
        };
        let names: Vec<String> = self.quantities.iter().map(shown).collect();
        let how = if self.forecast { "forecast" } else { "measured" };
        remarks.push(format!("weather    {how}: {}", names.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;
    use crate::cli::forecast::table::Column;

    const HOUR_MS: i64 = 3_600_000;

    /// What is read of one column beside a load, hourly from midnight UTC on.
    #[track_caller]
    fn read(name: &str, values: &[f64], ahead_ms: i64) -> Weather {
        let wanted = Wanted {
            data: Vec::new(),
            target: None,
            weather: Vec::new(),
            weather_kind: WeatherKind::Forecast,
            issues: None,
            holidays: None,
            kind: None,
            ahead_ms: None,
            horizon_ms: 24 * HOUR_MS,
            every_ms: None,
            from: None,
            to: None,
            capacity: None,
            place: None,
        };
        let column = Column { values: values.to_vec(), strange: None };
        let table = Table {
            path: PathBuf::new(),
            times_ms: (0..values.len() as i64).map(|hour| hour * HOUR_MS).collect(),
            utc: true,
            ahead_ms: None,
            names: vec![name.to_owned()],
            columns: BTreeMap::from([(name.to_owned(), column)]),
        };
        let grid = Grid {
            step_ms: HOUR_MS,
            first: ahead_ms.div_euclid(HOUR_MS),
            steps: values.len(),
            ahead_ms,
            begin_ms: 0,
        };
        let sky = Sky { wanted: &wanted, table: &table, grid, target: "load_mw", kind: Kind::Load };
        sky.read().unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    #[test]
    fn sums_of_a_day_become_the_mean_of_each_hour_on_any_clock() {
        // 24 hours of 3.6 MJ are 1 kW each; then the sum begins anew.
        let sums: Vec<f64> = (0..30).map(|h: i32| f64::from((h + 23) % 24 + 1) * 3.6e6).collect();
        for ahead_ms in [0, 10 * HOUR_MS, 19 * HOUR_MS / 2] {
            let all = read("ssrd_jm2_accum", &sums, ahead_ms);
            let known = &all.ahead[0];
            assert!(known[0].is_nan(), "what came before is not there");
            assert!(known[1..].iter().all(|value| (value - 1_000.0).abs() < 1e-9), "{known:?}");
        }
    }

    #[test]
    fn a_forecast_without_its_measurement_is_never_told_as_measured() {
        let all = read("temp_c", &[1.0, 2.0, 3.0], 0);
        assert_eq!((all.quantities.len(), all.measured[0].is_some()), (1, false));
        assert!(all.words(0, 2).iter().all(|word| word.issued < word.index || word.index == 0));
    }
}
