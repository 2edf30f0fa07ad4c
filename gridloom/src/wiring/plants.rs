//! What the forecasts of a day's plants were worth: against the hours as they came, beside the rule
//! that answers without a model.
//!
//! Every forecast of every plant that was issued is compared with the mean power that was then
//! measured; so is what the rule says of the same hours from the same past. Hours of night, which
//! both know, are not counted: an hour counts where the plant gave something, or either said so.
//!
//! # Bounds
//!
//! One entry an issued hour: 24 issues a day and plant, 24 hours each.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use forecast::model::Kind;
use operators::forecast::plant::rule;
use operators::forecast::rule::HISTORY_HOURS;
use schemas::decision::Forecast;
use schemas::reference::Asset;
use schemas::reference::PlantHistory;
use schemas::relation::Relation;
use schemas::state::PlantHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

/// Mean kW by hour, counted from the epoch.
type Hours = BTreeMap<u64, f64>;

/// One plant.
#[derive(Clone, Debug)]
struct Plant {
    kind: Kind,
    rated_kw: f64,
    history_kw: Hours,
    /// By the hour under way when it was issued and the hour it speaks of: p10, p50, p90, the
    /// newest.
    said: BTreeMap<(u64, u64), [f64; 3]>,
}

/// The forecasts of a day's plants so far.
#[derive(Clone, Debug, Default)]
pub struct Plants(BTreeMap<String, Plant>);

/// Sums over plants and hours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worth {
    /// Hours that were compared.
    pub count: u64,
    /// Absolute errors of what was issued, in kW.
    pub issued_kw: f64,
    /// The same of the rule.
    pub rule_kw: f64,
    /// What was measured, in kW.
    pub actual_kw: f64,
    /// Hours between p10 and p90.
    pub within: u64,
    /// What the first forecasts said of the hours that came, and what those came to, in kWh.
    pub foreseen_kwh: [f64; 2],
}

impl Plants {
    /// Those of these assets that are plants, with their past.
    pub fn new(assets: &[Asset], history: &[PlantHistory]) -> Plants {
        let mut plants = Plants::default();
        for asset in assets {
            let kind = match asset.kind.as_str() {
                "pv" => Kind::Pv,
                "wind" => Kind::Wind,
                _ => continue,
            };
            let (rated_kw, history_kw) = (asset.power_kw_max, Hours::new());
            let plant = Plant { kind, rated_kw, history_kw, said: BTreeMap::new() };
            plants.0.insert(asset.asset_id.clone(), plant);
        }
        for row in history {
            if let Some(plant) = plants.0.get_mut(&row.asset_id) {
                plant.history_kw.insert(row.hour_at.0 / HOUR_MS, row.power_kw);
            }
        }
        plants
    }

    /// Takes what was issued.
    pub fn add(&mut self, forecasts: &[Forecast]) {
        for row in forecasts.iter().filter(|row| row.scope == "plant") {
            if let Some(plant) = self.0.get_mut(&row.subject_id) {
                let key = (row.issued_at.0 / HOUR_MS, row.target_at.0 / HOUR_MS);
                plant.said.insert(key, [row.p10_kw, row.p50_kw, row.p90_kw]);
            }
        }
    }

    /// What they were worth by the hours that are over at `now`, from the rows of `plant_hour`.
    pub fn worth(&self, plant_hours: &RecordBatch, now: Timestamp) -> Worth {
        let mut actual: BTreeMap<String, Hours> = BTreeMap::new();
        for row in PlantHour::from_batch(plant_hours).unwrap_or_default() {
            if row.origin == "measured" && row.hour_at.plus(HOUR_MS) <= now {
                let hours = actual.entry(row.asset_id).or_default();
                hours.insert(row.hour_at.0 / HOUR_MS, row.power_kw);
            }
        }
        let mut worth = Worth::default();
        for (asset_id, plant) in &self.0 {
            if let Some(actual) = actual.get(asset_id) {
                plant.add_to(&mut worth, actual);
            }
        }
        worth
    }

    /// What to tell, a name and a sentence each.
    pub fn lines(&self, plant_hours: &RecordBatch, now: Timestamp) -> Vec<(String, String)> {
        let worth = self.worth(plant_hours, now);
        if worth.count == 0 {
            return Vec::new();
        }
        let n = worth.count as f64;
        let share = |error_kw: f64| 100.0 * error_kw / worth.actual_kw;
        let text = format!(
            "{} of them, {:.0} kWh foreseen at first, {:.0} kWh came; each hour {:.3} kW off \
             ({:.1} %), {:.0} % within p10-p90; as yesterday {:.3} kW ({:.1} %); {} hours",
            self.0.len(),
            worth.foreseen_kwh[0],
            worth.foreseen_kwh[1],
            worth.issued_kw / n,
            share(worth.issued_kw),
            100.0 * worth.within as f64 / n,
            worth.rule_kw / n,
            share(worth.rule_kw),
            worth.count
        );
        vec![("plants".to_owned(), text)]
    }
}

impl Plant {
    fn add_to(&self, worth: &mut Worth, actual: &Hours) {
        let at = |hour: u64| actual.get(&hour).or_else(|| self.history_kw.get(&hour)).copied();
        let mut rules: BTreeMap<u64, Hours> = BTreeMap::new();
        let first = self.said.first_key_value().map(|((present, _), _)| *present);
        for ((present, target), [p10, p50, p90]) in &self.said {
            let Some(actual) = actual.get(target).copied() else { continue };
            if Some(*present) == first {
                worth.foreseen_kwh[0] += p50;
                worth.foreseen_kwh[1] += actual;
            }
            let rule = rules.entry(*present).or_insert_with(|| {
                let from = present.saturating_sub(HISTORY_HOURS as u64);
                let past: Vec<f64> = (from..*present).map(|h| at(h).unwrap_or(f64::NAN)).collect();
                let points = rule::points(self.kind, &past, self.rated_kw).into_iter();
                points.map(|point| (present + point.hour as u64, point.p50_kw)).collect()
            });
            let Some(rule) = rule.get(target) else { continue };
            if actual.max(*p90).max(*rule) <= 0.0 {
                continue;
            }
            worth.count += 1;
            worth.issued_kw += (p50 - actual).abs();
            worth.rule_kw += (rule - actual).abs();
            worth.actual_kw += actual;
            worth.within += u64::from((*p10..=*p90).contains(&actual));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 400_000;

    fn said(present: u64, hour: u64, p50_kw: f64) -> Forecast {
        Forecast {
            scope: "plant".to_owned(),
            subject_id: "p".to_owned(),
            issued_at: Timestamp(present * HOUR_MS),
            target_at: Timestamp(hour * HOUR_MS),
            p10_kw: p50_kw * 0.5,
            p50_kw,
            p90_kw: p50_kw * 1.5,
            ..Forecast::example()
        }
    }

    fn came(hours: &[(u64, f64)]) -> RecordBatch {
        let row = |(hour, power_kw): &(u64, f64)| PlantHour {
            asset_id: "p".to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp(hour * HOUR_MS),
            origin: "measured".to_owned(),
            power_kw: *power_kw,
        };
        PlantHour::to_batch(&hours.iter().map(row).collect::<Vec<_>>())
    }

    #[test]
    fn each_hour_of_light_is_compared_with_what_came_and_the_rule_beside_it() {
        let asset = Asset {
            asset_id: "p".to_owned(),
            kind: "pv".to_owned(),
            power_kw_max: 5.0,
            ..Asset::example()
        };
        let row = |hour: u64| PlantHistory {
            asset_id: "p".to_owned(),
            hour_at: Timestamp(hour * HOUR_MS),
            power_kw: if hour % 24 < 12 { 0.0 } else { 2.0 },
        };
        let history: Vec<PlantHistory> = (NOW - 192..NOW).map(row).collect();
        let mut plants = Plants::new(&[asset], &history);
        let noon = NOW + 24 - NOW % 24 + 12;
        let (night, present) = (noon - 12, noon - 13);
        plants.add(&[said(present, night, 0.0), said(present, noon - 1, 0.0)]);
        plants.add(&[said(present, noon, 9.0), said(present, noon, 3.0)]);
        plants.add(&[said(noon, noon, 2.5), said(noon, noon + 1, 2.5)]);
        plants.add(&[Forecast { scope: "node".to_owned(), ..said(noon, noon + 2, 2.5) }]);
        let came = came(&[(night, 0.0), (noon - 1, 0.0), (noon, 2.5), (noon + 1, 7.0)]);
        // The hour after noon is not over.
        let worth = plants.worth(&came, Timestamp((noon + 1) * HOUR_MS));
        assert_eq!((worth.count, worth.within), (2, 2));
        assert_eq!((worth.issued_kw, worth.rule_kw, worth.actual_kw), (0.5, 1.0, 5.0));
        assert_eq!(worth.foreseen_kwh, [3.0, 2.5]);
        assert_eq!(plants.lines(&came, Timestamp((noon + 1) * HOUR_MS)).len(), 1);
    }
}
