//! What the plant says without being measured: switch moves, foreign commands, tariff, weather.
//!
//! The weather is measured; what is expected of it is not. A forecast of the weather is **made
//! up**: the weather as it will be, plus an error that grows with the lead, of about the size that
//! weather services report for a day ahead (1.6 °C, a quarter of the irradiance). Most of an error
//! is shared by all hours of an issue, as a misplaced front is.

use schemas::event::Command;
use schemas::event::Price;
use schemas::event::SwitchPosition;
use schemas::event::WeatherForecast;
use schemas::event::WeatherObservation;
use schemas::time::DAY_MS;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use crate::simulator::noise::Draws;
use crate::simulator::noise::Purpose;
use crate::simulator::plant::Plant;
use crate::simulator::plant::PlantStep;
use crate::simulator::reference::PRODUCT;
use crate::simulator::reference::STATION_ID;
use crate::simulator::reference::ZONE_ID;
use crate::simulator::script::due;

/// How often the weather station speaks.
const WEATHER_EVERY_MS: u64 = 60_000;

/// How often the weather is forecast.
const FORECAST_EVERY_MS: u64 = 6 * HOUR_MS;

/// How many hours ahead, the present one included: a day, and until the next issue.
const FORECAST_HOURS: u64 = 30;

/// The standard deviation of a forecast temperature, at once and a day ahead, in °C.
const TEMPERATURE_ERROR_C: (f64, f64) = (0.4, 1.6);

/// The same of a forecast irradiance, as a share of it.
const RADIATION_ERROR_SHARE: (f64, f64) = (0.05, 0.25);

/// The parts of an error that all hours of an issue share and that each has alone, as standard
/// deviations: 0.8² + 0.6² = 1.
const ERROR_PARTS: (f64, f64) = (0.8, 0.6);

/// When the next day's tariff is published, after midnight.
const PUBLISHED_OFFSET_MS: u64 = 12 * HOUR_MS;

impl Plant {
    /// Everything that goes by the clock in the step that starts at `from_at`.
    pub(super) fn announce(&mut self, from_at: Timestamp, out: &mut PlantStep) {
        self.announce_switches(from_at, out);
        self.announce_commands(from_at, out);
        self.announce_prices(from_at, out);
        self.announce_weather(from_at, out);
        self.announce_forecasts(from_at, out);
    }

    fn announce_switches(&mut self, from_at: Timestamp, out: &mut PlantStep) {
        if self.step == 0 {
            let all = self.network.switches().iter();
            out.switch_positions
                .extend(all.map(|switch| position(&switch.switch_id, from_at, switch.closed)));
        }
        let moves: Vec<(String, bool)> = self
            .config
            .switch_script
            .iter()
            .filter(|scripted| due(scripted.offset_ms, from_at, self.config.step_ms))
            .map(|scripted| (self.connection_switch_id(scripted.home), scripted.closed))
            .collect();
        for (switch_id, closed) in moves {
            if self.network.set_switch(&switch_id, closed) {
                out.switch_positions.push(position(&switch_id, from_at, closed));
            }
        }
    }

    fn announce_commands(&self, from_at: Timestamp, out: &mut PlantStep) {
        for command in &self.config.command_script {
            if due(command.offset_ms, from_at, self.config.step_ms) {
                out.commands.push(Command {
                    command_id: format!("{}:{}:{}", command.actor, command.asset_id, from_at.0),
                    actor: command.actor.clone(),
                    asset_id: command.asset_id.clone(),
                    requested_at: from_at,
                    active_power_kw: command.active_power_kw,
                });
            }
        }
    }

    /// At the start the rest of this day (and the next, after noon); each noon the next day.
    fn announce_prices(&self, from_at: Timestamp, out: &mut PlantStep) {
        let into_day_ms = from_at.0 % DAY_MS;
        let tomorrow_at = from_at.minus(into_day_ms).plus(DAY_MS);
        let noon = due(PUBLISHED_OFFSET_MS, from_at, self.config.step_ms);
        let from_hour_at = match (self.step == 0, noon) {
            (true, _) => from_at.minus(from_at.0 % HOUR_MS),
            (false, true) => tomorrow_at,
            (false, false) => return,
        };
        let tomorrow_known = noon || into_day_ms >= PUBLISHED_OFFSET_MS;
        let until_at = if tomorrow_known { tomorrow_at.plus(DAY_MS) } else { tomorrow_at };
        let tariff = self.data.tariff();
        for (hour, &price_per_mwh) in tariff.means.iter().enumerate() {
            let delivery_start_at = tariff.start_at.plus(hour as u64 * HOUR_MS);
            if (from_hour_at..until_at).contains(&delivery_start_at) {
                out.prices.push(Price {
                    zone_id: ZONE_ID.to_owned(),
                    product: PRODUCT.to_owned(),
                    published_at: from_at,
                    delivery_start_at,
                    delivery_end_at: delivery_start_at.plus(HOUR_MS),
                    price_per_mwh,
                });
            }
        }
    }

    fn announce_weather(&self, from_at: Timestamp, out: &mut PlantStep) {
        let since_start_ms = self.step * self.config.step_ms;
        // The first step of each minute since the start.
        if since_start_ms % WEATHER_EVERY_MS >= self.config.step_ms {
            return;
        }
        let (weather, at_ms) = (self.data.weather(), from_at.0 as f64);
        out.weather_observations.push(WeatherObservation {
            station_id: STATION_ID.to_owned(),
            observed_at: from_at,
            temperature_c: weather.temperature_c.at(at_ms),
            humidity_percent: Some(weather.humidity_percent.at(at_ms)),
            diffuse_w_per_m2: Some(weather.diffuse_w_per_m2.at(at_ms)),
            direct_w_per_m2: Some(weather.direct_w_per_m2.at(at_ms)),
            wind_m_per_s: None,
        });
    }

    /// What is expected of the weather from this hour on, as far as the data goes.
    fn announce_forecasts(&self, from_at: Timestamp, out: &mut PlantStep) {
        let due = from_at.0 % FORECAST_EVERY_MS < self.config.step_ms;
        if self.step > 0 && !due {
            return;
        }
        let weather = self.data.weather();
        let issue = from_at.0 / HOUR_MS;
        let draw = |subject, step| {
            let mut draws = Draws::new(self.config.seed, Purpose::Sky, subject, step);
            [draws.normal(), draws.normal()]
        };
        let shared = draw(issue, 0);
        let end_at = weather.temperature_c.end_at();
        for lead in 0..FORECAST_HOURS {
            let target_at = Timestamp((issue + lead) * HOUR_MS);
            if target_at >= end_at {
                break;
            }
            let own = draw(issue, issue + lead);
            let size = |(now, day): (f64, f64)| now + (day - now) * lead as f64 / 24.0;
            let off = |n: usize| ERROR_PARTS.0 * shared[n] + ERROR_PARTS.1 * own[n];
            let global = weather.diffuse_w_per_m2.mean_of_hour(target_at)
                + weather.direct_w_per_m2.mean_of_hour(target_at);
            let share = (1.0 + size(RADIATION_ERROR_SHARE) * off(1)).max(0.0);
            let temperature_c = weather.temperature_c.mean_of_hour(target_at);
            out.weather_forecasts.push(WeatherForecast {
                station_id: STATION_ID.to_owned(),
                issued_at: from_at,
                target_at,
                temperature_c: temperature_c + size(TEMPERATURE_ERROR_C) * off(0),
                global_w_per_m2: Some(global * share),
                wind_m_per_s: None,
            });
        }
    }

    /// The switch in a home's (from 1) service connection.
    fn connection_switch_id(&self, home: usize) -> String {
        let bus = self.data.home_buses().get(home.wrapping_sub(1));
        let branches = &self.data.network().branches;
        let branch = bus.and_then(|&bus| branches.iter().find(|branch| branch.to == bus));
        branch.map_or_else(String::new, |branch| format!("switch-{}", branch.id))
    }
}

fn position(switch_id: &str, changed_at: Timestamp, closed: bool) -> SwitchPosition {
    SwitchPosition {
        switch_id: switch_id.to_owned(),
        changed_at,
        position: if closed { "closed" } else { "open" }.to_owned(),
    }
}
