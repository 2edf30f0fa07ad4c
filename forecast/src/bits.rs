//! Numbers as they are saved: their bytes, in base64 where the format is text.
//!
//! JSON has no NaN and spells a number in up to twenty letters; a model has a hundred thousand of
//! them. What is read back is what was written, to the bit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serializer;
use serde::de::Error;

/// A number of a fixed width, little end first.
pub trait Bits: Sized + Copy {
    /// Bytes of one.
    const WIDTH: usize;

    /// Appends its bytes.
    fn write(self, bytes: &mut Vec<u8>);

    /// Reads `WIDTH` bytes.
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! bits {
    ($($number:ty),*) => {
        $(impl Bits for $number {
            const WIDTH: usize = size_of::<$number>();

            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Self {
                <$number>::from_le_bytes(bytes.try_into().expect("of this width"))
            }
        })*
    };
}

bits!(f32, f64, i16, i64, u8);

/// Writes numbers.
///
/// # Errors
/// What the format says.
pub fn serialize<T: Bits, S: Serializer>(numbers: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::with_capacity(numbers.len() * T::WIDTH);
    numbers.iter().for_each(|number| number.write(&mut bytes));
    serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
}

/// Reads them back.
///
/// # Errors
/// A text that is not base64, or not of whole numbers.
pub fn deserialize<'de, T: Bits, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    let bytes = STANDARD_NO_PAD.decode(text.as_bytes()).map_err(D::Error::custom)?;
    if bytes.len() % T::WIDTH != 0 {
        return Err(D::Error::custom("not a whole number of numbers"));
    }
    Ok(bytes.chunks_exact(T::WIDTH).map(T::read).collect())
}

/// The same for lists of lists.
pub mod nested {
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serialize;
    use serde::Serializer;
    use serde::ser::SerializeSeq;

    use super::Bits;

    struct One<'a, T>(&'a [T]);

    impl<T: Bits> Serialize for One<'_, T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            super::serialize(self.0, serializer)
        }
    }

    struct Owned<T>(Vec<T>);

    impl<'de, T: Bits> Deserialize<'de> for Owned<T> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            super::deserialize(from).map(Owned)
        }
    }

    /// Writes lists.
    ///
    /// # Errors
    /// What the format says.
    pub fn serialize<T: Bits, S: Serializer>(
        lists: &[Vec<T>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut into = serializer.serialize_seq(Some(lists.len()))?;
        for list in lists {
            into.serialize_element(&One(list))?;
        }
        into.end()
    }

    /// Reads them back.
    ///
    /// # Errors
    /// As [`super::deserialize`].
    pub fn deserialize<'de, T: Bits, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<T>>, D::Error> {
        let lists: Vec<Owned<T>> = Deserialize::deserialize(from)?;
        Ok(lists.into_iter().map(|list| list.0).collect())
    }
}

/// The same for a fixed number of them.
pub mod array {
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    use super::Bits;

    /// Writes numbers.
    ///
    /// # Errors
    /// What the format says.
    pub fn serialize<T: Bits, S: Serializer, const N: usize>(
        numbers: &[T; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::serialize(numbers, serializer)
    }

    /// Reads them back.
    ///
    /// # Errors
    /// As [`super::deserialize`], and where there are more or fewer.
    pub fn deserialize<'de, T: Bits, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<[T; N], D::Error> {
        let numbers: Vec<T> = super::deserialize(from)?;
        numbers.try_into().map_err(|_| D::Error::custom("more numbers, or fewer"))
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Saved {
        #[serde(with = "super")]
        flat: Vec<f32>,
        #[serde(with = "super::nested")]
        lists: Vec<Vec<i64>>,
        #[serde(with = "super::array")]
        pair: [f32; 2],
    }

    #[test]
    fn what_is_no_number_survives_too() {
        let flat = vec![1.5, f32::NAN, f32::NEG_INFINITY, -0.0, 1e-45];
        let lists = vec![vec![], vec![i64::MIN, 7]];
        let pair = [f32::NAN, 2.0];
        let text = serde_json::to_string(&Saved { flat: flat.clone(), lists: lists.clone(), pair });
        let back: Saved = serde_json::from_str(&text.expect("text")).expect("the same");
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!((bits(&back.flat), back.lists), (bits(&flat), lists));
        assert_eq!(bits(&back.pair), bits(&pair));
    }

    #[test]
    fn half_a_number_is_refused_and_a_missing_one() {
        let read = |flat: &str, pair: &str| {
            let text = format!(r#"{{"flat":"{flat}","lists":[],"pair":"{pair}"}}"#);
            serde_json::from_str::<Saved>(&text).is_ok()
        };
        assert!(read("AAAAAA", "AAAAAAAAAAA"));
        assert!(!read("AAA", "AAAAAAAAAAA"));
        assert!(!read("AAAAAA", "AAAAAA"));
    }
}
