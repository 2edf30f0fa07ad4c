//! Whether a model still describes its series: what is watched, and what is said.
//!
//! A model goes bad in four ways, and each has its own witness. The level of the series moves:
//! errors keep one sign ([`PageHinkley`], within a day or two). The series behaves otherwise than
//! it did: errors grow and stay large ([`Adwin`], within weeks, hardly ever by chance). The band
//! no longer holds what it promises ([`Band`]). It is asked about what it has not seen: leverage
//! beyond nearly all that came before ([`Marker`]). And a model that loses against last week for
//! three days is not worth its cost, whatever the reason. [`Watch`] hears all of them.
//!
//! The bias is the fast alert: someone should look. Only grown errors ask for retraining, since a
//! model that learns online follows a level by itself and should not lose what it knows.
//!
//! Bias and extrapolation are judged at every outcome, the rest once a day of the series' own clock
//! by means over the day: neighbouring hours err together, and what is counted hourly counts one
//! surprise 24 times. Errors are shares of the mean level of the series, so nothing has a unit. The
//! day is closed by the first outcome of a later day.
//!
//! # False alarms
//!
//! On 400 seeded years of hourly errors of 3 %, half of them shared by a day and half of that by
//! the next, the test `a_year_of_noise_is_quiet` counts 0.0075 alarms of skill, 0.010 of coverage
//! and none of any other kind a year. A daily forecast that only follows the level of GEFCom2012
//! zone 10 (8 % a day) raises none in the four years before the load tripled, and one 35 hours
//! after. Thresholds are those of [`Settings::default`]; all are part of the saved state.
//!
//! # Bounds
//!
//! 192 buckets of three numbers (the window of errors), 28 days of three counts (the band), fifteen
//! numbers (leverage) and a dozen more: under 8 kB a series.

mod adwin;
mod band;
mod marker;
mod page_hinkley;
mod told;
mod watch;

pub use self::adwin::Adwin;
pub use self::adwin::Change;
pub use self::adwin::PER_SIZE_MAX;
pub use self::adwin::SIZES_MAX;
pub use self::band::Band;
pub use self::band::BandFault;
pub use self::marker::Marker;
pub use self::page_hinkley::PageHinkley;
pub use self::told::QUIET_DAYS;
pub use self::told::Told;
pub use self::watch::Alert;
pub use self::watch::AlertKind;
pub use self::watch::Outcome;
pub use self::watch::Settings;
pub use self::watch::Watch;
