//! A measured roof and four measured turbines by quarters, as an instance would forecast them,
//! beside what that is made of. `GRIDLOOM_DATA` says where the files are.

use forecast::short::LEADS;
use forecast::short::QUARTER_MS;
use forecast::short::quarters;
use schemas::decision::Forecast;
use schemas::decision::ShortForecast;
use schemas::event::ModelOrder;
use schemas::reference::Asset;
use schemas::relation::Relation;
use schemas::state::PlantHour;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::came;
use super::plants::asset;
use super::plants::quarter;
use crate::forecast::plant::PlantKernel;
use crate::forecast::short::PlantQuarterKernel;
use crate::forecast::short::kernel::HourSaid;
use crate::forecast::tests::data::table;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// Hours of history before plants are lived.
const HISTORY: usize = 30 * 24;

/// Plants of one kind and size, by quarter from the first on, which begins an hour.
struct Plants {
    first: u64,
    kind: &'static str,
    rated_kw: f64,
    /// By plant.
    kw: Vec<Vec<f64>>,
    /// Temperature and radiation by quarter, as they were, told as forecast; none where empty.
    sky: Vec<[f64; 2]>,
}

/// NREL's roof in Golden; the first row is 1 July 2016, 07:00 UTC.
fn roof() -> Option<Plants> {
    let column = table("pv_nrel_serf_east_15min_2016.csv")?;
    let sky = column("temp_c").into_iter().zip(column("ghi_wm2"));
    let sky = sky.map(|(temperature, light)| [temperature, light]).collect();
    let kw = vec![column("ac_power_kw")];
    Some(Plants { first: 1_630_396, kind: "pv", rated_kw: 6.0, kw, sky })
}

/// Turbines of La Haute Borne from 1 January 2014, 00:00 UTC on, for a quarter of a year. Readings
/// are of ten minutes: half of every second belongs to each quarter beside it.
fn turbines() -> Option<Plants> {
    let column = table("wind_lahauteborne_fr_4turbines_10min_2014H1.csv")?;
    let by_quarter = |name: &str| -> Vec<f64> {
        let of = |ten: &[f64]| [(2.0 * ten[0] + ten[1]) / 3.0, (ten[1] + 2.0 * ten[2]) / 3.0];
        let all = column(name);
        all.chunks_exact(3).flat_map(of).take(90 * 96).collect()
    };
    let kw = ["R80711_kw", "R80721_kw", "R80736_kw", "R80790_kw"].map(by_quarter).to_vec();
    Some(Plants { first: 1_542_816, kind: "wind", rated_kw: 2_050.0, kw, sky: Vec::new() })
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

impl Plants {
    fn hour_at(&self, hour: usize) -> Timestamp {
        Timestamp((self.first / 4 + hour as u64) * HOUR_MS)
    }

    fn hour(&self, plant: usize, hour: usize) -> PlantHour {
        PlantHour {
            asset_id: format!("p{plant}"),
            feeder_id: "f".to_owned(),
            hour_at: self.hour_at(hour),
            origin: if hour < HISTORY { "history" } else { "measured" }.to_owned(),
            power_kw: mean(&self.kw[plant][4 * hour..4 * hour + 4]),
        }
    }

    fn weather(&self, hour: usize) -> Option<[f64; 2]> {
        let of = self.sky.get(4 * hour..4 * hour + 4)?;
        Some([0, 1].map(|what| of.iter().map(|sky| sky[what]).sum::<f64>() / 4.0))
    }

    fn seen(&self, hour: usize) -> Option<WeatherHour> {
        let [temperature_c, light] = self.weather(hour)?;
        Some(WeatherHour {
            station_id: "s".to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: self.hour_at(hour),
            origin: "measured".to_owned(),
            temperature_c,
            global_w_per_m2: Some(light),
            wind_m_per_s: None,
        })
    }

    fn ahead(&self, from: usize) -> Vec<WeatherAhead> {
        let row = |hour: usize| {
            let [temperature_c, light] = self.weather(hour)?;
            Some(WeatherAhead {
                station_id: "s".to_owned(),
                feeder_id: "f".to_owned(),
                hour_at: self.hour_at(hour),
                issued_at: self.hour_at(from),
                temperature_c,
                global_w_per_m2: Some(light),
                wind_m_per_s: None,
            })
        };
        (from..from + 30).filter_map(row).collect()
    }

    /// The hours that are over at the end of an hour, of all plants; all before, at the first.
    fn told(&self, present: usize) -> (Vec<PlantHour>, Vec<WeatherHour>) {
        let from = if present == HISTORY { 0 } else { present - 1 };
        let plants = 0..self.kw.len();
        let hours = (from..present).flat_map(|hour| plants.clone().map(move |n| (n, hour)));
        let hours = hours.map(|(n, hour)| self.hour(n, hour));
        let hours = hours.filter(|row| row.power_kw.is_finite()).collect();
        (hours, (from..present).filter_map(|hour| self.seen(hour)).collect())
    }
}

/// By lead: absolute errors of what is said, of the hours drawn as quarters, of the newest quarter;
/// how many there were, and how many lay within the band. Nights are not counted.
#[derive(Debug, Default)]
struct Errors([[f64; 5]; LEADS]);

fn live(plants: &Plants) -> Errors {
    let mut hourly = PlantKernel::new(Settings::default());
    let mut short = PlantQuarterKernel::new(Settings::default());
    let (mut errors, mut newest) = (Errors::default(), vec![[f64::NAN; 3]; plants.kw.len()]);
    let count = plants.kw[0].len() / 4;
    for place in 4 * HISTORY..4 * count - LEADS {
        let at = Timestamp((plants.first + place as u64) * QUARTER_MS);
        let (begins, present) = (place == 4 * HISTORY, place / 4);
        let listed = (0..plants.kw.len()).filter(|_| begins);
        let listed: Vec<Asset> =
            listed.map(|n| asset(&format!("p{n}"), plants.kind, plants.rated_kw)).collect();
        let mut said: Vec<Forecast> = Vec::new();
        if place.is_multiple_of(4) {
            let (hours, seen) = plants.told(present);
            let ahead = if present.is_multiple_of(6) { plants.ahead(present) } else { Vec::new() };
            let orders = came::<ModelOrder>(&[]);
            let told = [came(&listed), came(&hours), came(&seen), came(&ahead), orders];
            said = Forecast::from_batch(&hourly.step(at, &told)[0]).unwrap();
            let nothing = told.map(|change| crate::kernel::Change::none(change.batch.schema()));
            for tick in 1..if begins { 300 } else { 4 } {
                hourly.step(at.plus(tick * 5_000), &nothing);
            }
        }
        for row in &said {
            let n: usize = row.subject_id[1..].parse().unwrap();
            let ahead = (row.target_at.0 / HOUR_MS - at.0 / HOUR_MS) as usize;
            if ahead < 3 {
                newest[n][ahead] = row.p50_kw;
            }
        }
        let said: Vec<HourSaid> = said.into_iter().map(hour_said).collect();
        let came_in: Vec<_> = (0..plants.kw.len())
            .filter(|n| plants.kw[*n][place - 1].is_finite())
            .map(|n| {
                quarter(&format!("p{n}"), plants.first + place as u64 - 1, plants.kw[n][place - 1])
            })
            .collect();
        let out = short.step(at, &[came(&listed), came(&said), came(&came_in)]);
        // Two weeks teach.
        if present >= HISTORY + 14 * 24 {
            let rows = ShortForecast::from_batch(&out[0]).unwrap();
            rows.iter().for_each(|row| errors.score(plants, place, &newest, row));
        }
    }
    errors
}

impl Errors {
    fn score(&mut self, plants: &Plants, place: usize, hours: &[[f64; 3]], row: &ShortForecast) {
        let n: usize = row.subject_id[1..].parse().unwrap();
        let target = (row.target_at.0 / QUARTER_MS - plants.first) as usize;
        let kw = |place: usize| plants.kw[n][place].max(0.0);
        let (present, actual, last) = (place / 4, kw(target), kw(place - 1));
        let before = mean(&plants.kw[n][4 * present - 4..4 * present]).max(0.0);
        let [now, next, after] = hours[n];
        let drawn = [[before, now, next], [now, next, after]].into_iter().flat_map(quarters);
        let drawn = drawn.collect::<Vec<f64>>()[target - 4 * present].max(0.0);
        // A missing reading is none by `max`: those rows are left out.
        let known = [target, place - 1].iter().all(|place| plants.kw[n][*place].is_finite());
        if !known || !drawn.is_finite() || row.p90_kw <= 0.0 {
            return;
        }
        let inside = f64::from(u8::from((row.p10_kw..=row.p90_kw).contains(&actual)));
        let of = [row.p50_kw - actual, drawn - actual, last - actual, 1.0, inside];
        self.0[target - place].iter_mut().zip(of).for_each(|(sum, of)| *sum += of.abs());
    }
}

fn hour_said(row: Forecast) -> HourSaid {
    HourSaid {
        scope: row.scope,
        subject_id: row.subject_id,
        feeder_id: row.feeder_id,
        issued_at: row.issued_at,
        target_at: row.target_at,
        p10_kw: row.p10_kw,
        p50_kw: row.p50_kw,
        p90_kw: row.p90_kw,
    }
}

/// What is said is better than the hours alone and than the newest quarter by so much, at least.
#[track_caller]
fn check(name: &str, plants: &Plants, hours: [f64; LEADS], newest: [f64; LEADS]) {
    for (ahead, of) in live(plants).0.into_iter().enumerate() {
        let [said, drawn, last, _, inside] = of.map(|sum| sum / of[3]);
        println!(
            "{name} {} min: said {said:.4}, hours {drawn:.4}, newest {last:.4} kW; {:.1} % of {} \
             within",
            15 * (ahead + 1),
            100.0 * inside,
            of[3]
        );
        assert!(said < hours[ahead] * drawn && said < newest[ahead] * last, "{name} {ahead}");
        assert!((0.74..0.88).contains(&inside), "{name} {ahead}: {inside}");
    }
}

#[test]
fn a_roof_by_quarters_60_days() {
    let Some(roof) = roof() else { return };
    check("roof", &roof, [0.85, 0.93, 0.97, 0.99], [0.94, 0.8, 0.7, 0.6]);
}

#[test]
fn four_turbines_by_quarters_46_days() {
    let Some(turbines) = turbines() else { return };
    check("turbines", &turbines, [0.6, 0.78, 0.85, 0.88], [1.0; 4]);
}
