//! Real series: our forecasts, and LightGBM's from the same features at the same origins.
//!
//! For the peer every target's row is written as the ridge sees it (calendar, temperature with its
//! bends and moving means, the load's own past from a day before on), with what is known at an
//! origin beside: the load then, an hour, a day and a week before, its mean over the last day, and
//! what both differ by from a week before. It is trained anew each 91 days on rows before the
//! origin, a model each for the first hour, hours 2 and 3, 4 to 8, and 9 to 24, with the horizon as
//! a feature, the difference to the load of a week before as the target, absolute error as the
//! objective.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::forecaster::Forecaster;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use serde_json::Value;
use serde_json::json;

use crate::meter::cpu_seconds;

/// One series of the public folder.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// As the table calls it.
    pub name: &'static str,
    file: &'static str,
    target: &'static str,
    temperature: &'static str,
    fahrenheit: bool,
    holiday: Option<&'static str>,
    minutes: i64,
    /// The first reading and the window, in days since the epoch of the series' own clock.
    window: (i64, i64),
    /// Minutes that the series' clock is ahead of the file's.
    ahead: i64,
}

const GEFCOM: Series = Series {
    name: "GEFCom2012 zone 2",
    file: "load_gefcom2012_us_zones01-10_hourly_2004_2008.csv",
    target: "z02_kw",
    temperature: "t11_degF",
    fahrenheit: true,
    holiday: Some("holiday"),
    minutes: 60,
    window: (13_695, 14_058),
    ahead: 0,
};

const ISO_NE: Series = Series {
    name: "ISO-NE Maine",
    file: "load_isone_zones_ME_NH_CT_NEMASSBOST_hourly_2017-01_2017-04.csv",
    target: "ME_load_mw",
    temperature: "ME_temp_degF",
    fahrenheit: true,
    holiday: None,
    minutes: 60,
    window: (17_240, 17_285),
    ahead: 0,
};

/// The public systems and zones that have a temperature.
pub const SERIES: [Series; 8] = [
    Series {
        name: "Victoria",
        file: "load_vic_au_30min_2012_2013.csv",
        target: "load_mw",
        temperature: "temp_c",
        fahrenheit: false,
        holiday: Some("holiday"),
        minutes: 30,
        window: (15_887, 16_070),
        ahead: 600,
    },
    GEFCOM,
    Series { name: "GEFCom2012 zone 10", target: "z10_kw", ..GEFCOM },
    Series {
        name: "BigDEAL LDC2",
        file: "load_bigdeal2022_LDC2_hourly_2015_2018.csv",
        target: "LDC2_load_mw",
        temperature: "T1_degF",
        holiday: None,
        window: (17_532, 17_834),
        ..GEFCOM
    },
    ISO_NE,
    Series {
        name: "ISO-NE New Hampshire",
        target: "NH_load_mw",
        temperature: "NH_temp_degF",
        ..ISO_NE
    },
    Series {
        name: "ISO-NE Connecticut",
        target: "CT_load_mw",
        temperature: "CT_temp_degF",
        ..ISO_NE
    },
    Series {
        name: "ISO-NE NEMASSBOST",
        target: "NEMASSBOST_load_mw",
        temperature: "NEMASSBOST_temp_degF",
        ..ISO_NE
    },
];

/// What came out.
#[derive(Clone, Debug)]
pub struct Result {
    /// MAPE in percent over all targets, and one hour ahead.
    pub ours: (f64, f64),
    /// Processor seconds of training and all origins.
    pub ours_seconds: f64,
    /// The peer's, or why there is none.
    pub peer: std::result::Result<((f64, f64), f64), String>,
}

/// A series as read.
struct Read {
    setup: Setup,
    first: i64,
    load: Vec<f64>,
    temperature_c: Vec<f32>,
}

impl Series {
    fn day(&self) -> i64 {
        1_440 / self.minutes
    }

    fn read(&self, folder: &Path) -> io::Result<Read> {
        let text = fs::read_to_string(folder.join("forecast").join(self.file))?;
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let column = |name: &str| {
            let missing = || io::Error::other(format!("{}: no column {name}", self.file));
            head.iter().position(|column| *column == name).ok_or_else(missing)
        };
        let (target, temperature) = (column(self.target)?, column(self.temperature)?);
        let holiday = self.holiday.map(column).transpose()?;
        let mut read = Read {
            setup: Setup {
                kind: Kind::Load,
                step_ms: self.minutes * 60_000,
                horizon: self.day() as usize,
                quantities: vec![Quantity { name: "air".to_owned(), role: Role::Temperature }],
                holidays: Default::default(),
                clock_ahead: 0,
                capacity: None,
                place: None,
            },
            first: 0,
            load: Vec::new(),
            temperature_c: Vec::new(),
        };
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |at: usize| cells[at].parse::<f64>().unwrap_or(f64::NAN);
            let index = read.first + read.load.len() as i64;
            if read.load.is_empty() {
                read.first = (minutes(cells[0]) + self.ahead) / self.minutes;
            } else if holiday.is_some_and(|at| number(at) > 0.5) {
                read.setup.holidays.insert(index.div_euclid(self.day()));
            }
            read.load.push(number(target));
            let t = number(temperature);
            let last = read.temperature_c.last().copied().unwrap_or(15.0);
            let t = if self.fahrenheit { (t - 32.0) / 1.8 } else { t };
            read.temperature_c.push(if t.is_finite() { t as f32 } else { last });
        }
        Ok(read)
    }

    /// Runs ours, and the peer where there is an interpreter for it.
    ///
    /// # Errors
    /// The file cannot be read, or the peer's files cannot be written.
    pub fn race(&self, data: &Path, scratch: &Path, python: Option<&Path>) -> io::Result<Result> {
        let read = self.read(data)?;
        let begin = cpu_seconds();
        let mut model = Adaptive::new(read.setup.clone(), read.first, Policy::default());
        let mut scores = Scores::default();
        let mut origins = Vec::new();
        for at in 0..read.load.len() {
            model.know(&read.said(at, self.day() as usize));
            model.observe(read.load[at]);
            if self.asks(&read, at) {
                origins.push(at as i64);
                for (ahead, point) in model.outlook().points.iter().enumerate() {
                    scores.add(ahead, self.day(), point.value, read.load[at + 1 + ahead]);
                }
            }
        }
        let ours_seconds = cpu_seconds() - begin;
        let peer = match (python, model.forecaster()) {
            (Some(python), Some(forecaster)) => {
                self.write(&read, forecaster, &origins, scratch)?;
                peer(python, scratch)
            }
            _ => Err("not installed".to_owned()),
        };
        Ok(Result { ours: scores.mapes(), ours_seconds, peer })
    }

    /// Whether the reading `at` is an origin of the protocol: each six hours, in the window.
    fn asks(&self, read: &Read, at: usize) -> bool {
        let index = read.first + at as i64;
        let every = 360 / self.minutes;
        let within = index >= self.window.0 * self.day() && index < self.window.1 * self.day();
        within && (index + 1) % every == 0 && at + (self.day() as usize) < read.load.len()
    }

    fn write(
        &self,
        read: &Read,
        forecaster: &Forecaster,
        origins: &[i64],
        scratch: &Path,
    ) -> io::Result<()> {
        fs::create_dir_all(scratch)?;
        let structure = forecaster.structure().clone();
        let columns = structure.design.columns.len();
        let mut fresh = Forecaster::new(read.setup.clone(), structure, read.first);
        let mut rows: Vec<u8> = Vec::new();
        let mut next = 0;
        let nothing = vec![0_u8; 4 * columns];
        for (at, load) in read.load.iter().enumerate() {
            fresh.know_all(&read.said(at, self.day() as usize));
            fresh.observe(*load, &mut |learned| {
                while next < learned.index - read.first {
                    rows.extend_from_slice(&nothing);
                    next += 1;
                }
                let bytes = learned.x.iter().flat_map(|x| f32::from(*x).to_le_bytes());
                rows.extend(bytes);
                next += 1;
            });
        }
        fs::write(scratch.join("rows.f32"), rows)?;
        let load: Vec<u8> = read.load.iter().flat_map(|y| y.to_le_bytes()).collect();
        fs::write(scratch.join("load.f64"), load)?;
        let case = json!({ "columns": columns, "day": self.day(), "origins": origins });
        fs::write(scratch.join("case.json"), case.to_string())
    }
}

impl Read {
    /// What is said of the temperature with a reading: what was measured, a day ahead.
    fn said(&self, at: usize, day: usize) -> Vec<Said> {
        let known = if at == 0 { 0..day + 1 } else { at + day..at + day + 1 };
        let values = known.filter_map(|k| Some((k, *self.temperature_c.get(k)?)));
        let issued = self.first + at as i64;
        let say = |(k, value): (usize, f32)| {
            let index = self.first + k as i64;
            Said { issued, quantity: 0, index, value }
        };
        values.map(say).collect()
    }
}

/// Sums of absolute percentage errors.
#[derive(Default)]
struct Scores {
    all: (f64, f64),
    hour: (f64, f64),
}

impl Scores {
    fn add(&mut self, ahead: usize, day: i64, forecast: f64, actual: f64) {
        if !actual.is_finite() {
            return;
        }
        let error = 100.0 * ((forecast - actual) / actual).abs();
        self.all = (self.all.0 + error, self.all.1 + 1.0);
        if ahead as i64 + 1 == day / 24 {
            self.hour = (self.hour.0 + error, self.hour.1 + 1.0);
        }
    }

    fn mapes(&self) -> (f64, f64) {
        (self.all.0 / self.all.1, self.hour.0 / self.hour.1)
    }
}

fn peer(python: &Path, scratch: &Path) -> std::result::Result<((f64, f64), f64), String> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/forecast.py");
    let output = Command::new(python).arg(script).arg(scratch).output();
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
    let number = |name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
    Ok(((number("mape"), number("mape_1h")), number("seconds")))
}

/// Minutes since the epoch of `2013-01-31T12:30`.
fn minutes(text: &str) -> i64 {
    let number = |at: usize, n: usize| text[at..at + n].parse::<i64>().unwrap_or(0);
    let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2));
    // Days of the civil calendar: Hinnant, "chrono-compatible low-level date algorithms".
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    days * 1_440 + number(11, 2) * 60 + number(14, 2)
}
