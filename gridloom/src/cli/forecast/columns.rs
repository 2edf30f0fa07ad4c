//! What a column is, by its name and unit: a load or a power, weather, a holiday flag.
//!
//! A name is a row of words and ends with its unit (`wind100m_ms`, `T1_forecast_degF`, `load_mw`).
//! What is not recognised is left alone; `--target` and `--weather` name it. Prices, cleared demand
//! and other people's forecasts of the load are no weather: a model that leans on them looks good
//! in a backtest and fails when they are late.

use forecast::model::Role;

/// Units of what is forecast, with how they are written.
const POWERS: [(&str, &str); 10] = [
    ("mw", "MW"),
    ("kw", "kW"),
    ("gw", "GW"),
    ("w", "W"),
    ("mwh", "MWh"),
    ("kwh", "kWh"),
    ("gwh", "GWh"),
    ("wh", "Wh"),
    ("pu", "pu"),
    ("kwp", "W/kWp"),
];

/// Words of a column that is no target although its unit is that of a power.
const NO_TARGET: [&str; 11] = [
    "forecast", "cleared", "part", "price", "lmp", "clear", "capacity", "limit", "usd", "eur", "da",
];

/// Words of what is known of a market.
const MARKET: [&str; 8] = ["price", "lmp", "usd", "eur", "gbp", "apx", "cleared", "tariff"];

/// How a value becomes one of the unit that models expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Convert {
    /// Multiplied by this …
    pub scale: f64,
    /// … after this is added.
    pub shift: f64,
    /// A sum since midnight UTC: the difference of neighbours over the seconds of a step.
    pub accumulated: bool,
}

impl Convert {
    const AS_IT_IS: Convert = Convert { scale: 1.0, shift: 0.0, accumulated: false };
    const FROM_FAHRENHEIT: Convert = Convert { scale: 1.0 / 1.8, shift: -32.0, accumulated: false };
    const FROM_KELVIN: Convert = Convert { scale: 1.0, shift: -273.15, accumulated: false };

    fn times(scale: f64) -> Convert {
        Convert { scale, ..Convert::AS_IT_IS }
    }

    /// The value in the unit of its role.
    pub(super) fn value(self, read: f64) -> f64 {
        (read + self.shift) * self.scale
    }
}

/// A weather column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recognised {
    /// What it is.
    pub role: Role,
    /// Its unit.
    pub convert: Convert,
    /// Whether it is taken where nobody names it.
    pub usual: bool,
}

/// The words of a name in small letters.
pub(super) fn words(name: &str) -> Vec<String> {
    let parts = name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(str::to_lowercase).collect()
}

/// The unit of a power or an energy, as it is written; `None` where a name ends with none.
pub(super) fn power_unit(name: &str) -> Option<&'static str> {
    let words = words(name);
    let last = words.last()?;
    POWERS.iter().find(|(word, _)| word == last).map(|(_, shown)| *shown)
}

/// Whether a column looks like a load or a power that somebody wants to foresee.
pub(super) fn is_target(name: &str) -> bool {
    let words = words(name);
    let has = |word: &str| words.iter().any(|own| own == word);
    power_unit(name).is_some() && !NO_TARGET.iter().any(|word| has(word))
}

/// The column that is forecast of another: `T1_forecast_degF` of `T1_degF`.
pub(super) fn forecast_of(name: &str, names: &[String]) -> Option<String> {
    let own = words(name);
    if !own.iter().any(|word| word == "forecast") {
        return None;
    }
    let base: Vec<&String> = own.iter().filter(|word| *word != "forecast").collect();
    names.iter().find(|other| words(other).iter().eq(base.iter().copied())).cloned()
}

/// Whether a column says which days are holidays.
pub(super) fn is_holiday(name: &str) -> bool {
    words(name).iter().any(|word| word == "holiday" || word == "holidays")
}

/// What a weather column is; `None` where its name does not say. `typical` is one of its values,
/// which tells Kelvin where no unit is given.
pub(super) fn recognise(name: &str, typical: f64) -> Option<Recognised> {
    let words = words(name);
    let has = |word: &str| words.iter().any(|own| own == word);
    let begins = |start: &str| words.iter().any(|own| own.starts_with(start));
    let last = words.last().map_or("", String::as_str);
    if MARKET.iter().any(|word| has(word)) || power_unit(name).is_some() || is_holiday(name) {
        return None;
    }
    let usual = |role, convert| Some(Recognised { role, convert, usual: true });
    let other = |convert| Some(Recognised { role: Role::Other, convert, usual: false });
    let accumulated = last == "accum" || last == "accumulated";
    let sum = Convert { accumulated, ..Convert::AS_IT_IS };
    if has("dew") || begins("dewpoint") {
        return usual(Role::Other, temperature(last, &words, typical));
    }
    if is_temperature(&words, last) {
        return usual(Role::Temperature, temperature(last, &words, typical));
    }
    if begins("ghi") || begins("ssrd") || begins("radiation") || begins("irradiance") {
        let clear = has("clear");
        let kilo = if has("kwm2") { Convert::times(1000.0) } else { sum };
        return if clear { other(kilo) } else { usual(Role::Radiation, kilo) };
    }
    if has("winddeg") || (begins("wind") && (has("deg") || has("dir") || has("direction"))) {
        return None;
    }
    let speed = speed(last);
    if begins("wind") || has("ws") {
        return usual(Role::WindSpeed, speed);
    }
    if let Some(role) = component(&words) {
        return usual(role, speed);
    }
    if begins("cloud") || has("tcc") {
        let share = Convert::times(if last == "01" { 100.0 } else { 1.0 });
        return usual(Role::Cloud, share);
    }
    let rest = ["rh", "humidity", "pressure", "sp", "dens", "rain", "precipitation", "precip"];
    let more = ["tp", "tclw", "tciw", "strd", "tsr", "snow", "dni", "dhi", "direct", "diffuse"];
    rest.iter().chain(&more).any(|word| has(word)).then(|| other(sum)).flatten()
}

/// The same for a column that somebody named: what is not recognised is something that is known
/// ahead, as it is written.
pub(super) fn recognise_or_other(name: &str, typical: f64) -> Recognised {
    let other = Recognised { role: Role::Other, convert: Convert::AS_IT_IS, usual: false };
    recognise(name, typical).unwrap_or(other)
}

fn is_temperature(words: &[String], last: &str) -> bool {
    let degrees = ["degf", "degc", "fahrenheit", "celsius"].contains(&last);
    let named = ["temp", "temperature", "tmp", "t2m", "drybulb", "t"];
    degrees || words.iter().any(|word| named.contains(&word.as_str()))
}

/// The unit of a temperature: by its name, else Kelvin where no air is that warm in °C.
fn temperature(last: &str, words: &[String], typical: f64) -> Convert {
    match last {
        "degf" | "f" | "fahrenheit" => Convert::FROM_FAHRENHEIT,
        "degc" | "c" | "celsius" => Convert::AS_IT_IS,
        "k" | "kelvin" => Convert::FROM_KELVIN,
        _ if words.iter().any(|word| word == "degf") => Convert::FROM_FAHRENHEIT,
        _ if typical > 150.0 => Convert::FROM_KELVIN,
        _ => Convert::AS_IT_IS,
    }
}

fn speed(last: &str) -> Convert {
    match last {
        "kmh" | "kph" => Convert::times(1.0 / 3.6),
        "mph" => Convert::times(0.447_04),
        "kn" | "kt" | "knots" => Convert::times(0.514_444),
        _ => Convert::AS_IT_IS,
    }
}

/// `u10_ms` blows eastward, `v_ms` northward.
fn component(words: &[String]) -> Option<Role> {
    words.iter().find_map(|word| {
        let digits = word.get(1..).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()));
        match word.chars().next() {
            Some('u') if digits => Some(Role::WindEast),
            Some('v') if digits => Some(Role::WindNorth),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, typical: f64, role: Role, value: f64) {
        let found = recognise(name, typical).unwrap_or_else(|| panic!("{name} is not recognised"));
        assert_eq!(found.role, role, "{name}");
        let off = (found.convert.value(typical) - value).abs();
        assert!(off < 1e-9, "{name}: {}", found.convert.value(typical));
    }

    #[test]
    fn weather_of_the_public_sets_is_recognised() {
        check("temp_c", 20.0, Role::Temperature, 20.0);
        check("t01_degF", 50.0, Role::Temperature, 10.0);
        check("T1_forecast_degF", 50.0, Role::Temperature, 10.0);
        check("NEMASSBOST_temp_degF", 50.0, Role::Temperature, 10.0);
        check("t2m_k", 283.15, Role::Temperature, 10.0);
        check("era5_t_2m", 283.15, Role::Temperature, 10.0);
        check("ME_dew_degF", 50.0, Role::Other, 10.0);
        check("radiation_raw", 9.0, Role::Radiation, 9.0);
        check("ghi_wm2", 9.0, Role::Radiation, 9.0);
        check("clouds_pct", 9.0, Role::Cloud, 9.0);
        check("tcc_01", 0.5, Role::Cloud, 50.0);
        check("wind100m_ms", 9.0, Role::WindSpeed, 9.0);
        check("era5_ws_100m", 9.0, Role::WindSpeed, 9.0);
        check("nacelle_wind_ms", 9.0, Role::WindSpeed, 9.0);
        check("u_ms", 9.0, Role::WindEast, 9.0);
        check("era5_v_100", 9.0, Role::WindNorth, 9.0);
        check("ghi_clear_wm2", 9.0, Role::Other, 9.0);
        check("pressure_pa", 9.0, Role::Other, 9.0);
    }

    #[test]
    fn sums_since_midnight_are_known_by_their_name() {
        let found = recognise("ssrd_jm2_accum", 1e6).unwrap();
        assert_eq!((found.role, found.convert.accumulated), (Role::Radiation, true));
    }

    #[test]
    fn markets_and_loads_are_no_weather() {
        for name in [
            "apx_eur_mwh",
            "ME_da_lmp_usd",
            "ME_da_cleared_mw",
            "price_usd_kwh",
            "load_mw",
            "load_forecast_mw",
            "wind_forecast_mw",
            "wind_part_mw",
            "winddeg",
            "sjv_E1A",
            "holiday",
        ] {
            assert_eq!(recognise(name, 1.0), None, "{name}");
        }
    }

    #[test]
    fn targets_end_with_the_unit_of_a_power() {
        for name in ["load_mw", "z01_kw", "wf1_pu", "power_pu", "net_load_mw", "b01_pv_w_per_kwp"] {
            assert!(is_target(name), "{name}");
        }
        for name in ["ME_da_cleared_mw", "load_forecast_mw", "solar_part_mw", "temp_c", "ghi_wm2"] {
            assert!(!is_target(name), "{name}");
        }
    }

    #[test]
    fn a_forecast_column_finds_what_it_is_the_forecast_of() {
        let names = ["T1_degF", "T2_degF", "load_mw"].map(str::to_owned);
        assert_eq!(forecast_of("T2_forecast_degF", &names).as_deref(), Some("T2_degF"));
        assert_eq!(forecast_of("T3_forecast_degF", &names), None);
        assert_eq!(forecast_of("T2_degF", &names), None);
    }
}
