//! `gridloom demo`: a day of a real neighbourhood through the whole loop, and what came of it.
//!
//! The first thing that anybody runs, so it needs nothing: data, network and views are in the
//! binary. It makes its data folder anew each time, since a day that was half lived cannot be gone
//! on with, and says at the end what to ask of it.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use connectors::simulator::ReferenceTables;
use desk::Opening;
use desk::Openings;
use gridloom::wiring::bundled;
use gridloom::wiring::day::DAY_TICKS;
use gridloom::wiring::day::Day;
use gridloom::wiring::day::LIMIT_KW;
use gridloom::wiring::day::Minutes;
use gridloom::wiring::foresight::Foresight;
use gridloom::wiring::lockstep::Lockstep;
use gridloom::wiring::plants::Plants;
use gridloom::wiring::score::Score;
use gridloom::wiring::serve;
use schemas::audit::Head;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::estimate::EstimateObservability;
use schemas::estimate::EstimateResidual;
use schemas::estimate::EstimatedBus;
use schemas::relation::Relation;
use schemas::state::NodeHour;
use schemas::state::PlantHour;

use crate::exit::say;
use crate::progress::Progress;

/// Seconds of grid time in a tick.
const STEP_S: f64 = 5.0;

/// How long a rest is at most, so that being told to stop is heard.
const REST_MAX: Duration = Duration::from_millis(200);

/// What `demo` may be told.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Decide, record, but let no setpoint reach the plant.
    #[arg(long)]
    no_control: bool,
    /// Stop after so many ticks of 5 s; a day has 17280.
    #[arg(long, default_value_t = DAY_TICKS)]
    ticks: u64,
    /// Where to keep log and views; replaced on each run.
    #[arg(long, default_value = "gridloom-demo")]
    data_dir: PathBuf,
    /// Dataflow threads.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Share of homes with a battery, 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    batteries: f64,
    /// How full the batteries are at midnight, 0 to 1; drawn by seed when not given.
    #[arg(long)]
    start_soc: Option<f64>,
    /// React only; keep no energy for the peak that the forecast sees.
    #[arg(long)]
    no_reserve: bool,
    /// Open the three doors on loopback, keep the day at `--speed`, and go on until told to stop.
    #[arg(long)]
    serve: bool,
    /// With --serve: how much faster than the clock the day passes.
    #[arg(long, default_value_t = 60.0, requires = "serve")]
    speed: f64,
    /// Share of sensors and meters that err grossly within an hour, 0 to 1.
    #[arg(long, default_value_t = 0.02)]
    bad_data: f64,
    /// Seed of all chance: noise, loss, delay, copies of homes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the day came to.
#[derive(Default)]
struct Tally {
    ticks: u64,
    readings: usize,
    refused: usize,
    latencies_ms: Vec<f64>,
    minutes: Minutes,
    proposed: u64,
    sent: u64,
    confirmed: u64,
    superseded: u64,
    failed: u64,
    refusals: u64,
    raised: u64,
    cleared: u64,
    an_action: Option<String>,
}

impl Demo {
    /// Runs the day.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        for (name, share) in [
            ("--batteries", Some(self.batteries)),
            ("--start-soc", self.start_soc),
            ("--bad-data", Some(self.bad_data)),
        ] {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                bail!("{name} is a share: between 0 and 1");
            }
        }
        if self.workers == 0 {
            bail!("--workers must be at least 1");
        }
        clear(&self.data_dir)?;
        let day = Day {
            workers: self.workers,
            control: !self.no_control,
            reserve: !self.no_reserve,
            battery_share: self.batteries,
            start_soc: self.start_soc,
            bad_data_share: self.bad_data,
            seed: self.seed,
            ..Day::new(self.data_dir.clone())
        };
        let data = bundled::plant_data().context("the bundled data cannot be read")?;
        let mut lockstep = day.open(data.clone())?;
        let ticks = self.ticks.min(DAY_TICKS);
        if self.serve {
            return self.keep(lockstep, ticks);
        }
        let mut progress = Progress::new("31 August 2016, 57 homes", ticks);
        let mut tally = Tally::default();
        let mut score = Score::new(&data);
        let known = ReferenceTables::of(lockstep.plant());
        let mut foresight = Foresight::new(&data.transformer().feeder_id, &known.load_history);
        let mut plants = Plants::new(&known.assets, &known.plant_history);
        let began = Instant::now();
        for tick in 0..ticks {
            let stepped = lockstep.step()?;
            tally.add(&stepped.done, stepped.truth.head_kw);
            foresight.add(&stepped.done.said.forecasts);
            plants.add(&stepped.done.said.forecasts);
            let state = [EstimatedBus::NAME, EstimateObservability::NAME, EstimateResidual::NAME];
            let state = lockstep.instance().views().read_at(&state, None);
            if let Ok([buses, observability, residuals]) = state.as_deref() {
                let state = [&buses.rows, &observability.rows, &residuals.rows];
                score.add(stepped.done.tick, state, &stepped.done.said.alarms, &stepped.truth);
            }
            progress.advance(tick + 1);
        }
        let took = began.elapsed();
        progress.finish();
        let views = lockstep.instance().views().counts();
        let foreseen = foreseen(&lockstep, &foresight, &plants);
        let head = lockstep.stop()?;
        let report = pipeline::log::verify(&self.data_dir.join("audit"))?;
        if !report.intact() {
            bail!("the audit log of {} is not intact: {report}", self.data_dir.display());
        }
        let without = without_control(&day, ticks, data)?;
        self.summary(&tally, (&score, &foreseen), took, &views, (&without, &head));
        Ok(())
    }

    /// Keeps the day running behind open doors until told to stop.
    fn keep(&self, mut lockstep: Lockstep, ticks: u64) -> anyhow::Result<()> {
        if !self.speed.is_finite() || self.speed <= 0.0 {
            bail!("--speed must be a positive number");
        }
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        ctrlc::set_handler(move || told.store(true, Ordering::Relaxed))
            .context("signals cannot be listened to")?;
        let door = |port| Some(Opening::loopback(port));
        let doors = Openings { postgres: door(5439), flight: door(5440), http: door(5441) };
        let served = serve::open(lockstep.instance().handle(), &self.data_dir, &doors)?;
        let step = Duration::from_secs_f64(STEP_S / self.speed);
        say(&format!(
            "31 August 2016, one tick each {:.0} ms; Ctrl-C ends it",
            step.as_secs_f64() * 1e3
        ));
        for line in served.iter().flat_map(serve::Served::lines) {
            say(&line);
        }
        let mut due = Instant::now();
        for tick in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if tick < ticks {
                lockstep.step()?;
            } else if tick == ticks {
                say("the day is over; its last state stays until Ctrl-C");
            }
            due += step;
            lockstep.rest(due.saturating_duration_since(Instant::now()).min(REST_MAX))?;
        }
        drop(served);
        let head = lockstep.stop()?;
        say(&format!("stopped at tick {}, audit records {}", head.tick, head.count));
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the summary is the command's output")]
    fn summary(
        &self,
        tally: &Tally,
        (score, foreseen): (&Score, &[(String, String)]),
        took: Duration,
        views: &[(String, usize)],
        (without, head): (&Minutes, &Head),
    ) {
        let per_second = tally.readings as f64 / took.as_secs_f64();
        println!();
        println!("{:<22}{} in {:.1} s", "ticks", tally.ticks, took.as_secs_f64());
        println!(
            "{:<22}{} ({per_second:.0} a second), {} refused",
            "readings", tally.readings, tally.refused
        );
        println!(
            "{:<22}p50 {:.2} ms, p99 {:.2} ms (last reading admitted to every view past the tick)",
            "tick latency",
            quantile(&tally.latencies_ms, 0.5),
            quantile(&tally.latencies_ms, 0.99)
        );
        let rows: Vec<String> = views.iter().map(|(name, rows)| format!("{name} {rows}")).collect();
        println!("{:<22}{}", "views and their rows", rows[..rows.len().min(5)].join(", "));
        for chunk in rows.chunks(5).skip(1) {
            println!("{:<22}{}", "", chunk.join(", "));
        }
        let control = if self.no_control { "no setpoint left" } else { "with control" };
        println!(
            "{:<22}{} minutes {control} (peak {:.1} kW), {} without (peak {:.1} kW)",
            format!("above {LIMIT_KW:.0} kW"),
            tally.minutes.over,
            tally.minutes.peak_kw,
            without.over,
            without.peak_kw
        );
        println!(
            "{:<22}{} proposed, {} sent, {} confirmed, {} superseded, {} failed",
            "actions", tally.proposed, tally.sent, tally.confirmed, tally.superseded, tally.failed
        );
        println!("{:<22}{} by the guard", "refusals", tally.refusals);
        println!("{:<22}{} raised, {} cleared", "alarms", tally.raised, tally.cleared);
        for (name, line) in score.lines() {
            println!("{name:<22}{line}");
        }
        for (name, line) in foreseen {
            println!("{name:<22}{line}");
        }
        println!("audit intact: {} records, head {}", head.count, head.hash);
        println!();
        println!("Homes 1-5 are real, 6-57 seeded copies; all below the hour is synthetic.");
        println!("Next:");
        println!("  gridloom sql \"SELECT * FROM grid_state ORDER BY bus_id LIMIT 5\"");
        println!("  gridloom sql \"SELECT * FROM estimates.observability\"");
        println!("  gridloom sql \"SELECT count(*) FROM audit.alarms\"");
        println!("  gridloom sql \"SELECT target_at, p50_kw, because FROM audit.forecasts");
        println!("    WHERE scope = 'feeder' ORDER BY tick_at DESC, target_at LIMIT 5\"");
        println!("  gridloom audit verify");
        if let Some(action) = &tally.an_action {
            println!("  gridloom why {action}");
        }
        println!("  gridloom demo --no-control");
    }
}

impl Tally {
    fn add(&mut self, done: &pipeline::instance::Done, head_kw: f64) {
        self.ticks += 1;
        self.readings += done.rows;
        self.refused += done.refused;
        self.latencies_ms.push(done.latency.as_secs_f64() * 1e3);
        self.minutes.add(head_kw);
        done.said.actions.iter().for_each(|action| self.action(action));
        done.said.alarms.iter().for_each(|alarm| self.alarm(alarm));
    }

    fn action(&mut self, action: &Action) {
        let count = match action.state.as_str() {
            "proposed" => &mut self.proposed,
            "sent" => &mut self.sent,
            "confirmed" => {
                self.an_action.get_or_insert_with(|| action.action_id.clone());
                &mut self.confirmed
            }
            "superseded" => &mut self.superseded,
            "failed" => &mut self.failed,
            "refused" => &mut self.refusals,
            _ => return,
        };
        *count += 1;
    }

    fn alarm(&mut self, alarm: &Alarm) {
        if alarm.state == "raised" {
            self.raised += 1;
        } else {
            self.cleared += 1;
        }
    }
}

/// What the forecasts of the day were worth, by its hours as the views have them.
fn foreseen(lockstep: &Lockstep, foresight: &Foresight, plants: &Plants) -> Vec<(String, String)> {
    let now = lockstep.instance().tick();
    let hours = lockstep.instance().views().read_at(&[NodeHour::NAME, PlantHour::NAME], None);
    let Ok([of_nodes, of_plants]) = hours.as_deref() else { return Vec::new() };
    let lines = foresight.lines(&of_nodes.rows, now);
    lines.into_iter().chain(plants.lines(&of_plants.rows, now)).collect()
}

/// The same day with nobody at the controls, for comparison: the plant alone.
fn without_control(
    day: &Day,
    ticks: u64,
    data: Arc<connectors::simulator::PlantData>,
) -> anyhow::Result<Minutes> {
    let mut plant = day.plant(data)?;
    let mut minutes = Minutes::default();
    for _ in 0..ticks {
        minutes.add(plant.step(plant.next_at(), &[]).truth.head_kw);
    }
    Ok(minutes)
}

/// Removes what an earlier demo left, and nothing that is not one.
fn clear(data_dir: &Path) -> anyhow::Result<()> {
    let Ok(mut entries) = std::fs::read_dir(data_dir) else { return Ok(()) };
    let ours = data_dir.join("audit").is_dir() || entries.next().is_none();
    if !ours {
        bail!(
            "{} is not an earlier demo's folder, and demo replaces its folder; name another with \
             --data-dir",
            data_dir.display()
        );
    }
    std::fs::remove_dir_all(data_dir)
        .with_context(|| format!("{} cannot be replaced", data_dir.display()))
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len().max(1) - 1) as f64 * q).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
