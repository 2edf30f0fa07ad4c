//! `[agents]`: whether anybody decides, and the numbers they decide by.
//!
//! The keys are the fields of [`Settings`], found by looking at its defaults, so a setting that is
//! added there can be configured here without a word.

use forecast::calendar::Holidays;
use forecast::calendar::Region;
use operators::settings::Settings;
use serde_json::Map;
use serde_json::Value;

use super::Instance;
use super::reader::Section;
use crate::problem::nearest;

/// Reads `[agents]`; `None` if it switches them off.
pub(super) fn read(section: &Section<'_>, instance: &Instance) -> Option<Settings> {
    let enabled = section.flag("enabled").unwrap_or(true);
    let defaults = Settings::of_step(instance.ingest.step.millis());
    let Ok(Value::Object(defaults)) = serde_json::to_value(&defaults) else {
        unreachable!("settings are a plain struct");
    };
    let mut said = Map::new();
    for (key, default) in &defaults {
        // An instance has one step; it is said there.
        if key == "step_ms" {
            said.insert(key.clone(), default.clone());
            continue;
        }
        let value = setting(section, key, default).unwrap_or_else(|| default.clone());
        said.insert(key.clone(), value);
    }
    let settings: Settings =
        serde_json::from_value(Value::Object(said)).expect("each value has its default's type");
    for problem in settings.problems() {
        // The first key that the sentence names is where a person looks.
        let named = defaults.keys().find(|key| section.has(key) && problem.contains(*key));
        let key = named.map_or("enabled", String::as_str);
        let hint = match key {
            HOLIDAYS => regions(&settings.forecast_holidays),
            "forecast_utc_offset" => "write hours and minutes, as +10:00 or -03:30".to_owned(),
            _ => "the settings contradict each other: change one".to_owned(),
        };
        section.wrong(key, problem.as_str(), hint);
    }
    section.finish();
    enabled.then_some(settings)
}

/// The key of the days off.
const HOLIDAYS: &str = "forecast_holidays";

/// What to write in the place of a list of days off that cannot be read.
fn regions(list: &str) -> String {
    let words = list.split(',').map(str::trim);
    let wrong = words.filter(|word| Holidays::of_list(word).is_err()).collect::<Vec<_>>();
    let codes = Region::ALL.map(Region::code);
    let near = wrong.first().map(|word| nearest(&word.to_uppercase(), codes));
    let near = near.filter(|near| near.starts_with("did you mean"));
    near.unwrap_or_else(|| format!("write none, or one of {} and dates", codes.join(", ")))
}

fn setting(section: &Section<'_>, key: &str, default: &Value) -> Option<Value> {
    match default {
        Value::Bool(_) => section.flag(key).map(Value::from),
        Value::Number(n) if n.is_u64() => section.whole(key, 0, i64::MAX as u64).map(Value::from),
        Value::Number(_) => section.number(key).map(Value::from),
        _ => section.text(key).map(Value::from),
    }
}
