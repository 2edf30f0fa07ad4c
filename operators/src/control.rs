//! The decision path, wired: forecast → dispatch → guard → emit, with detect beside it.
//!
//! One function builds it on top of the views. Nothing goes round: what devices did comes back as
//! telemetry, in the views. All agents are keyed by feeder, so a feeder's whole path runs on one
//! worker, at one tick.
//!
//! `actions` holds every step in the life of every action: what was proposed by `dispatch` and for
//! others, what `guard` cleared or refused, what `emit` sent and how it ended.

use std::collections::BTreeMap;

use schemas::decision::Action;
use schemas::decision::Forecast;
use schemas::event::Command;
use schemas::reference::LoadHistory;
use schemas::relation::Relation;
use schemas::state::AssetState;
use schemas::state::BusVoltage;
use schemas::state::FeederNow;
use schemas::state::NodeHour;
use schemas::state::StaleSensor;
use timely::dataflow::Scope;

use crate::detect::DetectKernel;
use crate::dispatch::DispatchKernel;
use crate::emit::EmitKernel;
use crate::error::HostError;
use crate::forecast::ForecastKernel;
use crate::guard::GuardKernel;
use crate::host::HostInput;
use crate::host::Rows;
use crate::host::TickClock;
use crate::host::host;
use crate::kernel::Kernel;
use crate::request::RequestKernel;
use crate::settings::Settings;

/// The views and streams that must be given, in name order.
pub const READS: [&str; 7] = [
    AssetState::NAME,
    BusVoltage::NAME,
    Command::NAME,
    FeederNow::NAME,
    LoadHistory::NAME,
    NodeHour::NAME,
    StaleSensor::NAME,
];

/// What the agents say, each as rows of its relation in [`schemas::decision`] and
/// [`schemas::event`]. Rows only come; none is taken back.
pub struct ControlOutputs<'s> {
    /// Rows of `forecasts`.
    pub forecasts: Rows<'s>,
    /// Rows of `alarms`.
    pub alarms: Rows<'s>,
    /// Rows of `actions`, in every state.
    pub actions: Rows<'s>,
    /// Rows of `setpoints`: what may leave once its tick is durable.
    pub setpoints: Rows<'s>,
}

/// Builds the agents over `views`.
///
/// # Errors
/// A view is missing, or lacks a column that an agent reads.
pub fn build<'s>(
    scope: Scope<'s, u64>,
    views: &BTreeMap<String, HostInput<'s>>,
    settings: &Settings,
    first_tick: Option<u64>,
) -> Result<ControlOutputs<'s>, HostError> {
    let path =
        Path { scope, views, settings, clock: TickClock { step_ms: settings.step_ms, first_tick } };
    let [forecasts] = path.agent("forecast", ForecastKernel::new, &[])?;
    let own = [(Forecast::NAME, output::<Forecast>(&forecasts))];
    let [wishes] = path.agent("dispatch", DispatchKernel::new, &own)?;
    let [requests] = path.agent("request", RequestKernel::new, &[])?;
    let proposed = wishes.concat(requests);
    let own = [(Action::NAME, output::<Action>(&proposed))];
    let [judged, refusals] = path.agent("guard", GuardKernel::new, &own)?;
    let own = [(Action::NAME, output::<Action>(&judged))];
    let [followed, setpoints] = path.agent("emit", EmitKernel::new, &own)?;
    let [limits] = path.agent("detect", DetectKernel::new, &[])?;
    Ok(ControlOutputs {
        forecasts,
        alarms: refusals.concat(limits),
        actions: proposed.concat(judged).concat(followed),
        setpoints,
    })
}

fn output<'s, R: Relation>(rows: &Rows<'s>) -> HostInput<'s> {
    HostInput { rows: rows.clone(), schema: R::schema() }
}

/// What every agent of the path is built from.
struct Path<'a, 's> {
    scope: Scope<'s, u64>,
    views: &'a BTreeMap<String, HostInput<'s>>,
    settings: &'a Settings,
    clock: TickClock,
}

impl<'s> Path<'_, 's> {
    /// Hosts one agent; inputs come from `own`, else from the views.
    fn agent<K: Kernel + 'static, const OUTPUTS: usize>(
        &self,
        name: &str,
        make: fn(Settings) -> K,
        own: &[(&str, HostInput<'s>)],
    ) -> Result<[Rows<'s>; OUTPUTS], HostError> {
        let make = || Box::new(make(self.settings.clone())) as Box<dyn Kernel>;
        let mut inputs = Vec::new();
        for spec in make().inputs() {
            let mine = own.iter().find(|(name, _)| *name == spec.view).map(|(_, input)| input);
            let Some(input) = mine.or_else(|| self.views.get(spec.view)) else {
                let (agent, view) = (name.to_owned(), spec.view.to_owned());
                return Err(HostError::View { agent, view });
            };
            inputs.push(input.clone());
        }
        let outputs = host(self.scope, name, inputs, self.clock, make)?;
        Ok(outputs.try_into().unwrap_or_else(|_| panic!("{name} declares {OUTPUTS} outputs")))
    }
}
