//! The whole way over a real broker: topics in, topics out, and an instance between them that is
//! killed.
//!
//! The village's evening goes to seven topics, most of them with several partitions, as the plant
//! writes them: keyed, with marks. `gridloom run` reads them until the last tick is durable. What
//! its views show then must be what one batch computation over the same rows gives; what its audit
//! log counts must be what the agents say over views that batch makes of each tick's rows; what
//! left by the topic `setpoints` must be what the audit log says, each action once; and whoever is
//! killed on the way must end where an undisturbed run ends. `kafka_day` has a longer stretch.
//!
//! `cargo xtask test` starts the broker; without one these tests fail.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use connectors::kafka::KafkaConfig;
use connectors::kafka::KafkaSink;
use connectors::kafka::KafkaSinkConfig;
use connectors::kafka::admin;
use connectors::simulator::Plant;
use connectors::simulator::PlantConfig;
use connectors::simulator::plant::DEMO_START_AT;
use connectors::sink::Sink;
use gridloom::wiring::bundled;
use gridloom::wiring::plant;
use gridloom::wiring::plant::Place;
use gridloom::wiring::plant::Publisher;
use pipeline::emit::records::as_said;
use pipeline::log;
use pipeline::views::snapshot;
use pipeline::views::snapshot::OnDisk;
use schemas::audit;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::catalog::Catalog;
use schemas::decision::Action;
use schemas::decision::Forecast;
use schemas::decision::ShortForecast;
use schemas::event::Setpoint;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use crate::batch_agents;
use crate::oracle;
use crate::oracle::Change;
use crate::recovery;

/// The evening begins at 18:45, so that an hour ends on the way.
const START: &str = "18:45";
const START_MS: u64 = (18 * 60 + 45) * 60_000;

/// Nearly half an hour: the last tick does not issue a forecast, which no view could show yet.
const STEPS: u64 = 355;

/// Steps in the runs that are killed.
const KILLED_STEPS: u64 = 120;

/// Kills between two system calls: the point and how often it is reached first.
const POINTS: [&str; 8] = [
    "synced:3",
    "synced:33",
    "synced:60",
    "synced:81",
    "synced:110",
    "appended:25",
    "appended:90",
    "sent:50",
];

/// Kills by signal, each in a run of its own. One that comes too late is drawn again.
const SIGNALS: u64 = 12;

/// Draws of a moment before it is called impossible to hit a run.
const DRAWS_MAX: u64 = 200;

// What was asked for: twenty kills, at least five of them between sync and send.
const _: () = assert!(SIGNALS as usize + POINTS.len() >= 20);

/// How long a run may take before it is called stuck.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// How near a run must be to its end before its whole log is looked at for it: the signed head lags
/// by less.
const NEAR_MS: u64 = 300_000;

/// Between two looks at how far a run is.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) fn brokers() -> String {
    std::env::var("GRIDLOOM_TEST_KAFKA").unwrap_or_else(|_| {
        panic!(
            "GRIDLOOM_TEST_KAFKA is not set: this test needs a Kafka broker. Run it with \
             `cargo xtask test`, or start one with `cargo xtask kafka start` and export what it \
             prints."
        )
    })
}

/// Topics that no other test and no earlier run has.
pub(crate) fn place(name: &str) -> Place {
    Place { brokers: brokers(), prefix: format!("gridloom-{name}-{}-", std::process::id()) }
}

/// The village before a day's step that begins so many milliseconds after midnight.
pub(crate) fn village(start_ms: u64) -> Plant {
    let start_at = DEMO_START_AT.plus(start_ms);
    let config = PlantConfig { start_at, ..PlantConfig::default() };
    Plant::new(bundled::plant_data().unwrap(), config).unwrap()
}

/// What stands in the topics and tables.
pub(crate) struct Input {
    place: Place,
    start_ms: u64,
    /// What comes with each tick, the tables with the first.
    pub(crate) ticks: Vec<(u64, Vec<Change>)>,
    pub(crate) last: Timestamp,
}

impl Input {
    /// Writes a stretch of the day without control to new topics.
    pub(crate) fn write(place: Place, start_ms: u64, steps: u64) -> Input {
        place.make_topics().unwrap();
        let mut publisher = Publisher::open(&place).unwrap();
        let mut plant = village(start_ms);
        let came = |(name, rows): (String, RecordBatch)| (name, rows, 1);
        let mut changes: Vec<Change> = bundled::tables(&plant).into_iter().map(came).collect();
        let (mut ticks, mut last) = (Vec::new(), Timestamp::default());
        for _ in 0..steps {
            let step = plant.step(plant.next_at(), &[]);
            publisher.send(&step).unwrap();
            let said = plant::said(&step).into_iter().filter(|(_, rows)| rows.num_rows() > 0);
            changes.extend(said.map(|(stream, rows)| came((stream.to_owned(), rows))));
            last = step.at;
            ticks.push((last.0, std::mem::take(&mut changes)));
        }
        publisher.flush().unwrap();
        Input { place, start_ms, ticks, last }
    }

    /// A run over it with a data folder and a topic of setpoints of its own.
    pub(crate) fn run(&self, folder: &Path, name: &str) -> Run {
        let folder = folder.join(name);
        let config = plant::write_config(&folder, &self.place, &village(self.start_ms)).unwrap();
        let shared = self.place.topic(plant::SETPOINTS);
        let own = KafkaConfig::topic(&shared.brokers, &format!("{}-{name}", shared.topic));
        admin::make_topic("tests", &own, 2).unwrap();
        let text = fs::read_to_string(&config).unwrap();
        let settings = "patience = \"off\"\nticks_in_flight = 2\nsnapshot_every = 50\n";
        let text = text.replace("[instance]\n", &format!("[instance]\n{settings}"));
        let text = text.replace(&shared.topic, &own.topic);
        fs::write(&config, text).unwrap();
        Run { config, setpoints: own, last: self.last }
    }
}

/// An instance's configuration and what it leaves behind.
pub(crate) struct Run {
    config: PathBuf,
    setpoints: KafkaConfig,
    last: Timestamp,
}

/// What a run left behind.
pub(crate) struct Outcome {
    pub(crate) tick: Timestamp,
    pub(crate) views: BTreeMap<String, RecordBatch>,
    pub(crate) head: Head,
    pub(crate) commits: u64,
    /// What left, by action.
    pub(crate) setpoints: BTreeMap<String, Setpoint>,
}

impl Run {
    pub(crate) fn audit(&self) -> PathBuf {
        self.config.with_file_name("data").join("audit")
    }

    /// Starts it and lets it go on until the last tick is durable; then asks it to stop, as a
    /// supervisor would.
    #[track_caller]
    pub(crate) fn finish(&self) {
        let mut process = Process(Some(recovery::start(&self.config, None)));
        process.wait_for(&self.audit(), self.last);
        let said = process.stop();
        // Only what a kill may leave behind may be said.
        let unexpected: Vec<_> = (said.lines())
            .filter(|line| line.contains("ERROR") || line.contains("WARN"))
            .filter(|line| !line.contains("dropped an uncommitted tail"))
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
    }

    #[track_caller]
    pub(crate) fn outcome(&self) -> Outcome {
        let data = self.config.with_file_name("data");
        let OnDisk { tick, views, .. } = snapshot::read(&data).unwrap().expect("a snapshot");
        let report = log::verify(&self.audit()).unwrap();
        assert!(report.intact(), "{report}");
        let (head, commits) = (report.head, report.commits);
        Outcome { tick, views, head, commits, setpoints: sent(&self.setpoints) }
    }
}

/// The last tick in a log; the epoch while there is none.
fn tick_of(audit: &Path) -> Timestamp {
    log::verify(audit).map_or(Timestamp::default(), |report| report.head.tick)
}

/// Whether a log's signed head says that it is far from this tick.
fn is_far(audit: &Path, last: Timestamp) -> bool {
    let head = fs::read(audit.join("head.json")).unwrap_or_default();
    let head = serde_json::from_slice::<log::SignedHead>(&head);
    // Before the first tick that it signs it says nothing.
    head.is_ok_and(|head| head.tick > Timestamp(0) && head.tick.plus(NEAR_MS) < last)
}

/// A process that does not outlive its test.
pub(crate) struct Process(pub(crate) Option<Child>);

impl Process {
    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it was not stopped yet")
    }

    /// Waits until the log in `audit` has reached `last`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, audit: &Path, last: Timestamp) {
        let began = Instant::now();
        loop {
            let tick = if is_far(audit, last) { Timestamp(0) } else { tick_of(audit) };
            if tick >= last && self.listens() {
                return;
            }
            if self.child().try_wait().unwrap().is_some() {
                panic!("it ended at tick {tick} by itself: {}", self.stop());
            }
            assert!(began.elapsed() < WAIT_MAX, "tick {tick} after {WAIT_MAX:?}, {last} expected");
            std::thread::sleep(LOOK);
        }
    }

    /// Whether it has come so far as to listen for SIGTERM; before, the signal would just end it.
    fn listens(&mut self) -> bool {
        const SIGTERM: u32 = 15;
        let status = fs::read_to_string(format!("/proc/{}/status", self.child().id()));
        let caught = status.ok().and_then(|status| {
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim();
            u64::from_str_radix(mask, 16).ok()
        });
        caught.is_some_and(|mask| mask & (1 << (SIGTERM - 1)) != 0)
    }

    /// Asks it to stop and gives what it said; it must end well.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> String {
        let child = self.0.take().expect("it was not stopped yet");
        let pid = child.id().to_string();
        // One that has ended cannot be asked, and that is seen below.
        Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", output.status);
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// All setpoints in a topic by their ids, each of which must be there once.
#[track_caller]
fn sent(topic: &KafkaConfig) -> BTreeMap<String, Setpoint> {
    let config = KafkaSinkConfig::topic(topic.clone());
    let mut sink = KafkaSink::open("setpoints", &Setpoint::schema(), config).unwrap();
    let rows = Setpoint::from_batch(&sink.tail(usize::MAX).unwrap()).unwrap();
    let count = rows.len();
    let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.action_id.clone(), row)).collect();
    assert_eq!(rows.len(), count, "a setpoint left twice");
    rows
}

pub(crate) fn ids(setpoints: &BTreeMap<String, Setpoint>) -> BTreeSet<String> {
    setpoints.keys().cloned().collect()
}

/// How many records there are of each kind: of actions by state, of alarms by kind and state, of
/// forecasts by what they are of, of refusals by their word, of the rest altogether.
pub(crate) fn totals(audit: &Path) -> BTreeMap<String, usize> {
    let mut totals = BTreeMap::new();
    for kind in Kind::ALL {
        let by: &[&str] = match kind {
            Kind::Action => &["state"],
            Kind::Alarm => &["kind", "state"],
            Kind::Forecast | Kind::ShortForecast => &["scope"],
            Kind::Quarantine => &[audit::REASON],
            _ => &[],
        };
        for batch in log::read_kind(audit, kind).unwrap() {
            count(kind.name(), by, &batch.unwrap(), &mut totals);
        }
    }
    totals
}

/// Adds the rows of a batch by the words that they hold.
pub(crate) fn count(
    kind: &str,
    by: &[&str],
    batch: &RecordBatch,
    totals: &mut BTreeMap<String, usize>,
) {
    let columns = by.iter().map(|name| batch.column_by_name(name).unwrap());
    let columns: Vec<_> = columns.map(|column| column.as_string::<i32>()).collect();
    for row in 0..batch.num_rows() {
        let words = columns.iter().map(|column| column.value(row));
        let words: Vec<&str> = [kind].into_iter().chain(words).collect();
        *totals.entry(words.join(" ")).or_default() += 1;
    }
}

/// The ids of actions that were sent.
pub(crate) fn sent_ids(audit: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for batch in log::read_kind(audit, Kind::Action).unwrap() {
        let batch = batch.unwrap();
        let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let (states, actions) = (text("state"), text(audit::ACTION_ID));
        let sent = states.iter().zip(&actions).filter(|(state, _)| *state == Some("sent"));
        ids.extend(sent.map(|(_, id)| id.unwrap().to_owned()));
    }
    ids
}

/// What the agents said that views read: forecasts and actions, as relations.
fn said(audit: &Path) -> Vec<Change> {
    let rows = |kind: Kind, name: &str, schema: SchemaRef| -> Vec<Change> {
        let row = |batch| (name.to_owned(), as_said(kind, &batch, &schema).unwrap(), 1);
        log::read_kind(audit, kind).unwrap().map(|batch| row(batch.unwrap())).collect()
    };
    let mut all = rows(Kind::Forecast, Forecast::NAME, Forecast::schema());
    all.extend(rows(Kind::ShortForecast, ShortForecast::NAME, ShortForecast::schema()));
    all.extend(rows(Kind::Action, Action::NAME, Action::schema()));
    all
}

/// Rows of each stream, as written and as logged.
fn rows_of<'a>(rows: impl Iterator<Item = (&'a str, usize)>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    rows.filter(|(_, n)| *n > 0)
        .for_each(|(name, n)| *counts.entry(name.to_owned()).or_default() += n);
    counts
}

fn logged(audit: &Path) -> BTreeMap<String, usize> {
    let instance = log::InstanceId::new("village").unwrap();
    let (_log, recovered) = log::Log::open(audit, &instance, log::Options::default()).unwrap();
    let commits: Vec<_> = recovered.replay(Timestamp(0)).map(|c| c.unwrap().commit).collect();
    let inputs = commits.iter().flat_map(|commit| &commit.inputs);
    rows_of(inputs.map(|(name, rows)| (name.trim_start_matches(['+', '-']), rows.num_rows())))
}

/// What was written is what was logged, and every view is what batch makes of it.
#[track_caller]
pub(crate) fn check_batch(
    input: &Input,
    run: &Run,
    outcome: &Outcome,
) -> BTreeMap<String, RecordBatch> {
    let changes = || input.ticks.iter().flat_map(|(_, changes)| changes);
    let written = rows_of(changes().map(|(name, rows, _)| (name.as_str(), rows.num_rows())));
    assert_eq!(logged(&run.audit()), written, "nothing lost, nothing twice");
    let mut all: Vec<Change> = changes().cloned().collect();
    all.extend(said(&run.audit()));
    // What is estimated is the state of an agent: batch is given it as it stands.
    let states = outcome.views.iter().filter(|(name, _)| name.starts_with("estimates."));
    all.extend(states.map(|(name, rows)| (name.clone(), rows.clone(), 1)));
    let asked = oracle::asked(&Catalog::built_in(), &[(input.last.0, all)]).remove(0);
    for (view, asked) in &asked {
        oracle::check_equal(view, &outcome.views[view], asked);
    }
    asked
}

#[test]
fn half_an_hour_in_several_topics_equals_batch_355_ticks() {
    let folder = tempfile::tempdir().unwrap();
    let input = Input::write(place("batch"), START_MS, STEPS);
    let run = input.run(folder.path(), "run");
    run.finish();
    let outcome = run.outcome();
    assert_eq!((outcome.tick, outcome.head.tick), (input.last, input.last));
    assert_eq!(outcome.commits, STEPS);

    let sent = sent_ids(&run.audit());
    assert!(sent.len() > 20, "{:?}", totals(&run.audit()));
    assert_eq!(ids(&outcome.setpoints), sent, "what left is what the audit log says");
    let asked = check_batch(&input, &run, &outcome);
    for view in ["grid_state", "feeder_load", "feeder_cost", "node_hour"] {
        assert!(asked[view].num_rows() > 0, "{view} is empty");
    }
    let mut counted = totals(&run.audit());
    assert!(!counted.keys().any(|of| of.starts_with("quarantine") || of.starts_with("tick")));
    // The rest is what the agents said.
    counted.retain(|of, _| {
        let said = ["action", "alarm", "forecast", "model", "short-forecast"];
        said.iter().any(|kind| of.starts_with(kind))
    });
    assert_eq!(counted, batch_agents::totals(&input.ticks));
}

#[test]
fn killed_at_any_moment_on_a_broker_120_ticks_20_kills() {
    let folder = tempfile::tempdir().unwrap();
    let input = Input::write(place("kills"), START_MS, KILLED_STEPS);
    let undisturbed = input.run(folder.path(), "undisturbed");
    let began = Instant::now();
    undisturbed.finish();
    let took = began.elapsed();
    let expected = undisturbed.outcome();
    assert!(expected.setpoints.len() > 20, "only {} setpoints", expected.setpoints.len());

    for point in POINTS {
        let run = input.run(folder.path(), &point.replace(':', "-"));
        let mut process = Process(Some(recovery::start(&run.config, Some(point))));
        let began = Instant::now();
        while process.child().try_wait().unwrap().is_none() {
            assert!(began.elapsed() < WAIT_MAX, "{point} was never reached");
            std::thread::sleep(LOOK);
        }
        let killed_at = tick_of(&run.audit());
        run.finish();
        check_same(point, killed_at, &run.outcome(), &expected);
    }
    let (mut seed, mut killed) = (20_160_831u64, 0);
    for draw in 0..DRAWS_MAX {
        seed = recovery::next(seed);
        let run = input.run(folder.path(), &format!("signal-{draw}"));
        let mut process = Process(Some(recovery::start(&run.config, None)));
        let share = (seed >> 33) as f64 / (1u64 << 31) as f64;
        std::thread::sleep(took.mul_f64(0.1 + 0.9 * share));
        // A broker has no end: it runs until it is killed.
        process.child().kill().unwrap();
        assert!(!process.child().wait().unwrap().success());
        let killed_at = tick_of(&run.audit());
        if killed_at >= input.last {
            // It had nothing left to do: that is no kill.
            continue;
        }
        run.finish();
        let what = format!("signal {draw}, seed {seed}");
        check_same(&what, killed_at, &run.outcome(), &expected);
        killed += 1;
        if killed == SIGNALS {
            return;
        }
    }
    panic!("only {killed} of {DRAWS_MAX} draws hit a run at work");
}

/// A partition that never speaks: each tick is closed by `patience`, that is by a wall clock. What
/// the clock decided before the kill must stand after it. The other partitions run ahead until they
/// are held, which is not silence.
#[test]
fn killed_while_patience_closes_ticks_24_ticks() {
    const TICKS: u64 = 24;
    let folder = tempfile::tempdir().unwrap();
    let input = Input::write(place("patience"), START_MS, TICKS);
    let run = input.run(folder.path(), "run");
    let spoken = input.place.topic("weather_observations");
    let silent = KafkaConfig::topic(&spoken.brokers, &format!("{}-silent", spoken.topic));
    admin::make_topic("tests", &silent, 1).unwrap();
    let text = fs::read_to_string(&run.config).unwrap();
    let text = text.replace("patience = \"off\"", "patience = \"5s\"");
    let source = format!(
        "\n[[sources]]\nname = \"silent\"\nkind = \"kafka\"\nstream = \"weather_observations\"\n\
         brokers = \"{}\"\ntopic = \"{}\"\n",
        silent.brokers, silent.topic
    );
    fs::write(&run.config, text + &source).unwrap();

    // By itself: the time that is waited for is over for all ticks at once.
    let killed = recovery::start(&run.config, Some("synced:8")).wait_with_output().unwrap();
    assert!(!killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
    let killed_at = tick_of(&run.audit());
    assert!(killed_at < input.last, "it was killed too late to be of use");
    let closed_before = closed_without(&run.audit());
    assert!(!closed_before.is_empty(), "patience closed nothing");

    let mut process = Process(Some(recovery::start(&run.config, None)));
    process.wait_for(&run.audit(), input.last);
    process.stop();
    let outcome = run.outcome();
    assert_eq!(outcome.commits, TICKS, "a tick for each step, though a partition was silent");
    let closed = closed_without(&run.audit());
    assert!(closed.starts_with(&closed_before), "what was closed stays closed");
    assert_eq!(closed.len() as u64, TICKS, "{closed:?}");
    assert!(closed.iter().all(|(_, partition)| partition.starts_with("silent/")), "{closed:?}");
    check_batch(&input, &run, &outcome);
}

/// The ticks that were closed without a partition, and which.
fn closed_without(audit: &Path) -> Vec<(i64, String)> {
    let mut closed = Vec::new();
    for batch in log::read_kind(audit, Kind::Tick).unwrap() {
        let batch = batch.unwrap();
        let ticks = batch.column_by_name(audit::TICK_AT).unwrap().clone();
        let ticks = ticks.as_primitive::<arrow::datatypes::TimestampMillisecondType>().clone();
        let partitions = batch.column_by_name(audit::SUBJECT).unwrap().as_string::<i32>().clone();
        let names = partitions.iter().map(|name| name.unwrap().to_owned());
        closed.extend(ticks.values().iter().copied().zip(names));
    }
    closed
}

/// Equal to an undisturbed run, but for setpoints that nobody could have obeyed any more: those
/// that had run out by the last tick that was durable when the run was killed are not sent late.
#[track_caller]
fn check_same(what: &str, killed_at: Timestamp, outcome: &Outcome, expected: &Outcome) {
    assert_eq!(outcome.tick, expected.tick, "{what}: last tick");
    for (name, rows) in &expected.views {
        assert_eq!(&outcome.views[name], rows, "{what}: view {name}");
    }
    let ran_out = |row: &Setpoint| row.valid_until_at <= killed_at;
    for (id, row) in &expected.setpoints {
        match outcome.setpoints.get(id) {
            Some(left) => assert_eq!(left, row, "{what}: setpoint"),
            None => assert!(ran_out(row), "{what}, killed at {killed_at}: {row:?} did not leave"),
        }
    }
    let more = outcome.setpoints.keys().find(|id| !expected.setpoints.contains_key(*id));
    assert_eq!(more, None, "{what}: a setpoint that nobody decided");
    assert_eq!(outcome.head, expected.head, "{what}: audit head");
}

/// A `gridloom` whose words go to a file, so that they can be read while it runs.
fn gridloom(arguments: &[&str], said: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloom"));
    command.args(arguments).env("GRIDLOOM_LOG", "info").env_remove("GRIDLOOM_TEST_ABORT");
    let said = fs::File::create(said).unwrap();
    Process(Some(command.stdout(Stdio::null()).stderr(said).spawn().unwrap()))
}

#[test]
fn plant_and_run_close_the_loop_as_two_processes_360_ticks() {
    const TICKS: u64 = 360;
    let folder = tempfile::tempdir().unwrap();
    let Place { brokers, prefix } = place("loop");
    let here = folder.path().join("village");
    let of_plant = ["plant", "--brokers", &brokers, "--prefix", &prefix, "--start", START];
    let said_by = |name: &str| folder.path().join(name);

    let write = [&of_plant[..], &["--write-config", here.to_str().unwrap()]].concat();
    let mut writer = gridloom(&write, &said_by("write"));
    let status = writer.child().wait().unwrap();
    assert!(status.success(), "{}", fs::read_to_string(said_by("write")).unwrap());

    let config = here.join("gridloom.toml");
    let mut run = gridloom(&["run", "--config", config.to_str().unwrap()], &said_by("run"));
    let began = Instant::now();
    while !fs::read_to_string(said_by("run")).unwrap().contains("running") {
        assert!(began.elapsed() < WAIT_MAX, "{}", fs::read_to_string(said_by("run")).unwrap());
        std::thread::sleep(LOOK);
    }
    let ticks = TICKS.to_string();
    let live = [&of_plant[..], &["--speed", "60", "--ticks", &ticks]].concat();
    let mut plant = gridloom(&live, &said_by("plant"));
    let audit = here.join("data/audit");
    let last = DEMO_START_AT.plus(START_MS + TICKS * 5_000);
    run.wait_for(&audit, last);
    assert!(plant.child().wait().unwrap().success());
    run.stop();

    for name in ["run", "plant"] {
        let said = fs::read_to_string(said_by(name)).unwrap();
        let errors: Vec<_> = said.lines().filter(|line| line.contains("ERROR")).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    let report = log::verify(&audit).unwrap();
    assert!(report.intact(), "{report}");
    let totals = totals(&audit);
    let of = |state: &str| totals.get(&format!("action {state}")).copied().unwrap_or_default();
    assert!(of("sent") > 20 && of("confirmed") > 0, "{totals:?}");
    let topic = Place { brokers, prefix }.topic(plant::SETPOINTS);
    assert_eq!(ids(&sent(&topic)), sent_ids(&audit), "what left is what the audit log says");
    let said = fs::read_to_string(said_by("plant")).unwrap();
    assert!(!said.contains("obeyed=0 "), "no setpoint reached the plant: {said}");
}
