//! The tasks: who races on which networks, and what is to be reached.
//!
//! A task is a list of races, one a network, with the ratio that is asked of it. What a peer cannot
//! do on a network is said in its place in the table and decides nothing.

use std::path::Path;

use crate::physics::case::Case;
use crate::physics::field::Field;
use crate::physics::field::LIGHTSIM;
use crate::physics::field::OPENDSS;
use crate::physics::field::PGM;
use crate::physics::field::RADIAL;
use crate::physics::ours;
use crate::physics::race::Absent;
use crate::physics::race::Contestant;
use crate::physics::race::Entrant;
use crate::physics::race::Race;
use crate::physics::race::Target;
use crate::physics::table::Block;

/// Scenarios of a batch.
const BATCH: usize = 1_000;

/// OpenDSS's default: solved when no voltage moves by more, per unit.
const OPENDSS_TOLERANCE: f64 = 1e-4;

/// The tolerance that the tests of accuracy hold.
const EXACT: f64 = 1e-9;

/// A race, entered when its turn comes.
type Enter<'a> = Box<dyn Fn(&mut Field) -> Race + 'a>;

/// A task on several networks.
pub struct Task<'a> {
    name: &'static str,
    title: &'static str,
    /// Networks and races.
    entries: Vec<(String, Enter<'a>)>,
}

/// The networks: those that could be had.
pub fn cases(field: &mut Field, shipped: &[&str]) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |field: &mut Field, name: &str, case: Result<Case, String>| match case {
        Ok(case) => cases.push(case),
        Err(why) => field.loud.push(format!("no {name}: {why}")),
    };
    for name in shipped {
        let case = field.shipped(name);
        push(field, name, case);
    }
    let sizes = if shipped.is_empty() { &RADIAL[..1] } else { &RADIAL[..] };
    for &nodes in sizes {
        let case = field.radial(nodes);
        push(field, &format!("radial {nodes}"), case);
    }
    cases
}

/// All tasks, in the order of the table. `data` is the folder of the feeders that are not ours to
/// pass on.
pub fn all<'a>(cases: &'a [Case], data: Option<&Path>) -> Vec<Task<'a>> {
    let task = |name, title, enter: fn(&mut Field, &Case) -> Race| {
        let entry = |case: &'a Case| -> (String, Enter<'a>) {
            (case.name.clone(), Box::new(move |field| enter(field, case)))
        };
        Task { name, title, entries: cases.iter().map(entry).collect() }
    };
    let frozen =
        task("frozen", "Power flow from a flat start, machines hold Q instead of V", frozen);
    let breaker = task("breaker", "Topology after a breaker moved (asked: 1 ms)", breaker);
    let coupler = task("coupler", "Topology after a coupler moved (asked: 1 ms)", coupler);
    let radial = |task: Task<'a>| Task { entries: of_radial(cases, task.entries), ..task };
    vec![
        radial(breaker),
        radial(coupler),
        task("flat", "Power flow from a flat start", flat),
        Task { entries: with_machines(cases), ..frozen },
        task("warm", "Power flow from the last solution, all loads redrawn by 1 %", warm),
        task("batch", "Power flow of 1,000 scenarios, all cores, wall clock, per scenario", batch),
        task("estimate", "Estimation from a flat start", estimate),
        task("tick", "Estimation tick against a scenario of a batch, one thread", tick),
        task("judged", "Tick with tests for bad data, frozen factor", judged),
        task("afresh", "Tick with tests for bad data, fresh factor", judged_afresh),
        three_phase(data),
    ]
}

impl Task<'_> {
    /// Runs its races but for those that hold none of the words of `only`.
    pub fn run(&self, field: &mut Field, rounds: u64, only: &str) -> Block {
        let mut columns = Vec::new();
        let mut rows = Vec::new();
        for (network, enter) in &self.entries {
            let label = format!("{}/{network}", self.name);
            if !only.is_empty() && !only.split(',').any(|word| label.contains(word)) {
                continue;
            }
            eprintln!("{label}");
            let race = enter(field);
            columns = race.entrants.iter().map(|entrant| entrant.name).collect();
            rows.push(race.run(rounds));
        }
        Block { title: self.title.to_owned(), columns, rows }
    }
}

fn race(case: &Case, ours: Box<dyn Contestant>, entrants: Vec<Entrant>, target: Target) -> Race {
    let (network, reference) = (case.name.clone(), case.slack.bus);
    Race { network, ours, entrants, target, reference, repetitions: None }
}

/// The races on radial networks.
fn of_radial<'a>(cases: &[Case], entries: Vec<(String, Enter<'a>)>) -> Vec<(String, Enter<'a>)> {
    let radial = |at: &usize| cases[*at].radial;
    entries.into_iter().enumerate().filter(|(at, _)| radial(at)).map(|(_, entry)| entry).collect()
}

/// No peer has a topology that follows switches: ours is shown against the clock.
fn breaker(_: &mut Field, case: &Case) -> Race {
    race(case, ours::topology::breaker(case), Vec::new(), Target::Shown)
}

fn coupler(_: &mut Field, case: &Case) -> Race {
    race(case, ours::topology::coupler(case), Vec::new(), Target::Shown)
}

fn flat(field: &mut Field, case: &Case) -> Race {
    let entrants = vec![
        field.entrant("lightsim2grid", (LIGHTSIM, "flat"), &case.name, true),
        field.entrant("PGM", (PGM, "flat"), &case.name, false),
    ];
    let at_least = if case.radial { 1.5 } else { 2.0 };
    race(case, ours::flow::flat(case), entrants, Target::Faster(at_least))
}

/// The races that differ where there are machines.
fn with_machines(cases: &[Case]) -> Vec<(String, Enter<'_>)> {
    let has = |case: &&Case| !case.machine.bus.is_empty();
    let entry = |case| -> (String, Enter<'_>) {
        let case: &Case = case;
        (case.name.clone(), Box::new(move |field| frozen(field, case)))
    };
    cases.iter().filter(has).map(entry).collect()
}

/// Power Grid Model's way to pose a problem with machines: shown because it is the harder one.
fn frozen(field: &mut Field, case: &Case) -> Race {
    let entrants = vec![field.entrant("PGM", (PGM, "flat"), &case.name, true)];
    race(case, ours::flow::frozen(case), entrants, Target::Shown)
}

fn warm(field: &mut Field, case: &Case) -> Race {
    let entrants = vec![field.entrant("lightsim2grid", (LIGHTSIM, "warm"), &case.name, true)];
    race(case, ours::flow::warm(case), entrants, Target::Faster(2.0))
}

fn batch(field: &mut Field, case: &Case) -> Race {
    let entrants = vec![field.entrant("PGM", (PGM, "batch_wall"), &case.name, true)];
    let race = race(case, ours::flow::batch(case), entrants, Target::Faster(2.0));
    Race { repetitions: Some(BATCH), ..race }
}

fn estimate(field: &mut Field, case: &Case) -> Race {
    let entrants = vec![
        field.entrant("PGM iterative", (PGM, "iterative_linear single"), &case.name, false),
        field.entrant("PGM Newton", (PGM, "newton_raphson single"), &case.name, false),
    ];
    race(case, ours::estimation::flat(case), entrants, Target::Shown)
}

fn tick(field: &mut Field, case: &Case) -> Race {
    let entrants = vec![
        field.entrant("PGM iterative", (PGM, "iterative_linear batch"), &case.name, true),
        field.entrant("PGM Newton", (PGM, "newton_raphson batch"), &case.name, true),
    ];
    // From so many on a scenario costs the same within two per cent.
    let scenarios = match case.buses() {
        0..=1_000 => 1_000,
        1_001..=5_000 => 100,
        _ => 30,
    };
    let entrants = entrants
        .into_iter()
        .map(|entrant| Entrant { repetitions: Some(scenarios), ..entrant })
        .collect();
    race(case, ours::estimation::tick(case), entrants, Target::Faster(7.0))
}

/// Our own tick, to be held against.
fn own_tick(case: &Case) -> Vec<Entrant> {
    let runs = ours::estimation::tick(case);
    vec![Entrant { name: "our tick", runs, counts: true, repetitions: None }]
}

fn judged(_: &mut Field, case: &Case) -> Race {
    let ours = ours::estimation::judged(case);
    race(case, ours, own_tick(case), Target::Within(2.0))
}

fn judged_afresh(_: &mut Field, case: &Case) -> Race {
    let ours = ours::estimation::judged_afresh(case);
    race(case, ours, own_tick(case), Target::Within(4.0))
}

/// The feeders: names, and their scripts in the folder of data.
const FEEDERS: [(&str, &str); 3] = [
    ("ieee13", "grid/ieee13_unbal/original/IEEE13Nodeckt.dss"),
    ("ieee123", "grid/opendss/ieee123/IEEE123Master.dss"),
    ("ieee8500", "grid/opendss/ieee8500/Master-unbal.dss"),
];

fn three_phase<'a>(data: Option<&Path>) -> Task<'a> {
    let entry = |(name, script): (&'static str, &str)| -> (String, Enter<'a>) {
        let path = data.map(|folder| folder.join(script));
        (name.to_owned(), Box::new(move |field| feeder(field, name, path.as_deref())))
    };
    Task {
        name: "three",
        title: "Three phases, after all loads have been redrawn by 1 %, to 1e-4 pu",
        entries: FEEDERS.into_iter().map(entry).collect(),
    }
}

fn feeder(field: &mut Field, name: &str, path: Option<&Path>) -> Race {
    let ours = |field: &mut Field, tolerance: f64| -> Box<dyn Contestant> {
        let Some(path) = path else {
            return Box::new(Absent("GRIDLOOM_DATA names no folder".to_owned()));
        };
        field.file(name, path);
        let made = field
            .about(OPENDSS, name)
            .and_then(|about| ours::three_phase::feeder(path, about, tolerance));
        made.unwrap_or_else(|why| Box::new(Absent(why)))
    };
    let (first, exact) = (ours(field, OPENDSS_TOLERANCE), ours(field, EXACT));
    let entrants = vec![
        field.entrant("OpenDSS", (OPENDSS, "loads"), name, true),
        Entrant { name: "ours to 1e-9", runs: exact, counts: false, repetitions: None },
    ];
    Race {
        network: name.to_owned(),
        ours: first,
        entrants,
        target: Target::Faster(1.0),
        reference: 0,
        repetitions: None,
    }
}
