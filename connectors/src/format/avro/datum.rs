//! One Avro datum: values one after another, told apart by nothing but the schema.
//!
//! There is no mark between values and no name on them, so bytes that were written with another
//! schema look like values of this one until something cannot be: a truth value of 7, a text that
//! is no UTF-8, a branch that there is not, bytes left over. All of that is looked at in every
//! field, wanted or not.
//!
//! # Bounds
//!
//! Nothing is set aside for what a length promises: a value is a piece of the record. A schema that
//! holds itself is followed to [`DEPTH_MAX`], items that take no bytes are read once, and of values
//! without bytes there may be [`BARE_MAX`], so that no record of a few bytes takes the stack or the
//! day.

use crate::format::avro::schema::AvroSchema;
use crate::format::avro::schema::Type;

/// How deep values may lie in each other. A list in a list is two; messages have less than ten.
const DEPTH_MAX: usize = 128;

/// How many values without bytes a record may have: records of records of nulls.
const BARE_MAX: usize = 1 << 16;

/// The bytes that were not read yet.
pub(super) struct Datum<'a> {
    rest: &'a [u8],
    /// How many values may still come.
    values_left: usize,
}

/// A value, as far as a column may want it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    /// Days since the epoch.
    Date(i64),
    /// Units since the epoch, and how many are a millisecond.
    Instant(i64, i64),
    /// A whole number, big-endian in two's complement, and the digits after its point.
    Decimal(&'a [u8], u32),
    /// What no column holds, in words.
    Other(&'static str),
}

impl AvroSchema {
    /// How many bytes the record at the beginning of these has.
    pub(super) fn length(&self, bytes: &[u8]) -> Result<usize, String> {
        let mut datum = Datum::new(bytes);
        for field in self.fields() {
            let read = self.read(&field.kind, &mut datum);
            read.map_err(|detail| format!("{}: {detail}", field.name))?;
        }
        Ok(bytes.len() - datum.left())
    }

    /// Reads one value.
    pub(super) fn read<'a>(
        &'a self,
        kind: &'a Type,
        datum: &mut Datum<'a>,
    ) -> Result<Value<'a>, String> {
        self.within(kind, datum, 0)
    }

    fn within<'a>(
        &'a self,
        kind: &'a Type,
        datum: &mut Datum<'a>,
        depth: usize,
    ) -> Result<Value<'a>, String> {
        if depth > DEPTH_MAX {
            return Err(format!("it lies in more than {DEPTH_MAX} others"));
        }
        datum.values_left = datum.values_left.checked_sub(1).ok_or("it has too many values")?;
        Ok(match self.resolve(kind) {
            Type::Null => Value::Null,
            Type::Boolean => Value::Bool(datum.truth()?),
            Type::Int => Value::Int(datum.int()?),
            Type::Long => Value::Int(datum.long()?),
            Type::Float => Value::Float(f64::from(f32::from_le_bytes(datum.array()?))),
            Type::Double => Value::Float(f64::from_le_bytes(datum.array()?)),
            Type::String => Value::Text(datum.text()?),
            Type::Enum(symbols) => {
                let at = datum.long()?;
                let symbol = usize::try_from(at).ok().and_then(|at| symbols.get(at));
                Value::Text(symbol.ok_or_else(|| format!("there is no symbol {at}"))?)
            }
            Type::Date => Value::Date(datum.int()?),
            Type::Instant(units_per_ms) => Value::Instant(datum.long()?, *units_per_ms),
            Type::TimeOfDay => {
                datum.long()?;
                Value::Other("a time of day")
            }
            Type::Decimal { size, scale } => {
                let size = size.map_or_else(|| datum.count(), Ok)?;
                Value::Decimal(datum.take(size)?, *scale)
            }
            Type::Bytes => {
                let size = datum.count()?;
                datum.take(size)?;
                Value::Other("bytes")
            }
            Type::Fixed(size) => {
                datum.take(*size)?;
                Value::Other("bytes")
            }
            Type::Union(branches) => {
                let at = datum.long()?;
                let branch = usize::try_from(at).ok().and_then(|at| branches.get(at));
                let branch = branch.ok_or_else(|| format!("the union has no branch {at}"))?;
                self.within(branch, datum, depth + 1)?
            }
            Type::Record(fields) => {
                for field in fields {
                    self.within(&field.kind, datum, depth + 1)?;
                }
                Value::Other("an object")
            }
            Type::Array(items) => {
                datum.blocks(|datum| self.within(items, datum, depth + 1).map(drop))?;
                Value::Other("a list")
            }
            Type::Map(values) => {
                datum.blocks(|datum| {
                    datum.text()?;
                    self.within(values, datum, depth + 1).map(drop)
                })?;
                Value::Other("an object")
            }
            Type::Named(_) => unreachable!("a name does not name a name"),
        })
    }
}

impl<'a> Datum<'a> {
    /// All of these bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Datum<'a> {
        Datum { rest: bytes, values_left: bytes.len() + BARE_MAX }
    }

    /// How many bytes were not read.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            let left = self.left();
            return Err(format!("{count} bytes should follow, and {left} do"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("as many were taken"))
    }

    /// A whole number of 64 bits: seven bits a byte, the lowest first, the sign in the lowest bit.
    pub(super) fn long(&mut self) -> Result<i64, String> {
        let mut bits = 0_u64;
        for place in 0..10 {
            let [byte] = self.array::<1>()?;
            let low = u64::from(byte & 0x7f);
            if place == 9 && low > 1 {
                break;
            }
            bits |= low << (7 * place);
            if byte & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err("a whole number has more than 64 bits".to_owned())
    }

    fn int(&mut self) -> Result<i64, String> {
        let long = self.long()?;
        i32::try_from(long).map(i64::from).map_err(|_| format!("{long} has more than 32 bits"))
    }

    fn truth(&mut self) -> Result<bool, String> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(format!("{other} is neither true nor false")),
        }
    }

    /// How many bytes follow.
    pub(super) fn count(&mut self) -> Result<usize, String> {
        let long = self.long()?;
        usize::try_from(long).map_err(|_| format!("{long} is no length"))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, String> {
        let count = self.count()?;
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes).map_err(|error| format!("a text is not UTF-8: {error}"))
    }

    /// Blocks of items up to an empty one. A block that says how many bytes it has is passed over
    /// whole.
    fn blocks(
        &mut self,
        mut item: impl FnMut(&mut Datum<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                let size = self.count()?;
                self.take(size)?;
                continue;
            }
            for _ in 0..count {
                let before = self.left();
                item(self)?;
                if self.left() == before {
                    break;
                }
            }
        }
    }
}
