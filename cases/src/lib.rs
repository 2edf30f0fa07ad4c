//! Floor 1: networks in the formats their owners have.
//!
//! Each reader turns a file or folder into a [`grid::Network`] (or an unbalanced one) and a list of
//! everything in it that was not understood, by line and element. Nothing is dropped in silence.

pub mod import;
pub mod unbalanced;

pub mod elements;
pub mod folder;
pub mod matpower;
pub mod opendss;
pub mod pandapower;
pub mod pgm;

pub mod point_map;

pub mod open;
pub mod report;

mod table;

pub use self::import::Error;
pub use self::import::Import;
pub use self::import::Remark;
pub use self::open::Found;
pub use self::open::open;
pub use self::report::report;
pub use self::unbalanced::UnbalancedImport;
