//! Weather that begins after a model was made: it is heard, waits for its review, and may then be
//! chosen, as by a model that was told of it from the beginning.

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::adaptive::Version;
use forecast::model::Model;
use forecast::model::Outlook;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::structure::HEARD_DAYS;

use crate::series::Chance;
use crate::series::Made;
use crate::series::made;

/// A load by the temperature of a station that is heard from the reading `late` on. Until then
/// there is none, or one that is far off.
struct Late {
    made: Made,
    /// What a station far off says.
    far_c: Vec<f32>,
    /// Whether that is heard from the beginning.
    far: bool,
    late: usize,
    /// The reading from which on it is heard, too, where it was not.
    also: usize,
}

fn late(days: i64, far: bool, late: usize) -> Late {
    let made = if far { made(days, 11).misforecast(12) } else { made(days, 11) };
    let (mut chance, mut off) = (Chance(13), 0.0);
    let far_c = made.temperature_c.iter().map(|value| {
        off = 0.98 * off + 1.2 * chance.normal() as f32;
        value + off
    });
    let far_c: Vec<f32> = far_c.collect();
    Late { far_c, far, made, late, also: usize::MAX }
}

fn station(name: &str) -> Quantity {
    Quantity { name: name.to_owned(), role: Role::Temperature }
}

impl Late {
    /// The quantities that there are by the reading `at`.
    fn quantities(&self, at: usize) -> Vec<Quantity> {
        let far = station("far");
        let before = self.far.then(|| far.clone());
        let near = (at >= self.late).then(|| station("near"));
        let after = (at >= self.also).then_some(far);
        [before, near, after].into_iter().flatten().collect()
    }

    /// The number of the station that is heard late.
    fn near(&self) -> usize {
        usize::from(self.far)
    }

    /// What a station says with the reading `at` that was heard from the reading `from` on.
    fn words(&self, quantity: usize, at: usize, from: usize, says_c: &[f32]) -> Vec<Said> {
        let (issued, first) = (self.made.first + at as i64, self.made.first);
        let horizon = self.made.setup.horizon;
        let hours = if at == from { at } else { at + horizon }..at + horizon + 1;
        let word = |k: usize| {
            let (index, value) = (first + k as i64, *says_c.get(k)?);
            Some(Said { issued, quantity, index, value })
        };
        hours.filter(|_| at >= from).filter_map(word).collect()
    }

    /// What is said with the reading `at`.
    fn said(&self, at: usize) -> Vec<Said> {
        let near = self.near();
        let mut said = Vec::new();
        if self.far {
            said.extend(self.words(0, at, 0, &self.far_c));
        }
        said.extend(self.words(near, at, self.late, &self.made.ahead_c));
        if at >= self.late {
            let (now, index) = (self.made.first + at as i64, self.made.first + at as i64);
            let value = self.made.temperature_c[at];
            said.push(Said { issued: now, quantity: near, index, value });
        }
        said.extend(self.words(near + 1, at, self.also, &self.far_c));
        said
    }

    /// A model that knows all quantities, or only those that are heard from the beginning.
    fn model(&self, all: bool, policy: Policy) -> Adaptive {
        let mut setup = self.made.setup.clone();
        setup.quantities = self.quantities(if all { self.late } else { 0 });
        Adaptive::new(setup, self.made.first, policy)
    }

    /// One reading, with what comes before it.
    fn step(&self, model: &mut Adaptive, at: usize) {
        if at == self.late || at == self.also {
            model.hear(&self.quantities(at));
        }
        model.know(&self.said(at));
        model.observe(self.made.load[at]);
    }
}

const PLAIN: Policy = Policy { trees: false, reviews: true, screen: true, beside: false };

const BESIDE: Policy = Policy { beside: true, ..PLAIN };

/// Mean absolute error of a forecast.
fn error(late: &Late, outlook: &Outlook) -> f64 {
    let load = |index: i64| late.made.load.get((index - late.made.first) as usize);
    let off = outlook.points.iter().filter_map(|p| Some((p.value - load(p.index)?).abs()));
    off.sum::<f64>() / outlook.points.len() as f64
}

/// The first version that rests on the late station.
fn chosen(late: &Late, versions: &[Version]) -> Option<Version> {
    let rests = |v: &&Version| v.structure.stations.contains(&late.near());
    versions.iter().find(rests).cloned()
}

/// A model that hears of the station is, to the bit, the one that was told of it from the beginning
/// and heard nothing; and it errs less by so much once it may choose it.
#[expect(clippy::print_stdout, reason = "the figures are asked for with --nocapture")]
#[track_caller]
fn check(late: &Late, policy: Policy, better: f64) {
    let mut models = [late.model(true, policy), late.model(false, policy)];
    let (mut versions, mut errors) = (Vec::new(), Vec::new());
    for at in 0..late.made.load.len() {
        models.iter_mut().for_each(|model| late.step(model, at));
        if at + 1 >= 60 * 24 {
            let [told, heard] = models.each_mut().map(Model::outlook);
            assert_eq!(told, heard, "after step {at}");
            errors.push((at, error(late, &heard)));
        }
        let [told, heard] = models.each_mut().map(Adaptive::take_versions);
        assert_eq!(told, heard);
        versions.extend(heard);
    }
    let version = chosen(late, &versions).expect("it earns its place");
    let after = (version.origin - late.made.first) as usize - late.late;
    let reason = &version.reason;
    // Where 28 days are too few to tell, the next month tells.
    let (asked, later) = ("weather that began later: ", "a monthly review: ");
    assert!(reason.starts_with(asked) || reason.starts_with(later), "{reason}");
    let enough = HEARD_DAYS as usize * 24;
    assert!((enough - 24..enough + 39 * 24).contains(&after), "{after} hours after it began");
    let mean = |hours: std::ops::Range<usize>| {
        let of = errors.iter().filter(|(at, _)| hours.contains(at)).map(|(_, error)| error);
        of.clone().sum::<f64>() / of.count() as f64
    };
    let origin = (version.origin - late.made.first) as usize;
    let (before, then) = (mean(late.late..origin), mean(origin..late.made.load.len() - 24));
    println!("mean absolute error in MW: {before:.2} before, {then:.2} after: {reason}");
    assert!(then < better * before, "{then} {before}");
}

#[test]
fn who_hears_of_the_first_station_is_who_was_told_of_it() {
    check(&late(190, false, 100 * 24 + 5), PLAIN, 0.95);
}

#[test]
fn who_hears_of_a_better_station_is_who_was_told_of_it() {
    check(&late(190, true, 100 * 24 + 5), BESIDE, 0.9);
}

#[test]
fn a_year_without_the_station_does_not_spoil_it() {
    check(&late(460, false, 370 * 24), PLAIN, 0.95);
}

#[test]
fn who_hears_nothing_more_is_not_reviewed_for_it() {
    let late = late(130, true, usize::MAX);
    let mut models = [late.model(true, PLAIN), late.model(false, PLAIN)];
    for at in 0..late.made.load.len() {
        models.iter_mut().for_each(|model| late.step(model, at));
        models.iter_mut().for_each(|model| drop(model.outlook()));
    }
    let [told, heard] = models.each_mut().map(|model| (model.take_versions(), model.outlook()));
    assert_eq!(told, heard);
}

#[test]
fn a_trial_that_is_held_while_a_station_comes_ends_as_one_held_at_once() {
    let mut late = late(170, false, 100 * 24);
    let begins = 60 * 24;
    let live = |late: &Late, policy: Policy| {
        let mut model = late.model(false, policy);
        let (mut said, mut versions) = (Vec::new(), Vec::new());
        for at in 0..late.made.load.len() {
            late.step(&mut model, at);
            let near = (late.also.saturating_sub(3)..late.also.saturating_add(3)).contains(&at);
            if policy.beside && (at % 240 == 0 || near) {
                let saved = serde_json::to_vec(&model).expect("numbers and texts");
                model = serde_json::from_slice(&saved).expect("as it was written");
            }
            said.extend((at + 1 >= begins).then(|| model.outlook()));
            versions.extend(model.take_versions());
        }
        (said, versions)
    };
    let (_, versions) = live(&late, PLAIN);
    let review = chosen(&late, &versions).expect("it earns its place").origin - late.made.first;
    // The review that chooses the first station is under way when the second is heard.
    late.also = review as usize + 1;
    let (at_once, versions) = live(&late, PLAIN);
    let (beside, same) = live(&late, BESIDE);
    assert_eq!(versions, same);
    let origins: Vec<i64> = versions.iter().map(|v| v.origin - late.made.first).collect();
    assert!(origins[1..].contains(&review), "{origins:?}");
    for (n, (at_once, beside)) in at_once.iter().zip(&beside).enumerate() {
        let at = (n + begins - 1) as i64;
        // Held beside, the winner answers from the next reading on.
        assert_eq!(at_once == beside, !origins[1..].contains(&at), "after step {at}");
    }
}

#[test]
fn a_restart_anywhere_changes_no_bit() {
    let late = late(160, false, 100 * 24);
    let mut whole = late.model(false, BESIDE);
    let mut again = whole.clone();
    for at in 0..late.made.load.len() {
        [&mut whole, &mut again].into_iter().for_each(|model| late.step(model, at));
        if at > 60 * 24 && at % 50 == 0 {
            let saved = serde_json::to_vec(&again).expect("numbers and texts");
            again = serde_json::from_slice(&saved).expect("as it was written");
        }
        if at > 60 * 24 {
            assert_eq!(whole.outlook(), again.outlook(), "after step {at}");
        }
    }
    assert!(chosen(&late, &whole.take_versions()).is_some());
}

#[test]
fn what_is_corrected_after_the_station_was_chosen_is_the_corrected_past() {
    let mut late = late(180, false, 100 * 24);
    let mut models = [late.model(false, PLAIN), late.model(false, PLAIN)];
    let wrong: Vec<usize> = (170 * 24..175 * 24).step_by(7).collect();
    let right = late.made.load.clone();
    for (model, wronged) in models.iter_mut().zip([false, true]) {
        for at in wrong.iter().filter(|_| wronged) {
            late.made.load[*at] += 3.0;
        }
        for at in 0..late.made.load.len() {
            late.step(model, at);
            if at == 60 * 24 {
                model.outlook();
            }
        }
        late.made.load.clone_from(&right);
    }
    let [never, corrected] = &mut models;
    let stations = |model: &Adaptive| model.forecaster().map(|f| f.structure().stations.clone());
    assert_eq!((stations(never), stations(corrected)), (Some(vec![0]), Some(vec![0])));
    let sums = |model: &Adaptive| model.forecaster().map(|f| f.sums());
    assert!(sums(never) != sums(corrected));
    for at in wrong {
        assert!(corrected.correct(late.made.first + at as i64, right[at]));
    }
    assert!(sums(never) == sums(corrected));
}

#[test]
fn who_goes_back_from_the_station_says_what_who_was_told_of_it_says() {
    let late = late(160, true, 100 * 24);
    let mut models = [late.model(true, PLAIN), late.model(false, PLAIN)];
    for at in 0..late.made.load.len() {
        models.iter_mut().for_each(|model| late.step(model, at));
        models.iter_mut().filter(|_| at > 60 * 24).for_each(|model| drop(model.outlook()));
    }
    let with = models[1].outlook();
    assert!(models.iter_mut().all(Adaptive::roll_back));
    let [told, heard] = models.each_mut().map(Model::outlook);
    assert_eq!(told, heard);
    assert_ne!(with, heard);
    let structure = models[1].forecaster().expect("it answers").structure();
    assert!(!structure.stations.contains(&late.near()));
}
