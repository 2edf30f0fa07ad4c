//! Measured plants, forecast hour by hour as an instance would, beside the rule.
//!
//! The roofs are those of the demo (CityLearn), whose published weather is not that which their
//! power followed; the plant is a zone of GEFCom2014 with the weather that had been forecast for
//! it. `GRIDLOOM_DATA` says where the files are.

use forecast::model::Kind;
use forecast::pv::differences;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::Told;
use super::asset;
use super::plant_hour;
use super::step;
use crate::forecast::plant::PlantKernel;
use crate::forecast::plant::rule;
use crate::forecast::rule::HISTORY_HOURS;
use crate::forecast::tests::data::table;
use crate::settings::Settings;

/// Plants and the weather over them, by hour.
struct Plants {
    /// Hours since the epoch of the first.
    first: u64,
    rated_kw: Vec<f64>,
    /// By plant.
    kw: Vec<Vec<f64>>,
    temperature_c: Vec<f64>,
    global_w_per_m2: Vec<f64>,
}

/// Five roofs; the second row is 1 August 2016, 00:00.
fn roofs() -> Option<Plants> {
    let column = table("homes_citylearn2022_fontana_ca_b01-08_hourly_2016_2017.csv")?;
    let rated_kw = vec![4.0, 4.0, 4.0, 5.0, 4.0];
    let roof = |(n, rated_kw): (usize, &f64)| {
        let w_per_kw = column(&format!("b0{}_pv_w_per_kwp", n + 1));
        w_per_kw.iter().map(|w| w * rated_kw / 1e3).collect()
    };
    let light = column("diffuse_wm2").into_iter().zip(column("direct_wm2"));
    Some(Plants {
        first: 408_335,
        kw: rated_kw.iter().enumerate().map(roof).collect(),
        rated_kw,
        temperature_c: column("temp_c"),
        global_w_per_m2: light.map(|(diffuse, direct)| diffuse + direct).collect(),
    })
}

/// A zone, as a plant of 500 kW; the first row is 1 April 2012, 01:00.
fn zone() -> Option<Plants> {
    let column = table("pv_gefcom2014_zone1_hourly_with_ecmwf.csv")?;
    let fallen: Vec<f32> = column("ssrd_jm2_accum").iter().map(|j| *j as f32).collect();
    let fell = differences(&fallen, 1, 24);
    Some(Plants {
        first: 370_321,
        rated_kw: vec![500.0],
        kw: vec![column("power_pu").iter().map(|share| 500.0 * share).collect()],
        temperature_c: column("t2m_k").iter().map(|k| k - 273.15).collect(),
        global_w_per_m2: fell.iter().map(|j| f64::from(j / 3_600.0)).collect(),
    })
}

impl Plants {
    fn at(&self, hour: usize) -> Timestamp {
        Timestamp((self.first + hour as u64) * HOUR_MS)
    }

    fn seen(&self, hour: usize) -> WeatherHour {
        WeatherHour {
            station_id: "s".to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: self.at(hour),
            origin: "measured".to_owned(),
            temperature_c: self.temperature_c[hour],
            global_w_per_m2: Some(self.global_w_per_m2[hour]),
            wind_m_per_s: None,
        }
    }

    fn ahead(&self, from: usize) -> Vec<WeatherAhead> {
        let row = |hour: usize| WeatherAhead {
            station_id: "s".to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: self.at(hour),
            issued_at: self.at(from),
            temperature_c: self.temperature_c[hour],
            global_w_per_m2: Some(self.global_w_per_m2[hour]),
            wind_m_per_s: None,
        };
        (from..(from + 30).min(self.temperature_c.len())).map(row).collect()
    }

    /// What is told at an hour; all before, at the first.
    fn told(&self, start: usize, present: usize) -> Told {
        let row = |hour: usize, n: usize| {
            let origin = if hour < start { "history" } else { "measured" };
            let asset_id = format!("p{n}");
            plant_hour(&asset_id, self.first + hour as u64, origin, self.kw[n][hour])
        };
        let hours = if present == start { 0..start } else { present - 1..present };
        let mut told = Told::default();
        if present == start {
            let plants = self.rated_kw.iter().enumerate();
            told.assets = plants.map(|(n, kw)| (asset(&format!("p{n}"), "pv", *kw), 1)).collect();
        }
        let all = 0..self.kw.len();
        told.hours = hours.clone().flat_map(|h| all.clone().map(move |n| row(h, n))).collect();
        told.seen = hours.map(|hour| self.seen(hour)).collect();
        told.ahead = if present.is_multiple_of(6) { self.ahead(present) } else { Vec::new() };
        told
    }
}

/// Sums of absolute errors of the model and of the rule, and of what lay in the band by day.
#[derive(Default)]
struct Score {
    model_kw: f64,
    rule_kw: f64,
    within: f64,
    lit: f64,
    count: f64,
}

/// So many days of history, and so many that are lived; the first of them is not scored.
fn live(plants: &Plants, history: usize, days: usize) -> Score {
    let start = history * 24;
    let mut kernel = PlantKernel::new(Settings::default());
    let mut score = Score::default();
    for present in start..start + days * 24 {
        let (rows, _) = step(&mut kernel, plants.at(present), &plants.told(start, present));
        // The other ticks of the hour, as far as there is something to learn.
        for tick in 1..if present == start { 300 } else { 3 } {
            step(&mut kernel, plants.at(present).plus(tick * 5_000), &Told::default());
        }
        if present < start + 24 {
            continue;
        }
        for (n, rated_kw) in plants.rated_kw.iter().enumerate() {
            let past = &plants.kw[n][present - HISTORY_HOURS..present];
            let points = rule::points(Kind::Pv, past, *rated_kw);
            let of = rows.iter().filter(|row| row.subject_id == format!("p{n}"));
            for (row, point) in of.zip(points) {
                assert!(row.model_version.starts_with("pv-ridge"), "{}", row.model_version);
                let actual = plants.kw[n][present + point.hour];
                score.model_kw += (row.p50_kw - actual).abs();
                score.rule_kw += (point.p50_kw - actual).abs();
                score.count += 1.0;
                if row.p90_kw > 0.0 {
                    score.lit += 1.0;
                    let within = (row.p10_kw..=row.p90_kw).contains(&actual);
                    score.within += f64::from(u8::from(within));
                }
            }
        }
    }
    score
}

/// The model's share of the rule's error at most, and between what its band holds by day.
#[track_caller]
fn check(plants: &Plants, history: usize, days: usize, share: f64, band: (f64, f64)) {
    let score = live(plants, history, days);
    let (model_kw, rule_kw) = (score.model_kw / score.count, score.rule_kw / score.count);
    let within = score.within / score.lit;
    println!(
        "{days} days after {history}: {model_kw:.4} kW, the rule {rule_kw:.4} kW ({:.3}), within \
         p10-p90 by day {within:.3}, {} hours",
        model_kw / rule_kw,
        score.count
    );
    assert!(model_kw <= share * rule_kw, "{model_kw} of {rule_kw}");
    assert!((band.0..=band.1).contains(&within), "{within}");
}

#[test]
fn five_roofs_30_days_of_history_30_days() {
    let Some(roofs) = roofs() else { return };
    check(&roofs, 30, 30, 0.9, (0.68, 0.88));
}

#[test]
fn five_roofs_180_days_of_history_30_days() {
    let Some(roofs) = roofs() else { return };
    check(&roofs, 180, 30, 0.95, (0.68, 0.88));
}

#[test]
fn a_zone_with_forecast_weather_30_days_of_history_60_days() {
    let Some(zone) = zone() else { return };
    check(&zone, 30, 60, 0.8, (0.75, 0.88));
}

#[test]
fn a_zone_with_forecast_weather_270_days_of_history_60_days() {
    let Some(zone) = zone() else { return };
    check(&zone, 270, 60, 0.72, (0.75, 0.88));
}
