//! What the faces of the agents stand on: the views of one scope, the settings, the clock.
//!
//! Each agent offers a trait on [`Scene`], so that the decision path reads as one paragraph (see
//! [`control`](crate::control)). A face says what the agent reads and gives; the kernel behind it
//! knows nothing of the dataflow, and [`host`](crate::host) runs it.

use std::collections::BTreeMap;

use schemas::relation::Relation;
use timely::dataflow::Scope;

use crate::error::HostError;
use crate::host::HostInput;
use crate::host::Rows;
use crate::host::TickClock;
use crate::host::host;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// What agents see: the views by name, in one scope.
pub struct Scene<'a, 's> {
    scope: Scope<'s, u64>,
    views: &'a BTreeMap<String, HostInput<'s>>,
    settings: &'a Settings,
    clock: TickClock,
}

impl<'a, 's> Scene<'a, 's> {
    /// The scene of these views; `first_tick` where agents begin later than their input.
    pub fn new(
        scope: Scope<'s, u64>,
        views: &'a BTreeMap<String, HostInput<'s>>,
        settings: &'a Settings,
        first_tick: Option<u64>,
    ) -> Scene<'a, 's> {
        let clock = TickClock { step_ms: settings.step_ms, first_tick };
        Scene { scope, views, settings, clock }
    }

    /// Hosts the kernel that `make` gives; its inputs come from `said`, else from the views.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    pub(crate) fn host<K: Kernel + 'static, const OUTPUTS: usize>(
        &self,
        name: &str,
        make: fn(Settings) -> K,
        said: &[(&str, HostInput<'s>)],
    ) -> Result<[Rows<'s>; OUTPUTS], HostError> {
        let make = || Box::new(make(self.settings.clone())) as Box<dyn Kernel>;
        let mut inputs = Vec::new();
        for spec in make().inputs() {
            let given = said.iter().find(|(name, _)| *name == spec.view).map(|(_, input)| input);
            let Some(input) = given.or_else(|| self.views.get(spec.view)) else {
                let (agent, view) = (name.to_owned(), spec.view.to_owned());
                return Err(HostError::View { agent, view });
            };
            inputs.push(input.clone());
        }
        let outputs = host(self.scope, name, inputs, self.clock, make)?;
        Ok(outputs.try_into().unwrap_or_else(|_| panic!("{name} declares {OUTPUTS} outputs")))
    }
}

/// What one agent said, as the input of another.
pub(crate) fn said<'s, R: Relation>(rows: &Rows<'s>) -> (&'static str, HostInput<'s>) {
    (R::NAME, HostInput { rows: rows.clone(), schema: R::schema() })
}
