//! Wind and PV plants: nothing from the future, within bounds, by night nothing, through holes.

use forecast::backtest::Frame;
use forecast::backtest::Origins;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::Outlook;
use forecast::model::P10;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::pv::Pv;
use forecast::wind::Wind;

use crate::look_ahead;

/// Rated power of the plants, in MW.
const RATED_MW: f64 = 50.0;

/// Hours before the first reading of the worlds: the beginning of 2013, about.
const FIRST: i64 = 15_706 * 24;

/// A plant's world: what comes at each hour, weather first.
#[derive(Clone)]
struct World {
    said: Vec<Vec<Said>>,
    readings: Vec<f64>,
}

/// A number of [-1, 1) by its counter.
fn noise(counter: i64) -> f64 {
    let mut z = (counter as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn setup(kind: Kind, roles: &[Role]) -> Setup {
    let name = |role: &Role| Quantity { name: format!("{role:?}"), role: *role };
    Setup {
        kind,
        step_ms: 3_600_000,
        horizon: 24,
        quantities: roles.iter().map(name).collect(),
        holidays: Default::default(),
        clock_ahead: 0,
        capacity: Some(RATED_MW),
        place: (kind == Kind::Pv).then_some((-35.3, 149.1)),
    }
}

/// Fronts that pass in days, in m/s.
fn wind_ms(hour: i64) -> f64 {
    let slow = (hour as f64 / 17.0).sin() + (hour as f64 / 41.3).sin();
    (6.0 + 3.0 * slow + 0.7 * noise(hour)).max(0.0)
}

/// Twice a day 48 hours of wind, with errors that grow; every seventh issue has no first half.
fn windy(hours: i64) -> World {
    let mut said = vec![Vec::new(); hours as usize];
    for issued in (0..hours).step_by(12) {
        let leads = if issued % 84 == 0 { 25..49 } else { 1..49 };
        for lead in leads {
            let error = noise(7 * issued + 1_000_003 * lead) * lead as f64 / 24.0;
            let speed = (wind_ms(issued + lead) + error).max(0.0);
            let turn = issued as f64 / 50.0;
            for (quantity, part) in [turn.cos(), turn.sin()].into_iter().enumerate() {
                let (issued, index) = (FIRST + issued, FIRST + issued + lead);
                let value = (speed * part) as f32;
                said[(issued - FIRST) as usize].push(Said { issued, quantity, index, value });
            }
        }
    }
    let power = |hour: i64| (wind_ms(hour) / 11.0).powi(3).min(1.0) * RATED_MW;
    World { said, readings: (0..hours).map(power).collect() }
}

/// The irradiance a plant got, in W/m².
fn irradiance(hour: i64) -> f64 {
    let at_ms = (FIRST + hour) * 3_600_000;
    let (sine, _) = forecast::pv::sun::sun(at_ms, (-35.3, 149.1));
    let clouds = 0.35 + 0.3 * noise(hour / 24) + 0.1 * noise(hour);
    1000.0 * forecast::pv::sun::clear_kw_m2(sine) * (1.0 - clouds)
}

/// Irradiance a day ahead, not quite right.
fn sunny(hours: i64) -> World {
    let mut said = vec![Vec::new(); hours as usize];
    for (hour, said) in said.iter_mut().enumerate() {
        let issued = FIRST + hour as i64;
        for ahead in if hour == 0 { 0..=24 } else { 24..=24 } {
            let value = irradiance(hour as i64 + ahead) * (1.0 + 0.2 * noise(-issued - ahead));
            let index = issued + ahead;
            said.push(Said { issued, quantity: 0, index, value: value as f32 });
        }
    }
    World { said, readings: (0..hours).map(|h| irradiance(h) / 1000.0 * RATED_MW).collect() }
}

/// Tells a model what comes before `until` hours, from `from` on.
fn live<M: Model>(model: &mut M, world: &World, from: usize, until: usize) -> Outlook {
    for (said, reading) in world.said[from..until].iter().zip(&world.readings[from..until]) {
        model.know(said);
        model.observe(*reading);
    }
    model.outlook()
}

fn wind_setup() -> Setup {
    setup(Kind::Wind, &[Role::WindEast, Role::WindNorth])
}

fn wind() -> Wind {
    Wind::new(&wind_setup(), FIRST)
}

fn pv_setup() -> Setup {
    setup(Kind::Pv, &[Role::Radiation])
}

fn pv() -> Pv {
    Pv::new(&pv_setup(), FIRST)
}

/// Text that differs where a bit does (NaN included).
fn bits(outlook: &Outlook) -> String {
    format!("{outlook:?}")
}

/// Days after which the worlds part; wind is issued right then.
const DAYS: usize = 71;

/// What comes after the origin does not change what is said, and a record read back goes on alike.
#[track_caller]
fn check<M>(new: fn() -> M, setup: &Setup, world: &World)
where
    M: Model + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    let origin = DAYS * 24;
    let frame = Frame {
        setup: setup.clone(),
        first: FIRST,
        readings: world.readings.clone(),
        weather: world.said.concat(),
        window: FIRST + origin as i64 - 12..FIRST + origin as i64 + 14,
        origins: Origins::Every(1),
    };
    look_ahead::check_shuffled(&frame, FIRST + origin as i64 - 1, &|| Box::new(new()));
    let whole = live(&mut new(), world, 0, origin + 48);
    let mut first = new();
    live(&mut first, world, 0, origin / 2 + 5);
    let record = serde_json::to_string(&first).expect("a state can be written");
    let mut second: M = serde_json::from_str(&record).expect("a record can be read");
    let resumed = live(&mut second, world, origin / 2 + 5, origin + 48);
    assert_eq!(bits(&whole), bits(&resumed));
}

#[test]
fn wind_sees_no_future_and_resumes_alike() {
    check(wind, &wind_setup(), &windy((DAYS as i64 + 3) * 24));
}

#[test]
fn pv_sees_no_future_and_resumes_alike() {
    check(pv, &pv_setup(), &sunny((DAYS as i64 + 3) * 24));
}

/// The mean absolute error over the last days, of the model and of a naive forecast.
#[track_caller]
fn errors<M: Model>(mut model: M, world: &World, naive_lag: usize) -> (f64, f64) {
    let (mut ours, mut naive) = (0.0, 0.0);
    let last = world.readings.len() - 24;
    for hour in 0..last {
        let outlook = live(&mut model, world, hour, hour + 1);
        if hour < last - 240 {
            continue;
        }
        for (k, point) in outlook.points.iter().enumerate() {
            let actual = world.readings[hour + 1 + k];
            let known = (1..).map(|n| hour + 1 + k - naive_lag * n).find(|at| *at <= hour);
            ours += (point.value - actual).abs();
            naive += (world.readings[known.expect("a past hour")] - actual).abs();
        }
    }
    (ours, naive)
}

#[test]
fn wind_is_learned_from_its_issues() {
    let (ours, naive) = errors(wind(), &windy(60 * 24), 1);
    assert!(ours < 0.5 * naive, "{ours} {naive}");
}

#[test]
fn pv_is_learned_from_its_weather() {
    let (ours, naive) = errors(pv(), &sunny(60 * 24), 24);
    assert!(ours < 0.5 * naive, "{ours} {naive}");
}

#[test]
fn pv_without_weather_is_no_worse_than_yesterday() {
    let mut world = sunny(60 * 24);
    world.said.iter_mut().for_each(Vec::clear);
    let model = Pv::new(&setup(Kind::Pv, &[]), FIRST);
    let (ours, naive) = errors(model, &world, 24);
    assert!(ours < naive, "{ours} {naive}");
}

/// Every value of an outlook lies between nothing and the rated power.
#[track_caller]
fn check_bounds(outlook: &Outlook) {
    for point in &outlook.points {
        let all = point.quantiles.iter().chain([&point.value]);
        assert!(all.clone().all(|v| (0.0..=RATED_MW).contains(v)), "{point:?}");
        assert!(point.quantiles.is_sorted(), "{point:?}");
    }
}

#[test]
fn more_than_the_rated_power_is_never_said() {
    let mut world = windy(40 * 24);
    world.readings.iter_mut().for_each(|reading| *reading = *reading * 1.6 - 10.0);
    check_bounds(&live(&mut wind(), &world, 0, 40 * 24));
}

#[test]
fn night_is_zero_whatever_is_read() {
    let mut world = sunny(40 * 24);
    world.readings.iter_mut().for_each(|reading| *reading += 0.4);
    let outlook = live(&mut pv(), &world, 0, 40 * 24);
    check_bounds(&outlook);
    // 13 to 18 UTC is 23 to 04 in the east of Australia.
    let night = outlook.points.iter().filter(|p| (13..=18).contains(&p.index.rem_euclid(24)));
    let dark: Vec<f64> = night.flat_map(|p| p.quantiles).collect();
    assert_eq!(dark, vec![0.0; 66]);
    let noon = outlook.points.iter().find(|p| p.index.rem_euclid(24) == 2).expect("one a day");
    assert!(noon.quantiles[P10] > 0.0, "{noon:?}");
}

#[test]
fn without_issues_the_last_power_is_carried_on() {
    let mut world = windy(50 * 24);
    let silent = 45 * 24;
    world.said[silent..].iter_mut().for_each(Vec::clear);
    let outlook = live(&mut wind(), &world, 0, 50 * 24 - 1);
    check_bounds(&outlook);
    assert!(outlook.models[1].1.iter().all(|value| value.is_nan()));
    let (last, next) = (world.readings[50 * 24 - 2], outlook.points[0].value);
    assert!((next - last).abs() < 0.2 * RATED_MW, "{last} {next}");
}

#[test]
fn an_issue_without_its_first_hours_leaves_them_to_the_one_before() {
    let world = windy(42 * 24 + 1);
    // The newest issue, of hour 1008 = 12 * 84, begins 25 hours ahead.
    let outlook = live(&mut wind(), &world, 0, 42 * 24 + 1);
    assert!(outlook.models[1].1.iter().all(|value| value.is_finite()));
}

#[test]
fn a_word_about_the_past_changes_nothing() {
    let world = windy(40 * 24);
    let mut told = wind();
    let mut untold = wind();
    live(&mut told, &world, 0, 900);
    let newest = FIRST + 899;
    let late =
        (0..12).map(|k| Said { issued: newest, quantity: 0, index: newest - k, value: 25.0 });
    told.know(&late.collect::<Vec<Said>>());
    let said = live(&mut told, &world, 900, 905);
    live(&mut untold, &world, 0, 900);
    assert_eq!(bits(&said), bits(&live(&mut untold, &world, 900, 905)));
}

#[test]
fn missing_readings_are_not_learned_from() {
    let mut world = windy(50 * 24);
    world.readings.iter_mut().skip(600).step_by(3).for_each(|reading| *reading = f64::NAN);
    check_bounds(&live(&mut wind(), &world, 0, 50 * 24));
}

#[test]
fn what_fell_in_each_hour_follows_from_what_had_fallen() {
    let fell = forecast::pv::differences(&[1.0, 3.0, 3.0, 7.0, 2.0, 2.5], 21, 24);
    assert_eq!(fell, [1.0, 2.0, 0.0, 4.0, 2.0, 0.5]);
}
