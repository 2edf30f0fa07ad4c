//! What a value is explained by: the columns of a model, from the past and the weather.
//!
//! Every column of a target is known a day before it but the weather, so the base of a forecast
//! does not depend on when it is asked for within that day.

use serde::Deserialize;
use serde::Serialize;

use crate::past::DayKind;
use crate::past::Past;
use crate::slot::UNIT;

/// Days that the furthest column reaches back.
pub const REACH_DAYS: i64 = 28;

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Column {
    /// 1.
    One,
    /// 1 on this weekday (0 is Monday).
    Weekday(i64),
    /// 1 where the day, moved by so many days, is a holiday.
    Holiday(i64),
    /// Sine of the k-th harmonic of the year.
    Sine(u8),
    /// Cosine of the k-th harmonic of the year.
    Cosine(u8),
    /// A weather quantity.
    Weather(Reading),
    /// The reading of the day before, where that day is of the same kind.
    LagSame,
    /// The reading of the day before, where that day is of another kind.
    LagOther,
    /// 1 where the day before is of another kind.
    Other,
    /// The reading so many days before.
    Lag(i64),
    /// The mean of the so many days that end a day before.
    Mean(i64),
    /// The reading of a week before, where that was a holiday.
    LagHoliday,
    /// The mean of the last so many readings at the same time of days of the same kind.
    SameKindMean(i64),
    /// A weather reading on days of rest only.
    RestWeather(Reading),
    /// The product of two quantities, the second as 100 − it.
    Clear(usize, usize),
    /// The power curve of a wind turbine at this wind speed, moved by so many steps and smoothed
    /// over ±this many.
    PowerCurve(usize, i64, i64),
}

/// How a weather quantity is read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which quantity.
    pub quantity: usize,
    /// The moving mean of [`crate::past::SMOOTHED_HOURS`], or the value itself.
    pub smooth: Option<usize>,
    /// So many steps before.
    pub lag: i64,
    /// What exceeds this; or the value itself.
    pub above: Option<f32>,
}

impl Reading {
    fn of(self, past: &Past, index: i64) -> f32 {
        let weather = &past.weather[self.quantity];
        let value = match self.smooth {
            Some(which) => weather.smooth(which, index - self.lag),
            None => weather.at(index - self.lag, past.day),
        };
        let beyond = |above: f32| if value.is_nan() { value } else { (value - above).max(0.0) };
        self.above.map_or(value, beyond)
    }
}

/// The share of rated power at a wind speed in m/s: cubic between 3 and 12.
pub fn power_curve(speed_ms: f32) -> f32 {
    ((speed_ms.powi(3) - 27.0) / (1728.0 - 27.0)).clamp(0.0, 1.0)
}

impl Column {
    /// Its value for a target; NaN where it is of weather that was not heard yet.
    pub fn of(self, past: &Past, index: i64) -> f32 {
        let flag = |is: bool| f32::from(u8::from(is));
        let day = past.day;
        match self {
            Column::One => 1.0,
            Column::Weekday(k) => flag(past.weekday(index) == k),
            Column::Holiday(days) => flag(past.holiday(index, days)),
            Column::Sine(k) => year(past, index, k).sin() as f32,
            Column::Cosine(k) => year(past, index, k).cos() as f32,
            Column::Weather(reading) => reading.of(past, index),
            Column::LagSame => past.lag(index, day) * flag(past.same_kind(index)),
            Column::LagOther => past.lag(index, day) * flag(!past.same_kind(index)),
            Column::Other => flag(!past.same_kind(index)),
            Column::Lag(days) => past.lag(index, days * day),
            Column::Mean(days) => past.mean(index - day, days * day) as f32,
            Column::LagHoliday => past.lag(index, 7 * day) * flag(past.holiday(index, -7)),
            Column::SameKindMean(days) => same_kind_mean(past, index, days),
            Column::RestWeather(reading) => {
                reading.of(past, index) * flag(past.kind(index) != DayKind::Working)
            }
            Column::Clear(a, b) => {
                past.weather[a].at(index, day) * (100.0 - past.weather[b].at(index, day))
            }
            Column::PowerCurve(quantity, lag, width) => {
                let at = |offset| power_curve(past.weather[quantity].at(index - lag + offset, day));
                (-width..=width).map(at).sum::<f32>() / (2 * width + 1) as f32
            }
        }
    }
}

/// The mean of the newest `days` readings at this time of days of the same kind, from the last
/// [`REACH_DAYS`].
fn same_kind_mean(past: &Past, index: i64, days: i64) -> f32 {
    let kind = past.kind(index);
    let (mut sum, mut count) = (0.0, 0);
    for back in 1..=REACH_DAYS {
        let at = index - back * past.day;
        if past.kind(at) == kind
            && let Some(value) = past.filled(at)
        {
            sum += value;
            count += 1;
            if count == days {
                break;
            }
        }
    }
    if count > 0 { sum / count as f32 } else { past.lag(index, 7 * past.day) }
}

/// The angle of the k-th harmonic of the year.
fn year(past: &Past, index: i64, k: u8) -> f64 {
    // A tropical year; its phase does not matter.
    let years = index as f64 / past.day as f64 / 365.242_19;
    f64::from(k) * std::f64::consts::TAU * years.fract()
}

/// The columns of a model with how they are scaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// In order.
    pub columns: Vec<Column>,
    mean: Vec<f32>,
    inverse_sd: Vec<f32>,
    /// Which columns rest on the series' own readings.
    pub lags: Vec<bool>,
}

impl Design {
    /// Scales columns to mean 0 and deviation 1 over the targets `from..to` of a past at which they
    /// are known.
    pub fn new(columns: Vec<Column>, lags: Vec<bool>, past: &Past, from: i64, to: i64) -> Design {
        let p = columns.len();
        let (mut sum, mut square) = (vec![0.0_f64; p], vec![0.0_f64; p]);
        let mut known = vec![0_u32; p];
        for index in from..to {
            for (c, column) in columns.iter().enumerate() {
                let value = f64::from(column.of(past, index));
                if value.is_nan() {
                    continue;
                }
                sum[c] += value;
                square[c] += value * value;
                known[c] += 1;
            }
        }
        let mut mean = vec![0.0; p];
        let mut inverse_sd = vec![1.0; p];
        for c in 1..p {
            let n = f64::from(known[c].max(1));
            let m = sum[c] / n;
            let sd = (square[c] / n - m * m).max(0.0).sqrt();
            mean[c] = m as f32;
            inverse_sd[c] = if sd < 1e-6 { 1.0 } else { 1.0 / sd as f32 };
        }
        Design { columns, mean, inverse_sd, lags }
    }

    /// Whether a column rests on readings of the series, so that a correction moves it.
    pub fn rests(&self, c: usize) -> bool {
        use Column::*;
        matches!(
            self.columns[c],
            LagSame | LagOther | Lag(_) | Mean(_) | LagHoliday | SameKindMean(_)
        )
    }

    /// The row of a target, scaled, in fixed point ([`UNIT`]), within ±8.
    pub fn row(&self, past: &Past, index: i64, row: &mut Vec<i16>) {
        row.clear();
        row.extend((0..self.columns.len()).map(|c| self.entry(past, index, c)));
    }

    /// One entry of it.
    pub fn entry(&self, past: &Past, index: i64, c: usize) -> i16 {
        let value = (self.columns[c].of(past, index) - self.mean[c]) * self.inverse_sd[c];
        // Beyond what fits, `as` stays at the nearest. NaN becomes 0, the mean: a target before the
        // weather was heard says nothing of what the weather does.
        (value * UNIT).round() as i16
    }
}

/// What a column belongs to when a forecast is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The level itself.
    Level,
    /// The day of the week.
    Weekday,
    /// Holidays.
    Holiday,
    /// The time of the year.
    Season,
    /// Temperature now and in the past days.
    Temperature,
    /// Other weather.
    Weather,
    /// The last two days.
    LastDays,
    /// The weeks before.
    LastWeeks,
    /// What was missed of late.
    Recent,
    /// What the trees add.
    Trees,
}

impl Group {
    /// All, in their order.
    pub const ALL: [Group; 10] = [
        Group::Level,
        Group::Weekday,
        Group::Holiday,
        Group::Season,
        Group::Temperature,
        Group::Weather,
        Group::LastDays,
        Group::LastWeeks,
        Group::Recent,
        Group::Trees,
    ];

    /// Its name for people.
    pub fn word(self) -> &'static str {
        match self {
            Group::Level => "level",
            Group::Weekday => "weekday",
            Group::Holiday => "holiday",
            Group::Season => "season",
            Group::Temperature => "temperature",
            Group::Weather => "other weather",
            Group::LastDays => "last days",
            Group::LastWeeks => "last weeks",
            Group::Recent => "missed of late",
            Group::Trees => "boosted trees",
        }
    }
}

impl Column {
    /// What it belongs to; `temperature` says whether a quantity is one.
    pub fn group(self, temperature: impl Fn(usize) -> bool) -> Group {
        match self {
            Column::One => Group::Level,
            Column::Weekday(_) => Group::Weekday,
            Column::Holiday(_) | Column::LagHoliday => Group::Holiday,
            Column::Sine(_) | Column::Cosine(_) => Group::Season,
            Column::Weather(r) | Column::RestWeather(r) if temperature(r.quantity) => {
                Group::Temperature
            }
            Column::Weather(_) | Column::RestWeather(_) => Group::Weather,
            Column::Clear(..) | Column::PowerCurve(..) => Group::Weather,
            Column::LagSame | Column::LagOther | Column::Other => Group::LastDays,
            Column::Lag(days) if days <= 2 => Group::LastDays,
            Column::Mean(1) => Group::LastDays,
            Column::Lag(_) | Column::Mean(_) | Column::SameKindMean(_) => Group::LastWeeks,
        }
    }
}
