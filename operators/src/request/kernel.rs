//! The judgement of [`request`](super): none but a name and a time limit.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use schemas::decision::Action;
use schemas::decision::action_id;
use schemas::event::Command;
use schemas::relation;
use schemas::relation::Relation;
use schemas::time::Step;
use schemas::time::Timestamp;

use crate::error::RestoreError;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::settings::Settings;
use crate::table::Table;

relation! {
    /// Where a device lies: all of `asset_state` that is needed here, so that telemetry does not
    /// come along.
    pub struct AssetPlace in "asset_state" {
        /// The device.
        pub asset_id: String,
        /// The feeder it lies in.
        pub feeder_id: String,
    }
}

/// The rule of everything that is proposed here. It, and not the sender's name, tells another's
/// wish from dispatch's own: names are given by whoever writes to the stream.
pub const RULE: &str = "commanded";

/// Proposes what is commanded; see [`super`].
pub struct RequestKernel {
    settings: Settings,
    step: Step,

    places: Table<String, AssetPlace>,
}

impl RequestKernel {
    /// One that knows no device yet.
    pub fn new(settings: Settings) -> RequestKernel {
        let step = Step::from_millis(settings.step_ms).expect("settings are checked before use");
        let places = Table::new(|row: &AssetPlace| row.asset_id.clone());
        RequestKernel { settings, step, places }
    }

    /// The `sequence`-th wish for this device at this tick; 0 is dispatch's.
    fn proposal(&self, at: Timestamp, command: Command, sequence: u32) -> Action {
        let place = self.places.get(&command.asset_id);
        let asked = self.step.tick_of(command.requested_at);
        let saw = format!(
            "commands@{} command_id={} requested_at={}",
            at.0, command.command_id, command.requested_at
        );
        Action {
            action_id: action_id(at, &command.asset_id, sequence),
            tick_at: at,
            feeder_id: place.map(|place| place.feeder_id.clone()).unwrap_or_default(),
            asset_id: command.asset_id,
            reason: format!("{} asks in {}", command.actor, command.command_id),
            actor: command.actor,
            state: "proposed".to_owned(),
            active_power_kw: command.active_power_kw,
            valid_until_at: asked.plus(self.settings.valid_ticks * self.settings.step_ms),
            rule: RULE.to_owned(),
            saw,
        }
    }
}

impl Kernel for RequestKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        let view = Command::NAME;
        vec![
            InputSpec { view, schema: Command::schema(), key: "asset_id" },
            InputSpec { view: AssetPlace::NAME, schema: AssetPlace::schema(), key: "asset_id" },
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<Action>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        self.places.apply(&changes[1]);
        let mut commands: Vec<Command> = changes[0].events().collect();
        commands.sort_by(|a, b| (&a.asset_id, &a.command_id).cmp(&(&b.asset_id, &b.command_id)));
        let mut sequences: BTreeMap<String, u32> = BTreeMap::new();
        let mut actions = Vec::new();
        for command in commands {
            let sequence = sequences.entry(command.asset_id.clone()).or_default();
            *sequence += 1;
            let sequence = *sequence;
            actions.push(self.proposal(at, command, sequence));
        }
        vec![Action::to_batch(&actions)]
    }

    fn needs_every_tick(&self) -> bool {
        false
    }

    fn save(&self) -> Memory {
        Memory::new()
    }

    fn restore(&mut self, _: &Memory) -> Result<(), RestoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_becomes_a_proposal_of_its_sender() {
        let mut kernel = RequestKernel::new(Settings::default());
        let command = |id: &str, asset: &str| Command {
            command_id: id.to_owned(),
            actor: "trader".to_owned(),
            asset_id: asset.to_owned(),
            requested_at: Timestamp(47_000),
            active_power_kw: 9.0,
        };
        let place = AssetPlace { asset_id: "b1".to_owned(), feeder_id: "f".to_owned() };
        let commands = [command("c2", "b1"), command("c1", "b1"), command("c3", "ghost")];
        let changes = [Change::of(&commands, vec![1; 3]), Change::of(&[place], vec![1])];
        let out = kernel.step(Timestamp(50_000), &changes);
        let actions = Action::from_batch(&out[0]).unwrap();
        let told: Vec<_> = actions
            .iter()
            .map(|a| (a.action_id.as_str(), a.feeder_id.as_str(), a.reason.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("50000:b1:1", "f", "trader asks in c1"),
                ("50000:b1:2", "f", "trader asks in c2"),
                ("50000:ghost:1", "", "trader asks in c3"),
            ]
        );
        assert_eq!(actions[0].valid_until_at, Timestamp(65_000));
        assert_eq!(actions[0].state, "proposed");
    }
}
