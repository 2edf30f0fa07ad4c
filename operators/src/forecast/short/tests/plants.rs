//! Plants by quarters: what is issued and when, from what, and that it lies within bounds.

use forecast::short::QUARTER_MS;
use schemas::decision::ShortForecast;
use schemas::reference::Asset;
use schemas::relation::Relation;
use schemas::state::PlantQuarter;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::came;
use crate::forecast::short::PlantQuarterKernel;
use crate::forecast::short::kernel::HourSaid;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// The quarter under way when tests begin: the first of a day.
const NOW: u64 = 96 * 10;

pub(super) fn asset(asset_id: &str, kind: &str, power_kw_max: f64) -> Asset {
    Asset {
        asset_id: asset_id.to_owned(),
        kind: kind.to_owned(),
        bus_id: "b".to_owned(),
        feeder_id: "f".to_owned(),
        power_kw_min: 0.0,
        power_kw_max,
        ramp_kw_max: 0.0,
        energy_kwh_max: 0.0,
        efficiency: 1.0,
    }
}

pub(super) fn quarter(asset_id: &str, quarter: u64, power_kw: f64) -> PlantQuarter {
    PlantQuarter {
        asset_id: asset_id.to_owned(),
        feeder_id: "f".to_owned(),
        quarter_at: Timestamp(quarter * QUARTER_MS),
        power_kw,
    }
}

/// Light from 6 to 18, at most 4.5 kW of 5, under clouds that last a while.
fn sunny(quarter: u64) -> f64 {
    let height = 6.0 - ((quarter % 96) as f64 / 4.0 + 0.125 - 12.0).abs();
    let clouds = 0.7 + 0.3 * (quarter as f64 / 11.0).sin();
    height.max(0.0) / 6.0 * 4.5 * clouds
}

/// What is forecast of an hour: the light without the clouds, and nothing by night, for sure.
fn hour(at: Timestamp, target: u64) -> HourSaid {
    let kw = (4 * target..4 * target + 4)
        .map(|q| (6.0 - ((q % 96) as f64 / 4.0 + 0.125 - 12.0).abs()).max(0.0) * 0.12)
        .sum::<f64>();
    HourSaid {
        scope: "plant".to_owned(),
        subject_id: "p".to_owned(),
        feeder_id: "f".to_owned(),
        issued_at: at,
        target_at: Timestamp(target * HOUR_MS),
        p10_kw: 0.5 * kw,
        p50_kw: kw,
        p90_kw: 1.4 * kw,
    }
}

/// A kernel, and whether it knows its plant.
struct Roof {
    kernel: PlantQuarterKernel,
    listed: bool,
}

impl Roof {
    fn new() -> Roof {
        Roof { kernel: PlantQuarterKernel::new(Settings::default()), listed: false }
    }

    fn step(
        &mut self,
        at: Timestamp,
        assets: &[(Asset, i64)],
        hours: &[HourSaid],
        quarters: &[PlantQuarter],
    ) -> Vec<ShortForecast> {
        let (assets, diffs): (Vec<Asset>, Vec<i64>) = assets.iter().cloned().unzip();
        let changes = [Change::of(&assets, diffs), came(hours), came(quarters)];
        ShortForecast::from_batch(&self.kernel.step(at, &changes)[0]).unwrap()
    }

    /// The tick that ends a quarter; hours are issued as they end.
    fn end(&mut self, ends: u64, rows: &[PlantQuarter]) -> Vec<ShortForecast> {
        let at = Timestamp((ends + 1) * QUARTER_MS);
        let ended = at.0.is_multiple_of(HOUR_MS) || !self.listed;
        let present = at.0 / HOUR_MS;
        let hours = if ended { present..present + 24 } else { 0..0 };
        let hours: Vec<HourSaid> = hours.map(|target| hour(at, target)).collect();
        let assets = if self.listed { Vec::new() } else { vec![(asset("p", "pv", 5.0), 1)] };
        self.listed = true;
        self.step(at, &assets, &hours, rows)
    }

    fn run(&mut self, from: u64, until: u64) -> Vec<ShortForecast> {
        let mut last = Vec::new();
        for ends in from..until {
            last = self.end(ends, &[quarter("p", ends, sunny(ends))]);
        }
        last
    }
}

#[test]
fn the_next_four_quarters_of_a_plant_lie_within_0_and_its_rated_power_and_night_is_0() {
    let mut roof = Roof::new();
    let (mut lit, mut night) = (0, 0);
    for ends in NOW..NOW + 5 * 96 {
        // Overloaded for an hour a day; and it draws a little by night.
        let kw = match ends % 96 {
            48..52 => 6.0,
            of if !(24..72).contains(&of) => -0.01,
            _ => sunny(ends),
        };
        let rows = roof.end(ends, &[quarter("p", ends, kw)]);
        assert_eq!(rows.len(), 4);
        for row in rows {
            let subject = (row.scope.as_str(), row.subject_id.as_str(), row.feeder_id.as_str());
            assert_eq!(subject, ("plant", "p", "f"));
            assert_eq!(row.model_version, "short-1");
            let band = [0.0, row.p10_kw, row.p50_kw, row.p90_kw, 5.0];
            assert!(band.is_sorted(), "{row:?}");
            let hour = row.target_at.0 / HOUR_MS % 24;
            if (6..18).contains(&hour) {
                lit += u64::from(row.p90_kw > row.p10_kw);
            } else {
                assert_eq!((row.p10_kw, row.p50_kw, row.p90_kw), (0.0, 0.0, 0.0));
                night += 1;
            }
        }
    }
    assert!(lit > 850 && night > 900, "{lit} {night}");
}

#[test]
fn it_says_what_it_saw_and_follows_what_came() {
    let mut roof = Roof::new();
    roof.run(NOW, NOW + 96 * 3 + 40);
    let ends = NOW + 96 * 3 + 40;
    let mut other = Roof::new();
    other.kernel.restore(&roof.kernel.save()).unwrap();
    other.listed = true;
    let rows = roof.end(ends, &[quarter("p", ends, 1.0)]);
    let brighter = other.end(ends, &[quarter("p", ends, 3.0)]);
    let at = (ends + 1) * QUARTER_MS;
    assert!(rows[0].saw.starts_with(&format!("plant_quarter@{at} last_quarter_kw=1.000; ")));
    for (less, more) in rows.iter().zip(&brighter) {
        assert!(less.p50_kw + 0.3 < more.p50_kw, "{less:?} {more:?}");
    }
}

#[test]
fn without_hours_the_newest_quarter_stays_within_bounds_and_after_an_hour_nothing_is_said() {
    let mut roof = Roof::new();
    let at = Timestamp((NOW + 1) * QUARTER_MS);
    let assets = [(asset("w", "wind", 5.0), 1), (asset("store", "battery", 5.0), 1)];
    let told = [quarter("w", NOW, 5.5), quarter("store", NOW, 2.0), quarter("other", NOW, 1.0)];
    let rows = roof.step(at, &assets, &[], &told);
    assert_eq!(rows.len(), 4);
    for row in &rows {
        assert_eq!((row.subject_id.as_str(), row.p50_kw, row.p90_kw), ("w", 5.0, 5.0));
        assert_eq!(row.model_version, "persistence-1");
    }
    // What is no power of this plant is missing.
    let at = at.plus(QUARTER_MS);
    let rows = roof.step(at, &[], &[], &[quarter("w", NOW + 1, 5e6)]);
    assert!(rows[0].saw.contains("last_quarter_kw=NULL"), "{}", rows[0].saw);
    assert_eq!(rows[0].p50_kw, 5.0);
    assert!(roof.step(at.plus(HOUR_MS), &[], &[], &[]).is_empty());
    // One that is no asset any more is forgotten.
    let gone = [(asset("w", "wind", 5.0), -1)];
    roof.step(at.plus(2 * HOUR_MS), &gone, &[], &[]);
    assert!(roof.kernel.save().is_empty());
}

#[test]
fn a_plant_that_is_rated_otherwise_keeps_within_that() {
    let mut roof = Roof::new();
    roof.run(NOW, NOW + 96 + 48);
    let at = Timestamp((NOW + 96 + 48) * QUARTER_MS).plus(60_000);
    let other = [(asset("p", "pv", 1.0), 1), (asset("p", "pv", 5.0), -1)];
    assert!(roof.step(at, &other, &[], &[]).is_empty());
    let rows = roof.end(NOW + 96 + 48, &[quarter("p", NOW + 96 + 48, 0.9)]);
    assert!(rows.len() == 4 && rows.iter().all(|row| row.p90_kw <= 1.0), "{rows:?}");
}

#[test]
fn a_reading_that_hangs_is_followed_for_two_hours_and_then_set_aside() {
    let (mut hung, mut silent) = (Roof::new(), Roof::new());
    let from = NOW + 3 * 96 + 44;
    hung.run(NOW, from);
    silent.run(NOW, from);
    for ends in from..from + 20 {
        let kw = sunny(from);
        let rows = hung.end(ends, &[quarter("p", ends, kw)]);
        let followed = ends < from + 7;
        assert_eq!(rows[0].saw.contains("last_quarter_kw=NULL"), !followed, "{ends}");
        let told = followed.then(|| quarter("p", ends, kw));
        let other = silent.end(ends, told.as_slice());
        assert_eq!(rows, other, "what is set aside is missing");
        // Told again, it stays aside.
        let at = Timestamp((ends + 1) * QUARTER_MS).plus(5_000);
        hung.step(at, &[], &[], &[quarter("p", ends, kw)]);
    }
}

#[test]
fn an_outlier_is_set_aside_and_night_is_not_frozen() {
    let mut roof = Roof::new();
    for ends in NOW..NOW + 16 * 96 {
        let absurd = ends == NOW + 15 * 96 + 28;
        let kw = if absurd { 4.9 } else { sunny(ends) * 0.4 };
        let rows = roof.end(ends, &[quarter("p", ends, kw)]);
        assert_eq!(rows[0].saw.contains("last_quarter_kw=NULL"), absurd, "{}", ends - NOW);
    }
}

#[test]
fn a_late_quarter_is_as_one_in_time_and_the_future_is_not_looked_at() {
    let (mut late, mut ideal) = (Roof::new(), Roof::new());
    for ends in NOW..NOW + 300 {
        let wrong = ends % 7 == 3 && ends < NOW + 290;
        let missing = ends % 13 == 1 && ends % 7 != 3;
        let mut told = vec![quarter("p", ends, if wrong { 0.0 } else { sunny(ends) })];
        told.retain(|_| !missing);
        told.extend((ends % 7 == 5).then(|| quarter("p", ends - 2, sunny(ends - 2))));
        // Not over yet.
        told.push(quarter("p", ends + 1, 4.9));
        let rows = late.end(ends, &told);
        assert_eq!(rows[0].saw.contains("last_quarter_kw=NULL"), missing, "{ends}");
        let known = [quarter("p", ends, sunny(ends))];
        ideal.end(ends, &known[usize::from(missing)..]);
    }
    let (late, ideal) = (late.run(NOW + 300, NOW + 340), ideal.run(NOW + 300, NOW + 340));
    // Bands learned from what was said as it was said.
    for (late, ideal) in late.iter().zip(&ideal) {
        assert_eq!(late.saw, ideal.saw);
        assert!((late.p50_kw - ideal.p50_kw).abs() < 0.2, "{late:?} {ideal:?}");
    }
}

#[test]
fn saved_and_restored_it_goes_on_alike() {
    let mut roof = Roof::new();
    roof.run(NOW, NOW + 140);
    for ends in NOW + 140..NOW + 200 {
        let mut other = Roof { kernel: PlantQuarterKernel::new(Settings::default()), listed: true };
        other.kernel.restore(&roof.kernel.save()).unwrap();
        let told = [quarter("p", ends, sunny(ends)), quarter("p", ends - 2, 0.5)];
        assert_eq!(other.end(ends, &told), roof.end(ends, &told));
        roof = other;
    }
}
