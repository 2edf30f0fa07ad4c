//! What the forecasts of a day were worth: against the hours as they came, beside the naive rule.
//!
//! Every forecast of the feeder that was issued is compared with the mean net load that was then
//! measured, by how far ahead it looked; so is what the seasonal naive rule says of the same hours
//! from the same past. What `dispatch` uses is the newest forecast, so the mean over all issues
//! is the error that it decided by.
//!
//! # Bounds
//!
//! One entry an issued hour: 96 issues a day, 24 hours each.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use operators::forecast::rule;
use schemas::decision::Forecast;
use schemas::reference::LoadHistory;
use schemas::relation::Relation;
use schemas::state::NodeHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

/// Hours between two lines of the table.
const TABLE_HOURS: u64 = 3;

/// Absolute errors, and what they are a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Errors {
    /// Hours that were compared.
    pub count: u64,
    /// Sum of absolute errors in kW.
    error_kw: f64,
    /// Sum of the magnitudes of what was measured, in kW.
    actual_kw: f64,
    /// Hours that lay between p10 and p90.
    within: u64,
}

impl Errors {
    fn add(&mut self, [p10, p50, p90]: [f64; 3], actual: f64) {
        self.count += 1;
        self.error_kw += (p50 - actual).abs();
        self.actual_kw += actual.abs();
        self.within += u64::from((p10..=p90).contains(&actual));
    }

    /// Mean absolute error in kW; not a number of none.
    pub fn mae_kw(&self) -> f64 {
        self.error_kw / self.count as f64
    }

    /// The same as a share of the mean magnitude of what was measured.
    pub fn wape(&self) -> f64 {
        self.error_kw / self.actual_kw
    }

    /// Share of hours between p10 and p90.
    pub fn coverage(&self) -> f64 {
        self.within as f64 / self.count as f64
    }
}

/// The forecasts of one feeder so far.
#[derive(Clone, Debug, Default)]
pub struct Foresight {
    feeder_id: String,
    history_kw: BTreeMap<u64, f64>,

    /// By the hour under way when it was issued and the hour it speaks of: p10, p50, p90, the
    /// newest; who said it.
    said: BTreeMap<(u64, u64), ([f64; 3], String)>,
}

/// The score of a model and of the rule on the same hours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Compared {
    /// Of what was issued.
    pub issued: Errors,
    /// Of the seasonal naive rule.
    pub naive: Errors,
}

impl Foresight {
    /// Of a feeder with this past.
    pub fn new(feeder_id: &str, history: &[LoadHistory]) -> Foresight {
        let mut history_kw = BTreeMap::new();
        for row in history.iter().filter(|row| row.feeder_id == feeder_id) {
            *history_kw.entry(row.hour_at.0 / HOUR_MS).or_default() += row.net_load_kw;
        }
        Foresight { feeder_id: feeder_id.to_owned(), history_kw, said: BTreeMap::new() }
    }

    /// Takes what was issued.
    pub fn add(&mut self, forecasts: &[Forecast]) {
        let ours = |row: &&Forecast| row.scope == "feeder" && row.subject_id == self.feeder_id;
        for row in forecasts.iter().filter(ours) {
            let key = (row.issued_at.0 / HOUR_MS, row.target_at.0 / HOUR_MS);
            let said = ([row.p10_kw, row.p50_kw, row.p90_kw], row.model_version.clone());
            self.said.insert(key, said);
        }
    }

    /// The hours that are over at `now`, from the rows of `node_hour`.
    fn actual_kw(&self, node_hours: &RecordBatch, now: Timestamp) -> BTreeMap<u64, f64> {
        let mut actual = BTreeMap::new();
        for row in NodeHour::from_batch(node_hours).unwrap_or_default() {
            if row.feeder_id == self.feeder_id && row.hour_at.plus(HOUR_MS) <= now {
                *actual.entry(row.hour_at.0 / HOUR_MS).or_default() += row.net_load_kw;
            }
        }
        actual
    }

    /// The errors by lead in hours, from 1: the hour under way.
    pub fn compared(&self, node_hours: &RecordBatch, now: Timestamp) -> BTreeMap<u64, Compared> {
        let actual = self.actual_kw(node_hours, now);
        let at = |hour: u64| actual.get(&hour).or_else(|| self.history_kw.get(&hour)).copied();
        let mut by_lead: BTreeMap<u64, Compared> = BTreeMap::new();
        let mut naive: BTreeMap<u64, BTreeMap<u64, [f64; 3]>> = BTreeMap::new();
        for ((present, target), (said, _)) in &self.said {
            let Some(actual) = actual.get(target) else { continue };
            let naive = naive.entry(*present).or_insert_with(|| {
                let from = present.saturating_sub(rule::HISTORY_HOURS as u64);
                let past: Vec<f64> = (from..*present).map(|h| at(h).unwrap_or(f64::NAN)).collect();
                let points = rule::points(&past).into_iter();
                points.map(|p| (present + p.hour as u64, [p.p10_kw, p.p50_kw, p.p90_kw])).collect()
            });
            let Some(naive) = naive.get(target) else { continue };
            let compared = by_lead.entry(target - present + 1).or_default();
            compared.issued.add(*said, *actual);
            compared.naive.add(*naive, *actual);
        }
        by_lead
    }

    /// What to tell, a name and a sentence each.
    pub fn lines(&self, node_hours: &RecordBatch, now: Timestamp) -> Vec<(String, String)> {
        let by_lead = self.compared(node_hours, now);
        let mut lines = self.table(node_hours, now);
        let leads = [("1 h ahead", 1, 1), ("24 h ahead", 24, 24), ("1-24 h ahead", 1, 24)];
        for (name, from, to) in leads {
            let (mut issued, mut naive) = (Errors::default(), Errors::default());
            for compared in by_lead.range(from..=to).map(|(_, compared)| compared) {
                for (sum, part) in [(&mut issued, compared.issued), (&mut naive, compared.naive)] {
                    sum.count += part.count;
                    sum.error_kw += part.error_kw;
                    sum.actual_kw += part.actual_kw;
                    sum.within += part.within;
                }
            }
            if issued.count == 0 {
                continue;
            }
            let told = |errors: Errors| {
                format!(
                    "{:.2} kW off ({:.1} %), {:.0} % within p10-p90",
                    errors.mae_kw(),
                    100.0 * errors.wape(),
                    100.0 * errors.coverage()
                )
            };
            let text =
                format!("{}; seasonal naive {}; {} hours", told(issued), told(naive), issued.count);
            lines.push((format!("forecast {name}"), text));
        }
        lines
    }

    /// What the first forecast of the day and the newest before each hour said, and what came.
    fn table(&self, node_hours: &RecordBatch, now: Timestamp) -> Vec<(String, String)> {
        let actual = self.actual_kw(node_hours, now);
        let Some(((first, _), (_, who))) = self.said.first_key_value() else { return Vec::new() };
        let issued = Timestamp(first * HOUR_MS);
        let mut lines = vec![(
            "forecast and actual".to_owned(),
            format!("net load of {} in kW; {who} of {issued}, and 1 h ahead", self.feeder_id),
        )];
        let shown = |(hour, _): &(&u64, &f64)| (**hour - first).is_multiple_of(TABLE_HOURS);
        for (hour, actual) in actual.range(*first..).filter(shown) {
            let Some(([p10, p50, p90], _)) = self.said.get(&(*first, *hour)) else { continue };
            let near = self.said.get(&(*hour, *hour));
            let near = near.map_or(String::new(), |([_, p50, _], _)| format!("{p50:7.1}"));
            let text = format!(
                "{:02}:00  {p50:7.1} ({p10:.1} to {p90:.1}), then {near}, came {actual:7.1}",
                hour % 24
            );
            lines.push((String::new(), text));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 400_000;

    fn history() -> Vec<LoadHistory> {
        let row = |hour: u64| LoadHistory {
            bus_id: "b".to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp(hour * HOUR_MS),
            net_load_kw: (hour % 24) as f64,
        };
        (NOW - 192..NOW).map(row).collect()
    }

    fn said(present: u64, hour: u64, p50_kw: f64) -> Forecast {
        Forecast {
            subject_id: "f".to_owned(),
            feeder_id: "f".to_owned(),
            issued_at: Timestamp(present * HOUR_MS + 900_000),
            target_at: Timestamp(hour * HOUR_MS),
            p10_kw: p50_kw - 1.0,
            p50_kw,
            p90_kw: p50_kw + 1.0,
            ..Forecast::example()
        }
    }

    fn came(hours: &[(u64, f64)]) -> RecordBatch {
        let row = |(hour, net_load_kw): &(u64, f64)| NodeHour {
            bus_id: "b".to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp(hour * HOUR_MS),
            net_load_kw: *net_load_kw,
        };
        NodeHour::to_batch(&hours.iter().map(row).collect::<Vec<_>>())
    }

    /// Errors of what was issued and of the rule, mean kW at a lead.
    #[track_caller]
    fn check(said: &[Forecast], hours: &[(u64, f64)], lead: u64, expected: (f64, f64, f64)) {
        let mut foresight = Foresight::new("f", &history());
        foresight.add(said);
        let compared = foresight.compared(&came(hours), Timestamp((NOW + 24) * HOUR_MS))[&lead];
        let found = (compared.issued.mae_kw(), compared.naive.mae_kw(), compared.issued.coverage());
        assert_eq!(found, expected);
    }

    #[test]
    fn each_is_compared_with_what_came_and_the_rule_beside_it() {
        let day = (NOW % 24) as f64;
        check(&[said(NOW, NOW, day + 0.5)], &[(NOW, day + 2.0)], 1, (1.5, 2.0, 0.0));
        check(&[said(NOW, NOW + 3, day + 3.5)], &[(NOW + 3, day + 4.0)], 4, (0.5, 1.0, 1.0));
    }

    #[test]
    fn the_newest_of_an_hour_counts_and_an_hour_that_is_not_over_does_not() {
        let day = (NOW % 24) as f64;
        let twice = [said(NOW, NOW, 99.0), said(NOW, NOW, day), said(NOW, NOW + 30, 1.0)];
        check(&twice, &[(NOW, day), (NOW + 30, 7.0)], 1, (0.0, 0.0, 1.0));
    }
}
