//! What a configuration may say, and what is said about one that is wrong.

use std::path::Path;

use connectors::simulator::SimulatorConfig;
use forecast::calendar::Region;
use gridloom::config::Archive;
use gridloom::config::Config;
use gridloom::config::DEFAULT;
use gridloom::config::Instance;
use operators::settings::Settings;
use schemas::event::Envelope;

fn parse(text: &str) -> (Option<Config>, Vec<String>) {
    let (config, problems) = Config::parse(Path::new("g.toml"), text);
    let shown = |p: &gridloom::problem::Problem| {
        format!("{}: {}: {}; {}", p.line, p.key, p.message, p.hint.as_deref().unwrap_or("-"))
    };
    (config, problems.iter().map(shown).collect())
}

/// Each mistake as `line: key: message; hint`, in the order of reading.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(parse(text).1, expected);
}

/// A right configuration.
#[track_caller]
fn right(text: &str) -> Config {
    let (config, problems) = parse(text);
    assert_eq!(problems, Vec::<String>::new());
    config.unwrap()
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let said = right(DEFAULT);
    let silent = right("");
    assert_eq!(said.instance, silent.instance);
    assert_eq!(said.agents, silent.agents);
    assert_eq!(said.agents, Some(Settings::default()));
    assert_eq!(said.tables, silent.tables);
    assert_eq!(said.archive, silent.archive);
    assert_eq!(said.archive, Archive::default());
    assert!(said.catalog.iter().eq(silent.catalog.iter()));
    assert_eq!(said.instance, Instance::default());
    let settings = serde_json::to_value(Settings::default()).unwrap();
    for key in settings.as_object().unwrap().keys().filter(|key| *key != "step_ms") {
        assert!(DEFAULT.contains(&format!("\n{key} = ")), "{key} is not in the shipped file");
    }
}

#[test]
fn the_examples_of_the_shipped_file_are_right() {
    let uncommented: String = DEFAULT
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.starts_with('[') || code.contains(" = ") => format!("{code}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    // A sentence that holds an equals sign is prose still.
    let uncommented = uncommented.replace("\nWhere readings", "\n# Where readings");
    let config = right(&uncommented);
    let [meters, village] = &config.sources[..] else { panic!("{:?}", config.sources) };
    assert_eq!(meters.out_of_order_ms, 10_000);
    let simulated = SimulatorConfig::read("village", &village.door.options).unwrap();
    let (speed, steps, bad_data_share) = (Some(60.0), Some(720), 0.02);
    let defaults = SimulatorConfig { speed, steps, bad_data_share, ..Default::default() };
    assert_eq!((village.stream.as_deref(), simulated), (None, defaults));
    assert_eq!(config.setpoints.unwrap().kind, "kafka");
    let own = config.catalog.streams().find(|s| s.def.name == "ev_sessions").unwrap();
    assert_eq!(own.def.envelope, Envelope::Upsert);
    assert_eq!(config.tables.len(), 2);
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let text = "[instance]\ndata_dir = \"d\"\nviews = \"/v\"\n[tables]\nmeters = \"m.parquet\"";
    let (config, _) = Config::parse(Path::new("etc/g.toml"), text);
    let config = config.unwrap();
    assert_eq!(config.instance.data_dir, Path::new("etc/d"));
    assert_eq!(config.instance.views.as_deref(), Some(Path::new("/v")));
    assert_eq!(config.tables["meters"].path, Path::new("etc/m.parquet"));
}

#[test]
fn a_network_is_a_file_with_what_belongs_to_it() {
    let text = "[network]\nfile = \"f.json\"\npoints = \"p.csv\"\ntaps = [\"T0\"]";
    let (config, _) = Config::parse(Path::new("etc/g.toml"), text);
    let network = config.unwrap().network.unwrap();
    assert_eq!(network.path, Path::new("etc/f.json"));
    assert_eq!(network.points.as_deref(), Some(Path::new("etc/p.csv")));
    assert_eq!((network.taps, network.lines), (vec!["T0".to_owned()], [2, 3, 1, 4]));
    assert_eq!(right("").network, None);
    check(
        "[network]\npoints = \"p.csv\"\nfiel = \"f.json\"\n",
        &[
            "1: network: key file is missing; add file = \"…\": a network in any format that is \
             imported",
            "3: network.fiel: unknown key; did you mean file?",
        ],
    );
}

#[test]
fn late_values_reach_back_so_many_ticks_at_most() {
    let agents = right("[instance]\nstep = \"100ms\"").agents.unwrap();
    assert_eq!((agents.estimate_reach_ms, agents.reach_ticks()), (400_000, 4_000));
    check(
        "[agents]\nestimate_reach_ms = 86400000\n",
        &["2: agents.estimate_reach_ms: estimate_reach_ms must be at most 4000 ticks of \
           the step: each point keeps as many values; the settings contradict each other: change \
           one"],
    );
}

#[test]
fn patience_may_be_off() {
    assert_eq!(right("[instance]\npatience = \"off\"").instance.ingest.patience_ms, None);
    let config = right("[instance]\npatience = \"1m\"");
    assert_eq!(config.instance.ingest.patience_ms, Some(60_000));
}

#[test]
fn agents_may_be_off() {
    assert_eq!(right("[agents]\nenabled = false").agents, None);
    let agents = right("[instance]\nstep = \"1s\"\n[agents]\nvalid_ticks = 5").agents.unwrap();
    assert_eq!((agents.step_ms, agents.valid_ticks), (1_000, 5));
}

#[test]
fn records_leave_by_policy_only() {
    assert_eq!(right("[archive]\nretain = \"forever\"").archive.policy.retain_ms, None);
    let archive = right("[archive]\nretain = \"30d\"\nseal_every = 1\nenabled = false").archive;
    assert_eq!(archive.policy.retain_ms, Some(30 * schemas::time::DAY_MS));
    assert_eq!((archive.seal_every, archive.enabled), (1, false));
}

#[test]
fn the_archive_is_a_folder_or_a_url() {
    let (config, _) = Config::parse(Path::new("/etc/g.toml"), "[archive]\npath = \"a\"");
    assert_eq!(config.unwrap().archive.path.as_deref(), Some("/etc/a"));
    let archive = right("[archive]\npath = \"file:///var/a/\"").archive;
    assert_eq!(archive.path.as_deref(), Some("/var/a"));
}

#[test]
fn a_wrong_archive_says_what_to_write() {
    check(
        "[archive]\npath = \"ftp://x/y\"\nseal_every = 0\ncompact_files = 1\nretain = \"5h\"\n\
         seal_evry = 3\n",
        &[
            "2: archive.path: ftp://x/y cannot be an archive: ftp:// is not known; there is \
             file://; write a folder, or the URL of one, as in \"file:///var/lib/gridloom\"",
            "4: archive.compact_files: 1 is no value of compact_files; write a number from 2 to \
             10000",
            "5: archive.retain: records leave by whole days; write \"forever\", or a day and more, \
             as in \"3650d\"",
            "3: archive.seal_every: 0 is no value of seal_every; write a number from 1 to \
             9223372036854775807",
            "6: archive.seal_evry: unknown key; did you mean seal_every?",
        ],
    );
}

#[test]
fn unknown_keys_are_named_with_the_nearest() {
    check(
        "[instanze]\n[instance]\nworkres = 2\n[agents]\nlimit_shares = 0.9\n[sinks.setpoint]\n",
        &[
            "3: instance.workres: unknown key; did you mean workers?",
            "6: sinks.setpoint: unknown key; did you mean setpoints?",
            "5: agents.limit_shares: unknown key; did you mean limit_share?",
            "1: instanze: unknown key; did you mean instance?",
        ],
    );
}

#[test]
fn wrong_types_say_what_to_write() {
    check(
        "[instance]\nname = 5\nworkers = \"two\"\nstep = 5\nshipped_views = \"yes\"\n",
        &[
            "2: instance.name: an integer stands here; write name = \"…\"",
            "4: instance.step: an integer stands here; write step = \"5s\"",
            "3: instance.workers: a string stands here; write workers = 1",
            "5: instance.shipped_views: a string stands here; write shipped_views = true or false",
        ],
    );
}

#[test]
fn values_out_of_range_are_refused() {
    check(
        "[instance]\nname = \"a b\"\nworkers = 0\nstep = \"0s\"\npatience = \"5 minutes\"\n",
        &[
            "2: instance.name: \"a b\" cannot name an instance; use up to 64 letters, digits, '-', \
             '_' and '.'",
            "4: instance.step: a step is longer than nothing and at most an hour; 5s is usual",
            "5: instance.patience: \"5 minutes\" is no duration; write a number and a unit: ms, s, \
             m, h or d, as in \"5s\" or \"1h30m\"",
            "3: instance.workers: 0 is no value of workers; write a number from 1 to 64",
        ],
    );
}

#[test]
fn days_off_that_nobody_knows_are_told_with_those_that_are_known() {
    let of = |list: &str| format!("[agents]\nforecast_holidays = \"{list}\"\n");
    let agents = right(&of("nl, 2026-05-04")).agents.unwrap();
    let days = Region::Netherlands.in_year(2026).len() + 1;
    assert_eq!(agents.holidays().in_year(2026).len(), days);
    let known = "US, US-MA, US-ME, US-NH, US-CT, NL, GB, AU-VIC, DE, FR";
    let wrong = |word: &str, hint: &str| {
        format!(
            "2: agents.forecast_holidays: forecast_holidays: no holidays are known for \"{word}\"; \
             give dates, or one of {known}; {hint}"
        )
    };
    check(&of("GB-EAW"), &[&wrong("GB-EAW", "did you mean GB?")]);
    let all = format!("write none, or one of {known} and dates");
    check(&of("2026-06-03, Bavaria"), &[&wrong("Bavaria", &all)]);
    check(
        &of("DE, FR"),
        &[&format!(
            "2: agents.forecast_holidays: forecast_holidays: FR is a second region beside DE; \
             give its days as dates; {all}"
        )],
    );
}

#[test]
fn a_clock_is_hours_and_minutes_and_no_town() {
    let of = |offset: &str| format!("[agents]\nforecast_utc_offset = \"{offset}\"\n");
    let agents = right(&of("+09:30")).agents.unwrap();
    assert_eq!(agents.holidays().ahead_ms(), 9 * 3_600_000 + 1_800_000);
    check(
        &of("Australia/Darwin"),
        &["2: agents.forecast_utc_offset: forecast_utc_offset: \"Australia/Darwin\" is not what \
           a clock is ahead of UTC; write hours and minutes, as +10:00 or -03:30"],
    );
}

#[test]
fn sources_need_name_kind_and_a_stream_that_there_is() {
    check(
        "[[sources]]\nkind = \"file\"\n[[sources]]\nname = \"a/b\"\nstream = \"meter_reading\"\n",
        &[
            "1: sources[0]: key name is missing; add name = \"…\": offsets are kept by it",
            "1: sources[0]: key stream is missing; add stream = \"…\": which stream it feeds",
            "4: sources[1].name: a source's name holds no '/'; use '-' instead",
            "5: sources[1].stream: there is no stream \"meter_reading\"; did you mean \
             meter_readings?",
            "3: sources[1]: key kind is missing; add kind = \"file\", \"kafka\" or \"simulator\"",
        ],
    );
}

#[test]
fn a_simulator_feeds_all_its_streams() {
    let source = "[[sources]]\nname = \"v\"\nkind = \"simulator\"\n";
    check(source, &[]);
    check(
        &format!("{source}stream = \"prices\"\n"),
        &["4: sources[0].stream: a simulator has no one stream; leave it out: a simulator feeds \
           all streams of its village"],
    );
}

#[test]
fn two_sources_of_one_name_would_share_offsets() {
    let source = "[[sources]]\nname = \"m\"\nkind = \"file\"\nstream = \"prices\"\n";
    check(
        &source.repeat(2),
        &["6: sources[1].name: there is a source \"m\" already; give every source a name of its \
           own: offsets are kept by it"],
    );
}

#[test]
fn a_built_in_stream_has_its_columns_already() {
    check(
        "[streams.prices]\nevent_time = \"x\"\nlateness = \"3d\"\nretain = \"1d\"\n",
        &[
            "2: streams.prices.event_time: prices is a built-in stream; only lateness and retain \
             may be said of it: name yours otherwise",
            "4: streams.prices.retain: retain is shorter than lateness; what may still be \
             corrected must still be there: lower lateness too",
        ],
    );
}

#[test]
fn a_stream_that_is_no_built_in_one_needs_columns() {
    check(
        "[streams.price]\nretain = \"3d\"\n",
        &["1: streams.price: key columns is missing; did you mean prices? A stream of your own \
           needs columns = { name = \"TEXT\", … }"],
    );
}

#[test]
fn a_declared_stream_is_checked_column_by_column() {
    check(
        "[streams.ev]\ncolumns = { id = \"TXT\", at = \"TEXT\" }\nevent_time = \"at\"\n\
         key = [\"di\"]\nenvelope = \"upset\"\n",
        &[
            "2: streams.ev.columns.id: \"TXT\" is no type; did you mean TEXT?",
            "3: streams.ev.event_time: at is no instant; declare the column as \"TIMESTAMP NOT \
             NULL\"",
            "4: streams.ev.key: there is no column \"di\"; there are at",
            "5: streams.ev.envelope: \"upset\" is no value of envelope; did you mean upsert?",
        ],
    );
}

#[test]
fn a_stream_cannot_take_a_tables_name() {
    let columns = "columns = { at = \"TIMESTAMP NOT NULL\" }\nevent_time = \"at\"\n";
    check(
        &format!("[streams.meters]\n{columns}"),
        &["1: streams.meters: there is a reference table meters already; call the stream \
           something else"],
    );
}

#[test]
fn settings_that_contradict_each_other_are_named() {
    check(
        "[agents]\nvalid_ticks = 2\n",
        &["2: agents.valid_ticks: 0 < refresh_ticks < valid_ticks must hold, or commands run out \
           before their refresh; the settings contradict each other: change one"],
    );
}

#[test]
fn a_file_that_is_no_toml_is_one_mistake() {
    let (config, problems) = parse("[instance]\nname = gridloom\n");
    assert!(config.is_none());
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("2: : "), "{problems:?}");
}
