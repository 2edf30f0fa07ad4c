//! Which models are asked: ours for the kind of series, and the naive ones that it is held against.

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::Setup;
use forecast::naive::Season;
use forecast::naive::SeasonalNaive;
use forecast::pv::Pv;
use forecast::wind::Wind;

/// The name of our own forecast, the combination of all that it is made of.
pub(super) const OURS: &str = "gridloom";

/// Our own model of a series whose first reading will be that of index `first`.
pub(super) fn ours(setup: &Setup, first: i64) -> Box<dyn Model> {
    match setup.kind {
        Kind::Wind => Box::new(Wind::new(setup, first)),
        Kind::Pv => Box::new(Pv::new(setup, first)),
        Kind::Load | Kind::NetLoad => {
            Box::new(Adaptive::new(setup.clone(), first, Policy::default()))
        }
    }
}

/// The naive models of a series.
pub(super) fn naive(setup: &Setup, first: i64) -> Vec<(&'static str, Box<dyn Model>)> {
    let model = |season: Season| -> (&'static str, Box<dyn Model>) {
        (season.name(), Box::new(SeasonalNaive::new(setup, first, season)))
    };
    Season::ALL.into_iter().map(model).collect()
}

/// Whether a name is that of a naive model.
pub(super) fn is_naive(name: &str) -> bool {
    Season::ALL.iter().any(|season| season.name() == name)
}
