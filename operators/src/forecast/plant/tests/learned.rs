//! Models of plants in the kernel, against the model of the crate that was told all at once.

use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::P10;
use forecast::model::P50;
use forecast::model::P90;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::plant::Breadth;
use forecast::plant::unit::Unit;
use schemas::decision::Forecast;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::NOW;
use super::Told;
use super::asset;
use super::history;
use super::plant_hour;
use super::step;
use super::sunny;
use crate::forecast::plant::PlantKernel;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// Days of history, and days that are lived.
const PAST_DAYS: u64 = 20;
const DAYS: u64 = 5;

/// Rated power in kW.
const RATED_KW: f64 = 5.0;

/// The irradiance that goes with the plant.
fn light(hour: u64) -> f32 {
    (200.0 * sunny(hour) + (hour * hour % 7) as f64) as f32
}

/// What a service expects of an hour, `lead` hours before it.
fn expected(hour: u64, lead: u64) -> f32 {
    light(hour) * (1.0 + 0.01 * ((hour + 3 * lead) % 9) as f32)
}

fn seen(hour: u64, origin: &str) -> WeatherHour {
    WeatherHour {
        station_id: "s".to_owned(),
        feeder_id: "f".to_owned(),
        hour_at: Timestamp(hour * HOUR_MS),
        origin: origin.to_owned(),
        temperature_c: f64::NAN,
        global_w_per_m2: Some(f64::from(light(hour))),
        wind_m_per_s: None,
    }
}

/// An issue of the service: thirty hours.
fn issue(present: u64) -> Vec<WeatherAhead> {
    let row = |hour: u64| WeatherAhead {
        station_id: "s".to_owned(),
        feeder_id: "f".to_owned(),
        hour_at: Timestamp(hour * HOUR_MS),
        issued_at: Timestamp(present * HOUR_MS),
        temperature_c: f64::NAN,
        global_w_per_m2: Some(f64::from(expected(hour, hour - present))),
        wind_m_per_s: None,
    };
    (present..present + 30).map(row).collect()
}

/// What is told at a tick of the hour `present`; all that is before, at the first.
fn told(present: u64, weather: bool) -> Told {
    let first = present == NOW;
    let mut told = Told::default();
    if first {
        told.assets = vec![(asset("p", "pv", RATED_KW), 1)];
        told.hours = history("p", PAST_DAYS * 24, sunny);
        let past = NOW - PAST_DAYS * 24..NOW;
        told.seen = past.map(|hour| seen(hour, "history")).collect();
    } else {
        told.hours = vec![plant_hour("p", present - 1, "measured", sunny(present - 1))];
        told.seen = vec![seen(present - 1, "measured")];
    }
    if present.is_multiple_of(6) {
        told.ahead = issue(present);
    }
    if !weather {
        (told.seen, told.ahead) = (Vec::new(), Vec::new());
    }
    told
}

/// The crate's own model, told what is known at the end, and the weather as it was known.
fn direct(weather: bool) -> Unit {
    let quantities = vec![Quantity { name: "s radiation".to_owned(), role: Role::Radiation }];
    let setup = Setup {
        kind: Kind::Pv,
        step_ms: HOUR_MS as i64,
        horizon: 24,
        quantities: if weather { quantities } else { Vec::new() },
        holidays: Default::default(),
        clock_ahead: 0,
        capacity: Some(RATED_KW),
        place: None,
    };
    let first = NOW - PAST_DAYS * 24;
    let mut unit = Unit::new(&setup, first as i64, Breadth::Lean);
    let said = |over: u64, index: u64, value: f32| Said {
        issued: over as i64,
        quantity: 0,
        index: index as i64,
        value,
    };
    for over in first..NOW + DAYS * 24 {
        let present = over + 1;
        let mut words = Vec::new();
        let (issued, live) = (present - present % 6, present >= NOW);
        if !live && present.is_multiple_of(12) {
            // The past is told as if it had been forecast; what is ahead of the start, as it is.
            let known = |hour| if hour < NOW { light(hour) } else { expected(hour, hour - NOW) };
            let hours = (over..over + 49).filter(|hour| *hour < NOW + 30);
            words.extend(hours.map(|hour| said(over, hour, known(hour))));
        }
        if live {
            words.push(said(over, over, light(over)));
        }
        if live && present == issued {
            let hours = present..present + 30;
            words.extend(hours.map(|hour| said(over, hour, expected(hour, hour - issued))));
        }
        if weather {
            unit.know(&words);
        }
        // The kernel keeps hours in half the bits.
        unit.observe(f64::from(sunny(over) as f32));
    }
    unit
}

/// Lives so many days with late and wrong hours and restarts. The last forecast.
fn lived(weather: bool) -> Vec<Forecast> {
    let mut kernel = PlantKernel::new(Settings::default());
    let mut last = Vec::new();
    for present in NOW..=NOW + DAYS * 24 {
        let start = Timestamp(present * HOUR_MS);
        let mut first = told(present, weather);
        // Each seventh hour comes five hours late; each fifth is said wrong at first, and put right
        // two days later.
        if present.is_multiple_of(7) && present < NOW + DAYS * 24 - 5 {
            first.hours.retain(|row| present == NOW || row.origin == "history");
        }
        let wrong =
            |hour: u64| hour >= NOW && hour.is_multiple_of(5) && hour < NOW + DAYS * 24 - 50;
        for row in first.hours.iter_mut().filter(|row| wrong(row.hour_at.0 / HOUR_MS)) {
            row.power_kw = 0.75;
        }
        let (rows, _) = step(&mut kernel, start, &first);
        last = if rows.is_empty() { last } else { rows };
        let late = (NOW..present).filter(|hour| {
            let due = *hour + 5 == present && (hour + 1).is_multiple_of(7);
            due || (*hour + 49 == present && wrong(*hour))
        });
        let late = late.map(|hour| plant_hour("p", hour, "measured", sunny(hour)));
        let late = Told { hours: late.collect(), ..Told::default() };
        for tick in 1..8 {
            let none = Told::default();
            let told = if tick == 1 { &late } else { &none };
            let (rows, _) = step(&mut kernel, start.plus(tick * 5_000), told);
            last = if rows.is_empty() { last } else { rows };
        }
        if present.is_multiple_of(17) {
            let mut other = PlantKernel::new(Settings::default());
            other.restore(&kernel.save()).unwrap();
            kernel = other;
        }
    }
    last
}

#[track_caller]
fn check(weather: bool) {
    let rows = lived(weather);
    assert_eq!((rows.len(), rows[0].model_version.as_str()), (24, "pv-ridge-1"));
    assert_eq!(rows[0].issued_at.0 / HOUR_MS, NOW + DAYS * 24);
    let outlook = direct(weather).outlook();
    for (row, point) in rows.iter().zip(&outlook.points) {
        assert_eq!(row.target_at.0 / HOUR_MS, point.index as u64);
        let said = [row.p10_kw, row.p50_kw, row.p90_kw];
        assert_eq!(said, [P10, P50, P90].map(|level| point.quantiles[level]), "{point:?}");
    }
    assert!(rows.iter().any(|row| row.p50_kw > 1.0 && row.p10_kw < row.p90_kw));
    let told = |name: &str| rows.iter().filter(|row| row.because.contains(name)).count();
    assert!(told("night 0.00") > 6 && told("yesterday ") > 6, "{rows:#?}");
    let (by_look, other) =
        if weather { ("weather ", "pattern ") } else { ("pattern ", "weather ") };
    assert!(told(by_look) > 6 && told(other) == 0, "{rows:#?}");
}

#[test]
fn late_hours_and_restarts_end_where_the_crates_model_is_that_knew_all() {
    check(false);
}

#[test]
fn the_same_with_weather_as_it_was_issued() {
    check(true);
}

/// Forecasts until the hour `until`, where later all is otherwise.
fn until(until: u64, other: bool) -> Vec<Forecast> {
    let mut kernel = PlantKernel::new(Settings::default());
    let mut said = Vec::new();
    for present in NOW..NOW + 48 {
        let mut told = told(present, true);
        if other && present > until {
            told.hours.iter_mut().for_each(|row| row.power_kw = 0.125);
            told.ahead.iter_mut().for_each(|row| row.global_w_per_m2 = Some(9.0));
            told.seen.iter_mut().for_each(|row| row.global_w_per_m2 = Some(9.0));
        }
        // Said before it is issued, of an hour that is not over: not to be known yet.
        if other && present == until {
            told.hours.push(plant_hour("p", present, "measured", 4.0));
            told.hours.push(plant_hour("p", present + 3, "measured", 4.0));
            told.ahead.extend(issue(present + 6));
        }
        for tick in 0..8 {
            let at = Timestamp(present * HOUR_MS).plus(tick * 5_000);
            let none = Told::default();
            let (rows, _) = step(&mut kernel, at, if tick == 0 { &told } else { &none });
            said.extend(rows);
        }
    }
    said
}

#[test]
fn what_comes_later_changes_nothing_that_was_said_before() {
    let origin = NOW + 30;
    let before = |rows: &[Forecast]| -> Vec<Forecast> {
        let origin = Timestamp(origin * HOUR_MS + 60_000);
        rows.iter().filter(|row| row.issued_at <= origin).cloned().collect()
    };
    let (one, two) = (until(origin, false), until(origin, true));
    assert_eq!(before(&one), before(&two));
    assert!(before(&one).iter().any(|row| row.model_version == "pv-ridge-1"));
    assert_ne!(one, two, "what came later differed");
}

#[test]
fn versions_tell_what_they_look_at_and_who_ceased() {
    let mut kernel = PlantKernel::new(Settings::default());
    let mut versions = Vec::new();
    let mut who = std::collections::BTreeSet::new();
    for present in NOW..NOW + 60 {
        for tick in 0..8 {
            let at = Timestamp(present * HOUR_MS).plus(tick * 5_000);
            let mut news = if tick == 0 { told(present, true) } else { Told::default() };
            if present == NOW + 30 && tick == 0 {
                // More panels.
                news.assets = vec![(asset("p", "pv", 5.0), -1), (asset("p", "pv", 8.0), 1)];
            }
            let (rows, said) = step(&mut kernel, at, &news);
            versions.extend(said);
            who.extend(rows.into_iter().map(|row| row.model_version));
        }
    }
    let told: Vec<(i64, &str, &str)> =
        versions.iter().map(|v| (v.version, v.state.as_str(), v.reason.as_str())).collect();
    let reason = "the rated power or the kind is another";
    assert_eq!(
        told,
        [
            (1, "promoted", "the first with enough history"),
            (1, "retired", "pv-ridge-2 answers now"),
            (2, "promoted", reason)
        ]
    );
    let first = &versions[0];
    assert_eq!((first.scope.as_str(), first.model.as_str()), ("plant", "pv-ridge"));
    assert_eq!(first.features, "hour of the day, past power, s radiation");
    assert!(first.parameters.contains("\"rated_kw\":5.0"), "{}", first.parameters);
    let who: Vec<String> = who.into_iter().collect();
    assert_eq!(who, ["pv-ridge-1", "pv-ridge-2", "yesterday-1"]);
}

#[test]
fn night_is_zero_and_the_rated_power_a_bound() {
    let rows = lived(true);
    for row in &rows {
        let hour = row.target_at.0 / HOUR_MS % 24;
        let all = [row.p10_kw, row.p50_kw, row.p90_kw];
        assert!(all.is_sorted() && all[0] >= 0.0 && all[2] <= RATED_KW, "{row:?}");
        assert_eq!(sunny(row.target_at.0 / HOUR_MS) == 0.0, row.p90_kw == 0.0, "hour {hour}");
    }
}

/// Fronts that pass in a day or two, in m/s.
fn wind(hour: u64) -> f64 {
    let slow = (hour as f64 / 11.0).sin() + (hour as f64 / 29.3).sin();
    6.0 + 2.5 * slow
}

fn turbine(hour: u64) -> f64 {
    RATED_KW * (wind(hour) / 11.0).powi(3).min(1.0)
}

#[test]
fn a_wind_plant_is_told_the_wind_and_better_than_persistence() {
    let mut kernel = PlantKernel::new(Settings::default());
    let (mut versions, mut ours, mut persistence) = (Vec::new(), 0.0, 0.0);
    for present in NOW..NOW + 72 {
        let mut told = told(present, true);
        if present == NOW {
            told.assets = vec![(asset("p", "wind", RATED_KW), 1)];
        }
        let power = |row: &mut schemas::state::PlantHour| {
            row.power_kw = turbine(row.hour_at.0 / HOUR_MS);
        };
        told.hours.iter_mut().for_each(power);
        for row in &mut told.seen {
            row.wind_m_per_s = Some(wind(row.hour_at.0 / HOUR_MS));
        }
        for row in &mut told.ahead {
            row.wind_m_per_s = Some(wind(row.hour_at.0 / HOUR_MS));
        }
        for tick in 0..8 {
            let at = Timestamp(present * HOUR_MS).plus(tick * 5_000);
            let none = Told::default();
            let (rows, said) = step(&mut kernel, at, if tick == 0 { &told } else { &none });
            versions.extend(said);
            for row in rows.iter().filter(|row| row.model_version == "wind-ridge-1") {
                let came = turbine(row.target_at.0 / HOUR_MS);
                ours += (row.p50_kw - came).abs();
                persistence += (turbine(present - 1) - came).abs();
            }
        }
    }
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].features, "hour of the day, past power, s wind");
    assert!(ours > 0.0 && ours < 0.5 * persistence, "{ours} {persistence}");
}
