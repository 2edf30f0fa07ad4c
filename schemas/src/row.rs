//! A row as bytes: ordered like its columns, 23 bytes or fewer without a heap allocation.
//!
//! The dataflow sorts, merges and compares rows without knowing their types. [`Row`] holds
//! arrow-row's encoding, whose byte order is the order of the columns; [`RowCodec`] turns batches
//! into rows and back, vectorised, and [`Layout`] finds the columns of a row without decoding it,
//! so that a join can cut and paste its output.
//!
//! Most keys (one identifier of up to eight characters is 10 bytes) and many values (two numbers
//! are 18) fit inline: 24 bytes a row, `Copy`-cheap to clone, compared as three words.
//!
//! **Invariant:** equal values have equal bytes: −0.0 is stored as 0.0 and every NaN as one NaN.
//!
//! These bytes live in memory and between the workers of one binary; they are no storage format.

mod bytes;
mod codec;
mod layout;

pub use self::bytes::INLINE_MAX;
pub use self::bytes::Row;
pub use self::codec::RowCodec;
pub use self::codec::RowError;
pub use self::codec::canonical;
pub use self::layout::Layout;
pub use self::layout::Splice;
