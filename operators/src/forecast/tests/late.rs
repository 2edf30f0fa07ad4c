//! Weather that is heard first when the models are there.

use schemas::time::HOUR_MS;

use super::model::START;
use super::model::Village;
use super::model::load_kw;
use crate::forecast::ForecastKernel;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// The hour of which the station says something first.
const SEEN: u64 = START + 10 * 24 + 3;

/// Mean absolute error of what is forecast of the feeder.
fn error(village: &Village, hour: u64) -> f64 {
    let said = village.p50("f").into_iter().zip(hour + 1..);
    said.map(|(kw, hour)| (kw - load_kw(0, hour) - load_kw(1, hour)).abs()).sum::<f64>() / 24.0
}

#[test]
fn a_station_that_begins_late_is_heard_by_the_models_that_are_there_restarted_or_not() {
    let (mut village, mut other) = (Village::blind(2), Village::blind(2));
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut told = Vec::new();
    for hour in START..START + 60 * 24 {
        if hour == SEEN {
            [&mut village, &mut other].into_iter().for_each(Village::look_up);
        }
        [&mut village, &mut other].into_iter().for_each(|v| v.live_at(hour, |b| load_kw(b, hour)));
        assert_eq!(village.forecasts, other.forecasts, "hour {hour}");
        assert_eq!(village.versions, other.versions, "hour {hour}");
        let began =
            village.versions.iter().filter(|row| row.state == "promoted" && row.version > 1);
        told.extend(began.map(|row| (hour, row.clone())));
        let error = error(&village, hour);
        if hour > SEEN && told.iter().all(|(_, row)| row.subject_id != "f") {
            before.push(error);
        } else if told.len() == 3 {
            after.push(error);
        }
        // A few hours before and after it is heard first, and every four days.
        if hour.is_multiple_of(96) || hour.abs_diff(SEEN) < 3 {
            let memory = other.kernel.save();
            other.kernel = ForecastKernel::new(Settings::default());
            other.kernel.restore(&memory).unwrap();
        }
    }
    let subjects: Vec<&str> = told.iter().map(|(_, row)| row.subject_id.as_str()).collect();
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    for (hour, row) in &told {
        assert!(row.features.ends_with(", s temperature"), "{row:?}");
        let reasons = ["weather that began later: ", "errors have grown: "];
        assert!(reasons.iter().any(|reason| row.reason.starts_with(reason)), "{}", row.reason);
        let days = (hour - SEEN) as f64 / 24.0;
        assert!((28.0..37.0).contains(&days), "{} after {days} days", row.subject_id);
        assert_eq!(row.tick_at.0, (hour + 1) * HOUR_MS);
    }
    let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len() as f64;
    let (before, after) = (mean(&before), mean(&after));
    println!("mean absolute error of the feeder in kW: {before:.3} before, {after:.3} after");
    assert!(after < 0.6 * before, "{after} {before}");
}
