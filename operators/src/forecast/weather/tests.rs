//! Who is listened to, and what is kept of those who are silent.

use schemas::relation::Relation;

use super::*;

/// A station says something of the hour that has just ended.
fn hear(weather: &mut Weather, station: &str, present: u64) {
    let row = WeatherHour {
        station_id: station.to_owned(),
        hour_at: Timestamp((present - 1) * HOUR_MS),
        temperature_c: present as f64,
        global_w_per_m2: None,
        wind_m_per_s: None,
        ..WeatherHour::example()
    };
    weather.see(Timestamp(present * HOUR_MS), &row);
}

fn names(weather: &Weather) -> Vec<String> {
    let all = weather.quantities().into_iter().map(|quantity| quantity.name);
    all.map(|name| name.replace(" temperature", "")).collect()
}

/// Stations that speak every hour, one that is silent from the first on, and one that comes late.
fn lived(hours: u64) -> Weather {
    let mut weather = Weather::default();
    let stations: Vec<String> = (0..STREAMS_MAX).map(|n| format!("s{n}")).collect();
    stations.iter().for_each(|station| hear(&mut weather, station, 1_000));
    for present in 1_001..=1_000 + hours {
        stations[1..].iter().for_each(|station| hear(&mut weather, station, present));
        hear(&mut weather, "late", present);
        weather.advance(present);
    }
    weather
}

#[test]
fn one_more_is_not_listened_to_while_all_speak() {
    assert_eq!(names(&lived(SILENT_HOURS)).len(), STREAMS_MAX);
}

#[test]
fn who_is_silent_for_four_weeks_gives_its_place_away_and_keeps_its_number() {
    let mut weather = lived(SILENT_HOURS + 1);
    let all = names(&weather);
    assert_eq!(all.len(), STREAMS_MAX + 1);
    assert_eq!((all[0].as_str(), all[STREAMS_MAX].as_str()), ("s0", "late"));
    // What it said is there, and it is heard when it speaks again.
    assert_eq!(weather.window(999, 1_000)[0], [1_000.0]);
    let present = 1_002 + SILENT_HOURS;
    hear(&mut weather, "s0", present);
    weather.advance(present);
    assert_eq!(names(&weather), all);
    assert_eq!(weather.window(present - 1, present)[0], [present as f32]);
}

#[test]
fn stations_that_come_and_go_are_kept_up_to_a_bound() {
    let mut weather = Weather::default();
    for month in 0..10_u64 {
        let present = 1_000 + month * (SILENT_HOURS + 1);
        (0..12).for_each(|n| hear(&mut weather, &format!("s{month}-{n}"), present));
    }
    assert_eq!(names(&weather).len(), STREAMS_KEPT);
}

#[test]
fn what_another_heard_before_is_taken_in_and_what_was_heard_since_stays() {
    let (mut before, mut own) = (Weather::default(), Weather::default());
    (100..150).for_each(|present| hear(&mut before, "s", present));
    hear(&mut before, "elsewhere", 120);
    // Its own word on an hour goes before that of the other.
    (140..160).for_each(|present| hear(&mut own, "s", present));
    own.set(0, 145, -7.0);
    own.take_in(&BTreeSet::from(["s".to_owned()]), &before);
    assert_eq!(names(&own), ["s"]);
    let all = own.window(99, 159).remove(0);
    let due = (99..159).map(|hour| if hour == 145 { -7.0 } else { (hour + 1) as f32 });
    assert_eq!(all, due.collect::<Vec<f32>>());
    // Twice is once.
    own.take_in(&BTreeSet::from(["s".to_owned()]), &before);
    assert_eq!(own.window(99, 159), [all]);
}
