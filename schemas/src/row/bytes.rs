//! [`Row`]: 24 bytes, inline or boxed.
//!
//! Most keys and many rows are short, and each is compared many times; one that fits into three
//! words needs no allocation, and no pointer is followed to compare it. Longer ones are boxed. The
//! order is that of the bytes either way, so an encoding that keeps the order of values keeps it
//! here.

use std::cmp::Ordering;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// The longest row that needs no allocation.
pub const INLINE_MAX: usize = 23;

// A row is three words: the arithmetic of state per reading rests on it.
const _: () = assert!(std::mem::size_of::<Row>() == 24);

/// The encoded columns of one row.
#[derive(Clone)]
pub struct Row(Repr);

#[derive(Clone)]
enum Repr {
    /// Unused bytes are zero, so that a comparison of the whole array orders like the prefix.
    Inline { len: Len, bytes: [u8; INLINE_MAX] },
    /// Longer than [`INLINE_MAX`].
    Heap(Box<[u8]>),
}

macro_rules! lens {
    ($($name:ident)*) => {
        /// A length of 0 to 23. As an enum it leaves the compiler a niche to mark [`Repr::Heap`]
        /// with.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        enum Len { $($name),* }

        /// All lengths, by index.
        const LENS: [Len; INLINE_MAX + 1] = [$(Len::$name),*];
    };
}

lens! { L0 L1 L2 L3 L4 L5 L6 L7 L8 L9 L10 L11 L12 L13 L14 L15 L16 L17 L18 L19 L20 L21 L22 L23 }

impl Row {
    /// The row of these bytes.
    #[inline]
    pub fn new(from: &[u8]) -> Row {
        if from.len() > INLINE_MAX {
            return Row(Repr::Heap(from.into()));
        }
        let mut bytes = [0; INLINE_MAX];
        bytes[..from.len()].copy_from_slice(from);
        Row(Repr::Inline { len: LENS[from.len()], bytes })
    }

    /// The row without columns.
    pub fn empty() -> Row {
        Row::new(&[])
    }

    /// Its bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..*len as usize],
            Repr::Heap(bytes) => bytes,
        }
    }

    /// Bytes on the heap beside the 24.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Heap(bytes) => bytes.len(),
        }
    }
}

/// Three big-endian words that order like 23 zero-padded bytes (one byte is read twice,
/// harmlessly).
#[inline]
fn words(bytes: &[u8; INLINE_MAX]) -> (u64, u64, u64) {
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_be_bytes(word)
    };
    (word(0), word(8), word(15))
}

impl Ord for Row {
    #[inline]
    fn cmp(&self, other: &Row) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Inline { len: l, bytes: a }, Repr::Inline { len: m, bytes: b }) => {
                words(a).cmp(&words(b)).then(l.cmp(m))
            }
            _ => self.as_bytes().cmp(other.as_bytes()),
        }
    }
}

impl PartialOrd for Row {
    #[inline]
    fn partial_cmp(&self, other: &Row) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Row {
    #[inline]
    fn eq(&self, other: &Row) -> bool {
        match (&self.0, &other.0) {
            (Repr::Inline { len: l, bytes: a }, Repr::Inline { len: m, bytes: b }) => {
                l == m && words(a) == words(b)
            }
            (Repr::Heap(a), Repr::Heap(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Row {}

impl Hash for Row {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Repr::Inline { len, bytes } => {
                let (a, b, c) = words(bytes);
                state.write_u64(a);
                state.write_u64(b);
                state.write_u64(c ^ *len as u64);
            }
            Repr::Heap(bytes) => state.write(bytes),
        }
    }
}

impl Default for Row {
    fn default() -> Row {
        Row::empty()
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        write!(f, ")")
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Row, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| Row::new(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_order_like_their_bytes() {
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for len in [0, 1, 7, 8, 15, 16, 22, 23, 24, 40] {
            for fill in [0u8, 1, 127, 255] {
                texts.push(vec![fill; len]);
                let mut text = vec![1; len];
                if let Some(last) = text.last_mut() {
                    *last = fill;
                }
                texts.push(text);
            }
        }
        for a in &texts {
            for b in &texts {
                let (x, y) = (Row::new(a), Row::new(b));
                assert_eq!(x.cmp(&y), a.cmp(b), "{a:?} {b:?}");
                assert_eq!(x == y, a == b);
                assert_eq!(x.as_bytes(), &a[..]);
            }
        }
    }
}
