//! Foresight: what a series of readings will be, how sure that is, and why.
//!
//! Pure: no clock, no files, no dataflow. The same past gives the same forecast, to the bit, on
//! every machine; what is saved is read back as it was.
//!
//! Read in this order: [`model`] (the question and the answer), [`past`] (what is known of a
//! series), [`feature`] (what a value is explained by), [`slot`] and [`ridge`] (how that is
//! learned), [`corrector`] (what was missed of late), [`combine`] and [`conformal`] (many forecasts
//! made one, and how sure it is), [`forecaster`] (all of it, step by step), [`structure`] and
//! [`adaptive`] (how a model gets its shape), [`boost`] (trees). Beside them: [`calendar`] and
//! [`solar`] (what is known of the future without being told), [`quality`] (what is not to be
//! learned from), [`plant`] (wind and PV), [`rewind`] (what came late, told again), [`short`] (the
//! next hour by quarters), [`score`] and [`drift`] (how good it is, and whether it still is),
//! [`hierarchy`] (parts that add up), [`job`] (what takes long and is not waited for).

pub mod adaptive;
pub mod backtest;
pub mod bits;
pub mod boost;
pub mod calendar;
pub mod combine;
pub mod conformal;
pub mod corrector;
pub mod drift;
pub mod feature;
pub mod forecaster;
pub mod gram;
pub mod hierarchy;
pub mod job;
pub mod model;
pub mod naive;
pub mod past;
pub mod plant;
pub mod pv;
pub mod quality;
pub mod rewind;
pub mod ridge;
pub mod score;
pub mod series;
pub mod short;
pub mod slot;
pub mod solar;
pub mod structure;
pub mod wind;
