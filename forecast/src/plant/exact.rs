//! Floats in a record as their bits: a missing value (NaN) is `null` in JSON and could not be read.

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;

use crate::series::Track;

/// What is written as whole numbers, every bit of it.
pub trait Exact: Sized {
    /// The numbers.
    fn words(&self) -> Vec<i64>;
    /// What they stand for; `None` if they are not such numbers.
    fn read(words: &[i64]) -> Option<Self>;
}

impl Exact for Vec<f32> {
    fn words(&self) -> Vec<i64> {
        self.iter().map(|value| i64::from(value.to_bits())).collect()
    }

    fn read(words: &[i64]) -> Option<Vec<f32>> {
        words.iter().map(|word| u32::try_from(*word).ok().map(f32::from_bits)).collect()
    }
}

impl Exact for [f32; 4] {
    fn words(&self) -> Vec<i64> {
        self.to_vec().words()
    }

    fn read(words: &[i64]) -> Option<[f32; 4]> {
        Vec::read(words)?.try_into().ok()
    }
}

impl Exact for Track<f32> {
    fn words(&self) -> Vec<i64> {
        let values = self.values().iter().map(|value| i64::from(value.to_bits()));
        std::iter::once(self.first()).chain(values).collect()
    }

    fn read(words: &[i64]) -> Option<Track<f32>> {
        let (first, values) = words.split_first()?;
        let mut track = Track::new(*first);
        Vec::<f32>::read(values)?.into_iter().for_each(|value| track.push(value));
        Some(track)
    }
}

impl Exact for Vec<Vec<f32>> {
    fn words(&self) -> Vec<i64> {
        let columns = self.iter().flat_map(Exact::words);
        std::iter::once(self.len() as i64).chain(columns).collect()
    }

    fn read(words: &[i64]) -> Option<Vec<Vec<f32>>> {
        let (count, values) = words.split_first()?;
        let rows = values.len() / usize::try_from(*count).ok()?.max(1);
        (0..*count as usize).map(|c| Vec::read(&values[c * rows..(c + 1) * rows])).collect()
    }
}

/// Writes the numbers.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<T: Exact, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.words().serialize(serializer)
}

/// Reads the numbers.
///
/// # Errors
///
/// Those of the deserializer, and numbers that are no bits of floats.
pub fn deserialize<'de, T: Exact, D: Deserializer<'de>>(reader: D) -> Result<T, D::Error> {
    T::read(&Vec::deserialize(reader)?).ok_or_else(|| D::Error::custom("not the bits of floats"))
}
