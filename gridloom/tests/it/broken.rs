//! A worker's panic ends the process, whatever other threads wait for.

use std::process::Command;
use std::time::Duration;

/// The test that plays the process that breaks.
const CHILD: &str = "broken::plays_the_broken_process";

#[test]
fn a_worker_that_panics_ends_the_process_with_70() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--ignored"])
        .output()
        .unwrap();
    assert_eq!(child.status.code(), Some(70), "{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
#[ignore = "started by the test above"]
fn plays_the_broken_process() {
    gridloom::broken::exit_on_worker_panic();
    let harmless = std::thread::Builder::new().name("desk".to_owned());
    let harmless = harmless.spawn(|| panic!("another thread's panic is that thread's")).unwrap();
    harmless.join().unwrap_err();
    let worker = std::thread::Builder::new().name("timely:work-0".to_owned());
    let worker = worker.spawn(|| panic!("a broken invariant")).unwrap();
    // As a sibling that is parked for ever would.
    std::thread::sleep(Duration::from_secs(30));
    drop(worker);
}
