//! Days, against published lists and against what was flagged in real series.
//!
//! The list is `holidays.txt` beside this file: what Python's `holidays` says of 2000 to 2024.
//! Where ours means to differ from it, the test says so.

use chrono::Datelike;
use chrono::NaiveDate;

use forecast::calendar::Annotation;
use forecast::calendar::AnnotationError;
use forecast::calendar::Annotations;
use forecast::calendar::Calendar;
use forecast::calendar::Civil;
use forecast::calendar::DayType;
use forecast::calendar::Effect;
use forecast::calendar::Holidays;
use forecast::calendar::Kind;
use forecast::calendar::Region;
use forecast::calendar::easter;
use forecast::calendar::infer;

use crate::watch_data::column;

const HOUR_MS: i64 = 3_600_000;

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn at(text: &str) -> i64 {
    Civil { date: date(&text[..10]), of_day_ms: 0 }.at_ms()
        + text[11..13].parse::<i64>().expect("an hour") * HOUR_MS
}

#[test]
fn an_instant_has_its_parts() {
    let civil = Civil::at(at("2024-12-31T13") + HOUR_MS / 2);
    assert_eq!((civil.slot(HOUR_MS / 2), civil.weekday(), civil.day_of_year()), (27, 1, 366));
    assert_eq!(civil.hour(), 13.5);
    assert_eq!(Civil::at(civil.at_ms()), civil);
}

#[test]
fn an_instant_before_the_epoch_has_them_too() {
    let civil = Civil::at(-1);
    assert_eq!((civil.date, civil.slot(HOUR_MS), civil.weekday()), (date("1969-12-31"), 23, 2));
}

/// Compares the days off of 2000 to 2024 with the list of Python's `holidays`, on the weekdays that
/// `compared` names (0 is Monday).
#[track_caller]
fn check(code: &str, compared: std::ops::Range<u32>) {
    let region: Region = code.parse().expect("a known code");
    let mut years = 0;
    for line in include_str!("holidays.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        if words.next() != Some(code) {
            continue;
        }
        let year: i32 = words.next().expect("a year").parse().expect("a number");
        let published = words.map(|day| date(&format!("{year}-{}-{}", &day[..2], &day[2..])));
        let kept = |date: &NaiveDate| compared.contains(&date.weekday().num_days_from_monday());
        let published: Vec<NaiveDate> = published.filter(kept).collect();
        let ours: Vec<NaiveDate> = region.in_year(year).into_iter().filter(kept).collect();
        assert_eq!(ours, published, "{code} {year}");
        years += 1;
    }
    assert_eq!(years, 25);
}

#[test]
fn holidays_of_the_united_states_are_those_published() {
    check("US", 0..7);
}

#[test]
fn holidays_of_massachusetts_are_those_published() {
    check("US-MA", 0..7);
}

#[test]
fn holidays_of_maine_are_those_published() {
    check("US-ME", 0..7);
}

#[test]
fn holidays_of_new_hampshire_are_those_published() {
    check("US-NH", 0..7);
}

#[test]
fn holidays_of_connecticut_are_those_published() {
    check("US-CT", 0..7);
}

#[test]
fn holidays_of_the_netherlands_are_those_published() {
    check("NL", 0..7);
}

#[test]
fn holidays_of_england_are_those_published() {
    check("GB", 0..7);
}

#[test]
fn holidays_of_victoria_on_working_days_are_those_published() {
    // The list drops a Christmas that is made up for on Tuesday; people do not.
    check("AU-VIC", 0..5);
}

#[test]
fn holidays_of_germany_are_those_published() {
    check("DE", 0..7);
}

#[test]
fn holidays_of_france_are_those_published() {
    check("FR", 0..7);
}

#[test]
fn easter_is_right_at_its_ends() {
    for sunday in ["1818-03-22", "1943-04-25", "2000-04-23", "2038-04-25", "2285-03-22"] {
        assert_eq!(easter(date(sunday).year()), Some(date(sunday)));
    }
}

#[test]
fn a_date_is_contained_as_its_year_lists_it() {
    for region in Region::ALL {
        let holidays = Holidays::of(region);
        let days = date("2003-12-01").iter_days().take(800);
        for day in days {
            let listed = holidays.in_year(day.year()).contains(&day);
            assert_eq!(holidays.contains(day), listed, "{region} {day}");
        }
    }
}

#[test]
fn an_unknown_code_is_refused_with_those_that_are_known() {
    let error = Holidays::parse("XX").unwrap_err().to_string();
    assert!(error.contains("\"XX\"") && error.contains("US-MA, US-ME"), "{error}");
    assert_eq!(Holidays::parse("none"), Ok(Holidays::none()));
    assert_eq!(Holidays::parse("au-vic").unwrap().region(), Some(Region::Victoria));
}

#[test]
fn given_dates_are_days_off_as_well() {
    let holidays = Holidays::none().with([date("2024-05-15")]);
    assert!(holidays.contains(date("2024-05-15")));
    assert!(!holidays.contains(date("2024-12-25")));
    let text = serde_json::to_string(&Holidays::of(Region::Maine).with([date("2024-05-15")]));
    assert_eq!(text.unwrap(), r#"{"region":"US-ME","given":["2024-05-15"]}"#);
}

#[track_caller]
fn check_list(text: &str, year: i32, expected: Result<usize, &str>) {
    let found = Holidays::of_list(text).map(|holidays| holidays.in_year(year).len());
    assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
}

#[test]
fn a_list_holds_a_region_and_dates() {
    let of_gb = Region::GreatBritain.in_year(2026).len();
    check_list("none", 2026, Ok(0));
    check_list("", 2026, Ok(0));
    check_list("gb", 2026, Ok(of_gb));
    check_list("GB, 2026-06-03,2026-06-04", 2026, Ok(of_gb + 2));
    check_list("2026-06-03, 2027-06-03", 2026, Ok(1));
    let known = "give dates, or one of US, US-MA, US-ME, US-NH, US-CT, NL, GB, AU-VIC, DE, FR";
    let unknown = format!("no holidays are known for \"GB-EAW\"; {known}");
    check_list("GB-EAW", 2026, Err(&unknown));
    let second = "NL is a second region beside GB; give its days as dates";
    check_list("GB, NL", 2026, Err(second));
}

#[test]
fn days_are_those_of_all_years_between() {
    let holidays = Holidays::of_list("2025-12-31, 2026-06-03, 2028-01-01").unwrap();
    let days = holidays.days(at("2025-07-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    assert_eq!(days.into_iter().collect::<Vec<i64>>(), [20_453, 20_607]);
    let none = holidays.days(at("2027-03-01T00:00:00Z"), at("2027-04-01T00:00:00Z"));
    assert!(none.is_empty());
}

#[track_caller]
fn check_type(code: &str, day: &str, expected: DayType) {
    assert_eq!(Holidays::parse(code).expect("a code").day_type(date(day)), expected);
}

#[test]
fn a_holiday_is_a_sunday() {
    check_type("NL", "2024-05-09", DayType::SundayOrHoliday);
    check_type("GB", "2024-05-09", DayType::Working);
}

#[test]
fn the_friday_after_ascension_is_a_bridge() {
    check_type("NL", "2024-05-10", DayType::Bridge);
}

#[test]
fn the_monday_before_the_cup_is_a_bridge() {
    check_type("AU-VIC", "2012-11-05", DayType::Bridge);
}

#[test]
fn a_saturday_is_one_unless_it_is_a_holiday() {
    check_type("NL", "2024-05-11", DayType::Saturday);
    check_type("NL", "2024-04-27", DayType::SundayOrHoliday);
}

fn closure(from: &str, to: &str, subject: &str, effect: Effect) -> Annotation {
    let kind = Kind::Closure;
    Annotation { from_ms: at(from), to_ms: at(to), kind, subject: subject.to_owned(), effect }
}

#[test]
fn a_closure_is_like_a_holiday_for_its_subject_only() {
    let mut calendar = Calendar::default();
    let shut = closure("2024-05-13T00", "2024-05-18T00", "mill", Effect::LikeHoliday);
    calendar.annotations.add(shut.clone()).unwrap();
    let during = at("2024-05-15T10");
    assert_eq!(calendar.day_type(during, "mill"), DayType::SundayOrHoliday);
    assert_eq!(calendar.day_type(during, "school"), DayType::Working);
    assert_eq!(calendar.day_type(at("2024-05-20T00"), "mill"), DayType::Working);
    assert!(!calendar.ignores(during, "mill"));
    assert!(calendar.annotations.remove(&shut));
    assert_eq!(calendar, Calendar::default());
}

#[test]
fn an_outage_teaches_nothing_even_within_a_closure() {
    let mut annotations = Annotations::default();
    let shut = closure("2024-05-13T00", "2024-05-18T00", "", Effect::LikeHoliday);
    let outage = closure("2024-05-14T00", "2024-05-14T06", "mill", Effect::LearnNothing);
    annotations.add(shut.clone()).unwrap();
    annotations.add(outage.clone()).unwrap();
    assert_eq!(annotations.at(at("2024-05-14T05"), "mill"), Some(&outage));
    assert_eq!(annotations.at(at("2024-05-14T06"), "mill"), Some(&shut));
    assert_eq!(annotations.at(at("2024-05-18T00"), "mill"), None);
}

#[test]
fn an_interval_that_ends_before_it_begins_is_refused() {
    let wrong = closure("2024-05-13T00", "2024-05-13T00", "", Effect::LikeHoliday);
    assert_eq!(Annotations::default().add(wrong), Err(AnnotationError::Empty));
}

#[test]
fn a_calendar_reads_the_clock_that_people_live_by() {
    let mut calendar = Calendar { holidays: Holidays::of(Region::Victoria), ..Calendar::default() };
    let utc = at("2012-12-24T20");
    assert_eq!(calendar.day_type(utc, ""), DayType::Bridge);
    calendar.offset_ms = 10 * HOUR_MS;
    assert_eq!(calendar.day_type(utc, ""), DayType::SundayOrHoliday);
}

#[track_caller]
fn check_inferred(file: &str, name: &str, offset_hours: i64, expected: Option<Region>) {
    let Some(column) = column(file, name) else { return };
    let known = column.iter().filter_map(|(at, value)| value.map(|value| (*at, value)));
    let inferred = infer(known.map(|(at, value)| (at + offset_hours * HOUR_MS, value)));
    assert_eq!(inferred.region, expected, "{inferred:#?}");
}

#[test]
fn the_load_of_victoria_names_its_calendar() {
    check_inferred("load_vic_au_30min_2012_2013.csv", "load_mw", 10, Some(Region::Victoria));
}

#[test]
fn american_zones_name_their_country() {
    let file = "load_gefcom2012_us_zones01-10_hourly_2004_2008.csv";
    check_inferred(file, "z02_kw", 0, Some(Region::UnitedStates));
    check_inferred(file, "z01_kw", 0, Some(Region::UnitedStates));
}

#[test]
fn homes_that_hardly_keep_their_days_off_name_no_calendar() {
    check_inferred("load_bigdeal2022_LDC2_hourly_2015_2018.csv", "LDC2_load_mw", 0, None);
}

#[test]
fn four_months_of_maine_do_not() {
    let file = "load_isone_zones_ME_NH_CT_NEMASSBOST_hourly_2017-01_2017-04.csv";
    check_inferred(file, "ME_load_mw", 0, None);
    check_inferred(file, "CT_load_mw", 0, None);
}

#[test]
fn twelve_weeks_of_summer_name_no_calendar() {
    check_inferred("load_taylor_england_wales_30min_2000.csv", "load_mw", 0, None);
}

#[test]
fn nothing_is_inferred_from_nothing() {
    assert_eq!(infer([]).region, None);
    assert_eq!(infer((0..10_000).map(|hour| (hour * HOUR_MS, 5.0))).region, None);
}

#[test]
fn flagged_days_of_victoria_are_days_off() {
    let Some(column) = column("load_vic_au_30min_2012_2013.csv", "holiday") else { return };
    let holidays = Holidays::of(Region::Victoria);
    let mut flagged = 0;
    for (at_ms, flag) in column {
        // Noon in Melbourne, whatever the season.
        let civil = Civil::at(at_ms + 10 * HOUR_MS);
        if civil.hour() == 12.0 && flag == Some(1.0) {
            assert!(holidays.contains(civil.date), "{}", civil.date);
            flagged += 1;
        }
    }
    assert_eq!(flagged, 21);
}
