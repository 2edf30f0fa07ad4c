//! The next hour by quarters of what lies above feeders, on real substations: the sum of what each
//! says, beside what their sum's own series would say and what both would agree on.

use forecast::hierarchy::Hierarchy;
use forecast::ridge::Factor;
use forecast::short::LEADS;
use forecast::short::Quarter;
use forecast::short::Short;

use crate::short::BEGIN_DAYS;
use crate::short::Hourly;
use crate::short::SPLIT;
use crate::short::by_quarter;
use crate::short::mean;
use crate::watch_data::column;

/// The substations that stand in for the feeders of a zone.
const NAMES: [&str; 4] = ["LLS", "MNZL", "OWD", "WEW"];

/// A series with the hours that its quarters are drawn from.
struct Series {
    hourly: Hourly,
    short: Short,
    hours: [[f64; 3]; 2],
}

impl Series {
    fn new(first: i64, weather: Vec<(forecast::model::Role, Vec<f64>)>) -> Series {
        let hourly = Hourly::new(first / 4, weather);
        Series { hourly, short: Short::new(first), hours: [[f64::NAN; 3], [0.0; 3]] }
    }

    /// A quarter is over, and where it ends an hour, that hour.
    fn push(&mut self, kw: f64, hour: Option<f64>, factor: &mut Factor) {
        self.short.push(kw, factor);
        if let Some(hour) = hour {
            self.hours = self.hourly.step(hour);
        }
    }

    fn issue(&mut self, said: Option<[f64; LEADS]>) -> Option<[Quarter; LEADS]> {
        let [hours, spreads] = self.hours;
        self.short.issue_as(hours, spreads, said)
    }
}

/// By lead: absolute errors, and how often the outcome lay within the band.
#[derive(Debug, Default)]
struct Scored {
    /// Of the sum of the parts' medians, of the zone's own word, of what the projection gives.
    sum: [f64; LEADS],
    own: [f64; LEADS],
    agreed: [f64; LEADS],
    /// Within the band around the sum, and within the sum of the parts' bands.
    inside: [f64; LEADS],
    added: [f64; LEADS],
    /// Of the parts, as each says and as the projection gives.
    below: [f64; LEADS],
    below_agreed: [f64; LEADS],
    count: f64,
}

impl Scored {
    /// What came of the zone and of its parts, what was issued of the zone and what its own series
    /// says, and what the parts say.
    fn take(
        &mut self,
        ahead: usize,
        (actual, of_parts): (f64, &[f64]),
        (issued, own): (Quarter, [Quarter; LEADS]),
        said: &[[Quarter; LEADS]],
    ) {
        let agreed = projected(said, &own, ahead);
        self.sum[ahead] += (issued.p50 - actual).abs();
        self.own[ahead] += (own[ahead].p50 - actual).abs();
        self.agreed[ahead] += (agreed[said.len()] - actual).abs();
        let within = |low: f64, high: f64| f64::from(u8::from((low..=high).contains(&actual)));
        self.inside[ahead] += within(issued.p10, issued.p90);
        let ends = said.iter().map(|part| part[ahead]);
        let (low, high) = ends.fold((0.0, 0.0), |e, q| (e.0 + q.p10, e.1 + q.p90));
        self.added[ahead] += within(low, high);
        for (n, part) in said.iter().enumerate() {
            let share = 1.0 / said.len() as f64;
            self.below[ahead] += (part[ahead].p50 - of_parts[n]).abs() * share;
            self.below_agreed[ahead] += (agreed[n] - of_parts[n]).abs() * share;
        }
    }

    #[expect(clippy::print_stdout, reason = "the figures are asked for with --nocapture")]
    fn check(&self) {
        let mean = |of: [f64; LEADS]| of.map(|sum| sum / self.count);
        let told = |of: [f64; LEADS]| mean(of).map(|value| format!("{value:.3}")).join(" ");
        println!("zone: sum {}, own {}", told(self.sum), told(self.own));
        println!("zone: projected {}, {} quarters", told(self.agreed), self.count);
        println!("within {}, within the sums of bands {}", told(self.inside), told(self.added));
        println!("feeders: {}, projected {}", told(self.below), told(self.below_agreed));
        for ahead in 0..LEADS {
            // What the decision in `operators::forecast::short::above` rests on.
            assert!(self.sum[ahead] < 1.025 * self.own[ahead], "{self:?}");
            assert!(self.sum[ahead] < 1.025 * self.agreed[ahead], "{self:?}");
            assert!(self.below[ahead] < 1.01 * self.below_agreed[ahead], "{self:?}");
            assert!((0.78..0.87).contains(&mean(self.inside)[ahead]), "{self:?}");
            assert!(mean(self.added)[ahead] > 0.9, "{self:?}");
        }
    }
}

/// The medians of the zone, and of its parts, as the projection has them.
fn projected(parts: &[[Quarter; LEADS]], own: &[Quarter; LEADS], ahead: usize) -> Vec<f64> {
    let root = parts.len();
    let parents = (0..=root).map(|n| (n < root).then_some(root)).collect();
    let tree = Hierarchy::new(parents).expect("parts have one zone, and it has no parent");
    let all: Vec<Quarter> = parts.iter().map(|p| p[ahead]).chain([own[ahead]]).collect();
    let base: Vec<Option<f64>> = all.iter().map(|q| Some(q.p50)).collect();
    let variances: Vec<f64> = all.iter().map(|q| ((q.p90 - q.p10) / 2.563).powi(2)).collect();
    let values = tree.reconcile(&base, &variances).expect("all are numbers");
    values.into_iter().map(|value| value.expect("each says something")).collect()
}

#[test]
fn the_sum_of_four_substations_is_foreseen_by_their_sum_nearly_as_well_as_by_the_projection() {
    let mut loads = Vec::new();
    let mut weather = Vec::new();
    for name in NAMES {
        let file = format!("substation_netload_split_nl_{name}_15min_2021.csv");
        let Some(load) = column(&file, "net_load_mw") else { return };
        let (first, values) = by_quarter(&load);
        let of = SPLIT.map(|(name, role)| {
            let (_, mut other) = by_quarter(&column(&file, name).unwrap());
            other.resize(values.len(), f64::NAN);
            (role, other)
        });
        loads.push((first, values));
        weather.push(of.to_vec());
    }
    let first = loads[0].0;
    let count = loads.iter().map(|(_, values)| values.len()).min().unwrap();
    assert!(loads.iter().all(|(of, _)| *of == first));
    let sum_at = |at: usize| loads.iter().map(|(_, values)| values[at]).sum::<f64>();
    let sum: Vec<f64> = (0..count).map(sum_at).collect();
    // The zone hears the weather over all its feeders.
    let mut zone = Series::new(first, weather.concat());
    let mut itself = Short::new(first);
    let mut parts: Vec<Series> = weather.into_iter().map(|of| Series::new(first, of)).collect();
    let (mut factor, mut scored) = (Factor::default(), Scored::default());
    for at in 0..count {
        let ends = (first + at as i64 + 1) % 4 == 0;
        let hour = |values: &[f64]| ends.then(|| mean(&values[at - 3..=at]));
        for (part, (_, values)) in parts.iter_mut().zip(&loads) {
            part.push(values[at], hour(values), &mut factor);
        }
        zone.push(sum[at], hour(&sum), &mut factor);
        itself.push(sum[at], &mut factor);
        let [hours, spreads] = zone.hours;
        let Some(own) = itself.issue(hours, spreads) else { continue };
        let said: Option<Vec<[Quarter; LEADS]>> = parts.iter_mut().map(|p| p.issue(None)).collect();
        let Some(said) = said else { continue };
        let added = std::array::from_fn(|ahead| said.iter().map(|p| p[ahead].p50).sum());
        let issued = zone.issue(Some(added)).unwrap();
        let scores = at as i64 > BEGIN_DAYS * 96 && hours[0].is_finite();
        if !scores || at + LEADS >= count || !(0..=LEADS).all(|a| sum[at + a].is_finite()) {
            continue;
        }
        for (ahead, sum) in sum[at + 1..=at + LEADS].iter().enumerate() {
            assert_eq!(issued[ahead].p50, added[ahead]);
            let parts: Vec<f64> = loads.iter().map(|(_, kw)| kw[at + 1 + ahead]).collect();
            scored.take(ahead, (*sum, &parts), (issued[ahead], own), &said);
        }
        scored.count += 1.0;
    }
    scored.check();
}
