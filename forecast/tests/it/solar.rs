//! The sun against published values and against what was measured.
//!
//! Position against the worked example of NREL, formulas of light against pvlib, clear skies and
//! places against the plant SERF at Golden and two plants near Canberra.

use forecast::solar::Array;
use forecast::solar::Irradiance;
use forecast::solar::Place;
use forecast::solar::Sun;
use forecast::solar::air_mass;
use forecast::solar::cell_temperature_c;
use forecast::solar::erbs;
use forecast::solar::haurwitz_wm2;
use forecast::solar::ineichen_wm2;
use forecast::solar::locate;
use forecast::solar::on_plane_wm2;
use forecast::solar::power_kw;
use forecast::solar::sun;

use crate::watch_data::Column;
use crate::watch_data::column;

const SERF: &str = "pv_nrel_serf_east_15min_2016.csv";
const GOLDEN: Place = Place { latitude_deg: 39.74, longitude_deg: -105.18 };
const GOLDEN_ALTITUDE_M: f64 = 1829.0;

fn at(text: &str) -> i64 {
    let at = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").expect("an instant");
    at.and_utc().timestamp_millis()
}

#[track_caller]
fn check(value: f64, expected: f64, within: f64) {
    assert!((value - expected).abs() <= within, "{value} is not {expected} within {within}");
}

#[test]
fn the_sun_stands_where_the_worked_example_of_spa_has_it() {
    // NREL/TP-560-34302, table A5.1: zenith 50.11162, azimuth 194.34024 degrees.
    let sun = sun(at("2003-10-17T19:30:30"), GOLDEN_OF_SPA);
    check(90.0 - sun.elevation_deg, 50.111_62, 0.01);
    check(sun.azimuth_deg, 194.340_24, 0.01);
}

const GOLDEN_OF_SPA: Place = Place { latitude_deg: 39.742_476, longitude_deg: -105.178_6 };

#[test]
fn the_sun_is_nearest_in_january() {
    let place = Place { latitude_deg: 0.0, longitude_deg: 0.0 };
    let [january, july] = ["2016-01-03T12:00:00", "2016-07-04T12:00:00"].map(at);
    let ratio = sun(january, place).extraterrestrial_wm2 / sun(july, place).extraterrestrial_wm2;
    check(ratio, (1.016_75f64 / 0.983_29).powi(2), 0.001);
}

#[test]
fn the_sun_is_in_the_north_at_noon_in_melbourne() {
    let melbourne = Place { latitude_deg: -37.81, longitude_deg: 144.96 };
    let sun = sun(at("2012-12-21T02:17:00"), melbourne);
    check(sun.elevation_deg, 90.0 - 37.81 + 23.44, 0.1);
    assert!(sun.azimuth_deg < 5.0 || sun.azimuth_deg > 355.0, "{}", sun.azimuth_deg);
}

fn above(elevation_deg: f64) -> Sun {
    Sun { elevation_deg, azimuth_deg: 180.0, extraterrestrial_wm2: 1361.1 }
}

/// Values of pvlib 0.16.1.
#[test]
fn air_mass_is_that_of_pvlib() {
    check(air_mass(above(90.0)).unwrap(), 0.999_711_99, 1e-8);
    check(air_mass(above(10.0)).unwrap(), 5.586_035_88, 1e-8);
    check(air_mass(above(1.0)).unwrap(), 26.310_555_07, 1e-8);
    assert_eq!(air_mass(above(-1.0)), None);
}

#[test]
fn clear_skies_are_those_of_pvlib() {
    check(ineichen_wm2(above(60.0), 1829.0, 2.5), 1_008.127_5, 0.1);
    check(ineichen_wm2(above(30.0), 0.0, 3.0), 468.623_8, 0.01);
    check(ineichen_wm2(above(10.0), 500.0, 5.0), 69.530_4, 0.01);
    check(haurwitz_wm2(above(60.0)), 888.271_335, 1e-5);
    check(haurwitz_wm2(above(10.0)), 135.741_748, 1e-5);
}

#[test]
fn the_tilted_plane_is_that_of_pvlib() {
    let sun = Sun { elevation_deg: 40.0, azimuth_deg: 200.0, extraterrestrial_wm2: 1361.1 };
    let light = Irradiance { global_wm2: 599.951_326_8, diffuse_wm2: 150.0, beam_wm2: 700.0 };
    let array = Array { azimuth_deg: 160.0, ..array(35.0) };
    check(on_plane_wm2(sun, light, &array), 784.896_572_7, 1e-6);
}

#[test]
fn the_split_is_that_of_pvlib() {
    let sun = Sun { extraterrestrial_wm2: 1_321.768_619_945_1, ..above(30.0) };
    check(erbs(sun, 500.0).diffuse_wm2, 88.978_796_5, 1e-6);
    check(erbs(sun, 500.0).beam_wm2, 822.042_407, 1e-5);
}

#[test]
fn the_night_is_dark() {
    assert_eq!(haurwitz_wm2(above(-3.0)), 0.0);
    assert_eq!(ineichen_wm2(above(-3.0), 0.0, 3.0), 0.0);
}

#[test]
fn a_dull_sky_is_diffuse_and_a_clear_one_is_beam() {
    let split = |global| erbs(above(30.0), global);
    assert!(split(100.0).diffuse_wm2 > 98.0);
    let clear = split(0.85 * 1361.1 * 0.5);
    check(clear.diffuse_wm2 / clear.global_wm2, 0.165, 1e-9);
    for light in [split(100.0), split(350.0), clear] {
        check(light.diffuse_wm2 + 0.5 * light.beam_wm2, light.global_wm2, 1e-9);
    }
}

fn array(tilt_deg: f64) -> Array {
    Array {
        tilt_deg,
        azimuth_deg: 180.0,
        dc_kw: 6.0,
        ac_max_kw: 5.0,
        losses: 0.14,
        inverter_losses: 0.04,
        temperature_coefficient: -0.004,
    }
}

#[test]
fn a_flat_array_receives_the_global_irradiance() {
    let light = erbs(above(40.0), 500.0);
    check(on_plane_wm2(above(40.0), light, &array(0.0)), 500.0, 1e-9);
}

#[test]
fn an_array_that_faces_the_sun_receives_the_whole_beam() {
    let light = Irradiance { global_wm2: 500.0, diffuse_wm2: 0.0, beam_wm2: 1000.0 };
    let on_plane = on_plane_wm2(above(30.0), light, &array(60.0));
    check(on_plane, 1000.0 + 500.0 * 0.2 * 0.25, 1e-9);
}

#[test]
fn power_is_what_pvwatts_says_up_to_the_limit_of_the_inverter() {
    check(power_kw(&array(30.0), 500.0, 25.0), 6.0 * 0.5 * 0.86 * 0.96, 1e-9);
    check(power_kw(&array(30.0), 500.0, 45.0), 6.0 * 0.5 * 0.92 * 0.86 * 0.96, 1e-9);
    check(power_kw(&array(30.0), 1400.0, 25.0), 5.0, 1e-9);
    check(cell_temperature_c(20.0, 800.0), 44.0, 1e-9);
}

/// Mean absolute error of a clear sky over the mean of that of NREL, by day.
#[track_caller]
fn check_clear_sky(name: &str, model: fn(Sun) -> f64, within: f64) {
    let Some(clear) = column(SERF, "ghi_clear_wm2") else { return };
    let (mut error, mut bias, mut total) = (0.0, 0.0, 0.0);
    for (at_ms, value) in clear.iter().filter_map(|(at, value)| value.map(|value| (*at, value))) {
        let off = model(sun(at_ms, GOLDEN)) - value;
        error += off.abs();
        bias += off;
        total += value;
    }
    let said = format!("{name}: error {:.4}, bias {:.4}", error / total, bias / total);
    eprintln!("{said}");
    assert!(error / total < within, "{said}");
}

/// Mean of July to October in the map of Linke turbidity that pvlib ships.
const GOLDEN_TURBIDITY: f64 = 3.75;

#[test]
fn ineichen_and_perez_are_near_the_clear_sky_of_nrel() {
    check_clear_sky(
        "ineichen",
        |sun| ineichen_wm2(sun, GOLDEN_ALTITUDE_M, GOLDEN_TURBIDITY),
        0.065,
    );
}

#[test]
fn haurwitz_is_not_far_from_the_clear_sky_of_nrel() {
    check_clear_sky("haurwitz", haurwitz_wm2, 0.04);
}

/// Locates a column whose values belong to `middle_ms` after their instant.
#[track_caller]
fn check_located(file: &str, name: &str, middle_ms: i64, place: Place, within_deg: f64) {
    let Some(column) = column(file, name) else { return };
    let located = locate(&known(&column, middle_ms)).expect("a plant");
    let north = located.place.latitude_deg - place.latitude_deg;
    let east = located.place.longitude_deg - place.longitude_deg;
    eprintln!("{file} {name}: {north:+.2} north {east:+.2} east, {located:?}");
    assert!(north.abs() < within_deg && east.abs() < within_deg, "{located:?}");
}

fn known(column: &Column, middle_ms: i64) -> Vec<(i64, f64)> {
    column.iter().filter_map(|(at, value)| value.map(|value| (at + middle_ms, value))).collect()
}

#[test]
fn the_power_of_serf_tells_where_it_stands() {
    check_located(SERF, "ac_power_kw", 0, GOLDEN, 4.0);
}

#[test]
fn the_irradiance_of_golden_tells_where_it_is() {
    check_located(SERF, "ghi_wm2", 0, GOLDEN, 3.0);
}

/// The plants of GEFCom2014 stand near Canberra; their hours are named by their end.
const CANBERRA: Place = Place { latitude_deg: -35.3, longitude_deg: 149.1 };

#[test]
fn hours_of_a_plant_in_canberra_tell_where_it_stands() {
    let file = "pv_gefcom2014_zone1_hourly_with_ecmwf.csv";
    check_located(file, "power_pu", -1_800_000, CANBERRA, 3.0);
    let file = "pv_gefcom2014_zone2_hourly_with_ecmwf.csv";
    check_located(file, "power_pu", -1_800_000, CANBERRA, 3.0);
}

#[test]
fn a_load_is_located_nowhere() {
    let file = "load_vic_au_30min_2012_2013.csv";
    let Some(column) = column(file, "load_mw") else { return };
    assert_eq!(locate(&known(&column, 0)), None);
}
