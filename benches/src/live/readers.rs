//! Many clients of the PostgreSQL door who look at a live view, beside readings that arrive.
//!
//! Each client asks once a second, at a moment of its own, whether its last question has been
//! answered or not; so a door that falls behind is not asked less often. The clients share one
//! thread, which costs processor time on the same machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use desk::Desk;
use desk::Doors;
use desk::Limits;
use desk::Opening;
use desk::Openings;
use desk::Users;
use desk::tables::NoTables;
use tokio::task::JoinSet;
use tokio_postgres::Config;
use tokio_postgres::NoTls;

use super::LOAD;
use super::feed::Feed;
use super::instance;
use super::ms;
use crate::feeder_cost::FEEDERS;
use crate::feeder_cost::feeder_id;
use crate::meter::quantile;

/// What is due, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Readings of each meter a second; 0 for none.
    pub each: usize,
    /// Clients, each of which asks once a second.
    pub readers: usize,
    /// How long is measured.
    pub seconds: u64,
}

/// What was found, in milliseconds.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Measured {
    /// Readings that became visible.
    pub readings: usize,
    /// From when a second's readings were due to durable and visible: median.
    pub tick_p50_ms: f64,
    /// The same: 99th percentile.
    pub tick_p99_ms: f64,
    /// Questions that were answered.
    pub answers: usize,
    /// Questions with no rows, or an error.
    pub failed: usize,
    /// From when a question was due to its last row: median.
    pub answer_p50_ms: f64,
    /// The same: 99th percentile.
    pub answer_p99_ms: f64,
}

/// Seconds before anything is measured.
const WARM: u64 = 5;

/// What one client found.
#[derive(Default)]
struct Asked {
    took: Vec<f64>,
    failed: usize,
}

/// Runs the load.
pub fn run(load: Load) -> Measured {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut instance = instance(folder.path(), &[LOAD]);
    let (users, token) = Users::open(folder.path()).expect("users");
    let engine = Arc::new(instance.handle());
    let desk = Desk::new(engine, Arc::new(NoTables), Arc::new(users), Limits::default());
    let desk = desk.unwrap_or_else(|error| panic!("{error}"));
    let openings = Openings { postgres: Some(Opening::loopback(0)), ..Openings::default() };
    let doors = Doors::open(&desk, &openings).expect("the door opens");
    let door = doors.postgres.expect("it was asked for");
    let token = token.expect("a first start");

    let mut feed = Feed::new(load.each.max(1));
    // Something to look at before the first question, also where nothing more comes.
    feed.give(&mut instance);
    let until = Instant::now() + Duration::from_secs(5);
    while instance.turn(Duration::from_millis(10)).expect("a turn").is_empty() {
        assert!(Instant::now() < until, "the first tick does not come");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let clients = clients(load.readers, door, token, stop.clone());
    let (readings, ticks) = keep_on(&mut instance, &mut feed, load);
    stop.store(true, Ordering::Relaxed);
    let asked = clients.join().expect("the clients' thread");
    drop(doors);
    Measured {
        readings,
        tick_p50_ms: quantile(&ticks, 0.5),
        tick_p99_ms: quantile(&ticks, 0.99),
        answers: asked.took.len(),
        failed: asked.failed,
        answer_p50_ms: quantile(&asked.took, 0.5),
        answer_p99_ms: quantile(&asked.took, 0.99),
    }
}

/// Gives each second's readings when they are due; how many became visible, and after how long.
fn keep_on(
    instance: &mut pipeline::instance::Instance,
    feed: &mut Feed,
    load: Load,
) -> (usize, Vec<f64>) {
    let began = Instant::now();
    let (mut given, mut readings, mut ticks) = (0u64, 0, Vec::new());
    let mut waiting = std::collections::BTreeMap::new();
    let end = WARM + load.seconds;
    while began.elapsed() < Duration::from_secs(end) || !waiting.is_empty() {
        let due = began + Duration::from_secs(given);
        if load.each > 0 && given < end && Instant::now() >= due {
            let at = feed.give(instance);
            waiting.insert(at, (due, given >= WARM));
            given += 1;
        }
        for done in instance.turn(Duration::from_millis(1)).expect("a turn") {
            if let Some((due, true)) = waiting.remove(&done.tick) {
                readings += done.rows;
                ticks.push(ms(due.elapsed()));
            }
        }
        if waiting.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    (readings, ticks)
}

/// The clients, on a thread of their own.
fn clients(
    count: usize,
    door: SocketAddr,
    token: String,
    stop: Arc<AtomicBool>,
) -> std::thread::JoinHandle<Asked> {
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let began = Instant::now();
            let client = |n: usize| client(n, count, door, token.clone(), stop.clone(), began);
            let mut clients: JoinSet<Asked> = (0..count).map(client).collect();
            let mut all = Asked::default();
            while let Some(one) = clients.join_next().await {
                let one = one.expect("a client");
                all.took.extend(one.took);
                all.failed += one.failed;
            }
            all
        })
    };
    std::thread::Builder::new().name("clients".to_owned()).spawn(work).expect("a thread")
}

/// One client: asks for one feeder once a second, at a moment of its own.
async fn client(
    n: usize,
    of: usize,
    door: SocketAddr,
    token: String,
    stop: Arc<AtomicBool>,
    began: Instant,
) -> Asked {
    let mut config = Config::new();
    config.host(door.ip().to_string()).port(door.port()).user("admin").password(token);
    config.dbname("gridloom");
    let (client, connection) = config.connect(NoTls).await.expect("the door lets us in");
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let sql = format!(
        "SELECT bin_at, kw, n FROM load_now WHERE feeder_id = '{}' ORDER BY bin_at",
        feeder_id(n % FEEDERS)
    );
    let mut asked = Asked::default();
    let mut due = began + Duration::from_millis(1_000 * n as u64 / of.max(1) as u64);
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep_until(due.into()).await;
        let rows = client.simple_query(&sql).await;
        let there = rows.is_ok_and(|messages| messages.len() > 2);
        if began.elapsed() > Duration::from_secs(WARM) {
            asked.took.push(ms(due.elapsed()));
            asked.failed += usize::from(!there);
        }
        due += Duration::from_secs(1);
    }
    asked
}
