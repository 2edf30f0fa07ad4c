//! What happens by the clock: switches that somebody opens, commands that somebody else sends.
//!
//! Everything here is invented. Times are offsets from midnight and repeat each day.

use schemas::time::DAY_MS;
use schemas::time::Timestamp;

/// A switch moves.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptedSwitch {
    /// Milliseconds after midnight.
    pub offset_ms: u64,
    /// The home (from 1) whose service connection it is.
    pub home: usize,
    /// Where it moves.
    pub closed: bool,
}

/// Another agent asks something of a battery.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptedCommand {
    /// Milliseconds after midnight.
    pub offset_ms: u64,
    /// Who asks.
    pub actor: String,
    /// Of which device; it need not exist.
    pub asset_id: String,
    /// For how much, in kW; injection is positive.
    pub active_power_kw: f64,
}

const MINUTE_MS: u64 = 60_000;

const fn offset_ms(hour: u64, minute: u64) -> u64 {
    (hour * 60 + minute) * MINUTE_MS
}

/// Three homes are cut off for a few minutes each, for work on their connection.
pub fn default_switches() -> Vec<ScriptedSwitch> {
    let outage = |home, hour, minute, minutes| {
        let from = offset_ms(hour, minute);
        [(from, false), (from + minutes * MINUTE_MS, true)]
            .map(|(offset_ms, closed)| ScriptedSwitch { offset_ms, home, closed })
    };
    [outage(23, 9, 15, 6), outage(40, 14, 5, 4), outage(12, 19, 30, 3)].concat()
}

/// A foreign agent asks for more than a battery can, and for a battery that does not exist.
pub fn default_commands() -> Vec<ScriptedCommand> {
    let command = |hour, minute, asset_id: &str, active_power_kw| ScriptedCommand {
        offset_ms: offset_ms(hour, minute),
        actor: "flexibility-market".to_owned(),
        asset_id: asset_id.to_owned(),
        active_power_kw,
    };
    vec![command(10, 0, "battery-07", 9.0), command(16, 45, "battery-99", 2.0)]
}

/// True if an offset from midnight falls into `[from_at, from_at + step)`.
pub fn due(offset_ms: u64, from_at: Timestamp, step_ms: u64) -> bool {
    let into_day_ms = from_at.0 % DAY_MS;
    // A step may reach over midnight.
    let until_ms = (offset_ms + DAY_MS - into_day_ms) % DAY_MS;
    until_ms < step_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_offset_falls_into_exactly_one_step_of_a_day() {
        for offset in [0, 1, 4_999, 5_000, 33_300_000, DAY_MS - 1] {
            let steps = (0..DAY_MS / 5_000).filter(|i| due(offset, Timestamp(i * 5_000), 5_000));
            assert_eq!(steps.collect::<Vec<_>>(), [offset / 5_000]);
        }
    }
}
