//! Avro schemas: from their JSON to what lies in the bytes, and the fingerprint that names them.
//!
//! Read by hand, since what is wanted is little and exact. Of a schema only what the bytes are
//! counts, so defaults, aliases and docs are passed over; a logical type that we do not know, or
//! that stands on another type than its own, is passed over as well, as the specification asks.
//! The fingerprint is that of the *parsing canonical form*, in which no logical type is left:
//! Java, Python and Go name schemas so, and the crate `apache-avro` does not.
//!
//! Source: Apache Avro 1.12, *Specification*, "Parsing Canonical Form for Schemas" and "Schema
//! Fingerprints".

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;

/// The fingerprint of no text.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

/// Digits that a decimal may have after the point: ten to it is still a number of 128 bits.
const SCALE_MAX: u64 = 38;

/// The schema of records: what lies in their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvroSchema {
    /// The types that have names; they may hold each other.
    named: Vec<Type>,
    /// The one that a record is.
    root: usize,
    fingerprint: u64,
}

/// A type, as far as its bytes and its column are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    /// So many bytes.
    Fixed(usize),
    Enum(Vec<String>),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Record(Vec<Field>),
    /// Days since the epoch, as an int.
    Date,
    /// Since the epoch, as a long in units of which so many are a millisecond.
    Instant(i64),
    /// Since midnight, as an int or a long.
    TimeOfDay,
    /// A whole number of so many bytes, or of as many as it says itself, divided by ten to `scale`.
    Decimal {
        size: Option<usize>,
        scale: u32,
    },
    /// One of those that have names, by its place.
    Named(usize),
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Type,
}

impl AvroSchema {
    /// Reads the JSON of a schema, which must be a record's.
    ///
    /// # Errors
    /// It is no JSON or no such schema; says why and in which field.
    pub fn parse(text: &str) -> Result<AvroSchema, String> {
        let json: Value =
            serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let mut parser = Parser::default();
        let (root, word) = match parser.read(&json, "")? {
            Type::Named(place) => (place, parser.named[place].word()),
            other => (0, other.word()),
        };
        if word != "record" {
            return Err(format!("it is the schema of {word}, not of a record"));
        }
        let fingerprint = fingerprint(&parser.canonical);
        Ok(AvroSchema { named: parser.named, root, fingerprint })
    }

    /// CRC-64-AVRO of the canonical form: what single-object encoding names a schema by.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The fields of a record.
    pub(super) fn fields(&self) -> &[Field] {
        match &self.named[self.root] {
            Type::Record(fields) => fields,
            _ => unreachable!("parse takes records only"),
        }
    }

    /// The type itself where one is named.
    pub(super) fn resolve<'a>(&'a self, kind: &'a Type) -> &'a Type {
        match kind {
            Type::Named(place) => &self.named[*place],
            kind => kind,
        }
    }
}

impl Type {
    /// What the type is called.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Type::Null => "null",
            Type::Boolean => "boolean",
            Type::Int => "int",
            Type::Long => "long",
            Type::Float => "float",
            Type::Double => "double",
            Type::Bytes => "bytes",
            Type::String => "string",
            Type::Fixed(_) => "fixed",
            Type::Enum(_) => "enum",
            Type::Array(_) => "array",
            Type::Map(_) => "map",
            Type::Union(_) => "union",
            Type::Record(_) => "record",
            Type::Date => "date",
            Type::Instant(_) => "timestamp",
            Type::TimeOfDay => "time",
            Type::Decimal { .. } => "decimal",
            Type::Named(_) => "a named type",
        }
    }
}

/// Reads a schema and writes its canonical form on the way.
#[derive(Default)]
struct Parser {
    named: Vec<Type>,
    /// The places of types by their full names.
    names: BTreeMap<String, usize>,
    canonical: String,
}

impl Parser {
    fn read(&mut self, json: &Value, namespace: &str) -> Result<Type, String> {
        match json {
            Value::String(name) => self.by_name(name, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => self.object(object, namespace),
            other => Err(format!("{other} is no type")),
        }
    }

    fn by_name(&mut self, name: &str, namespace: &str) -> Result<Type, String> {
        if let Some(primitive) = primitive(name) {
            self.quote(name);
            return Ok(primitive);
        }
        let full = full_name(name, namespace);
        let full = if self.names.contains_key(&full) { full } else { name.to_owned() };
        let Some(place) = self.names.get(&full).copied() else {
            return Err(format!("there is no type {name:?}, or it is defined further down"));
        };
        self.quote(&full);
        Ok(Type::Named(place))
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Result<Type, String> {
        self.canonical.push('[');
        let mut kinds = Vec::with_capacity(branches.len());
        for (at, branch) in branches.iter().enumerate() {
            if branch.is_array() {
                return Err("a union stands directly in a union".to_owned());
            }
            if at > 0 {
                self.canonical.push(',');
            }
            kinds.push(self.read(branch, namespace)?);
        }
        self.canonical.push(']');
        Ok(Type::Union(kinds))
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Type, String> {
        let kind = part(object, "type")?;
        let plain = match kind.as_str() {
            Some("record" | "error") => self.define(object, namespace, "record")?,
            Some("enum") => self.define(object, namespace, "enum")?,
            Some("fixed") => self.define(object, namespace, "fixed")?,
            Some("array") => Type::Array(Box::new(self.inner(object, namespace, "items")?)),
            Some("map") => Type::Map(Box::new(self.inner(object, namespace, "values")?)),
            _ => self.read(kind, namespace)?,
        };
        Ok(self.meant(object, plain))
    }

    /// What an array or a map holds.
    fn inner(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        key: &str,
    ) -> Result<Type, String> {
        let outer = if key == "items" { "array" } else { "map" };
        self.canonical.push_str(&format!("{{\"type\":\"{outer}\",\"{key}\":"));
        let inner = self.read(part(object, key)?, namespace)?;
        self.canonical.push('}');
        Ok(inner)
    }

    /// A type that has a name. It may hold itself, so its place is taken before it is read.
    fn define(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        kind: &str,
    ) -> Result<Type, String> {
        let own = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let name = full_name(text(object, "name")?, own);
        let place = self.named.len();
        if self.names.insert(name.clone(), place).is_some() {
            return Err(format!("type {name} is defined twice"));
        }
        self.named.push(Type::Null);
        self.canonical.push_str("{\"name\":");
        self.quote(&name);
        self.canonical.push_str(&format!(",\"type\":\"{kind}\""));
        let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        self.named[place] = match kind {
            "record" => self.fields(object, namespace)?,
            "enum" => self.symbols(object)?,
            _ => self.size(object)?,
        };
        self.canonical.push('}');
        Ok(Type::Named(place))
    }

    fn fields(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Type, String> {
        let list = part(object, "fields")?.as_array().ok_or("its \"fields\" are no list")?;
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        self.canonical.push_str(",\"fields\":[");
        for field in list {
            let field = field.as_object().ok_or_else(|| format!("{field} is no field"))?;
            let name = text(field, "name")?.to_owned();
            if fields.iter().any(|other| other.name == name) {
                return Err(format!("there are two fields {name}"));
            }
            if !fields.is_empty() {
                self.canonical.push(',');
            }
            self.canonical.push_str("{\"name\":");
            self.quote(&name);
            self.canonical.push_str(",\"type\":");
            let kind = part(field, "type").and_then(|kind| self.read(kind, namespace));
            let kind = kind.map_err(|detail| format!("field {name}: {detail}"))?;
            self.canonical.push('}');
            fields.push(Field { name, kind });
        }
        self.canonical.push(']');
        Ok(Type::Record(fields))
    }

    fn symbols(&mut self, object: &Map<String, Value>) -> Result<Type, String> {
        let list = part(object, "symbols")?.as_array().ok_or("its \"symbols\" are no list")?;
        let symbols: Option<Vec<String>> =
            list.iter().map(|symbol| symbol.as_str().map(str::to_owned)).collect();
        let symbols = symbols.ok_or("its \"symbols\" are no texts")?;
        self.canonical.push_str(",\"symbols\":[");
        for (at, symbol) in symbols.iter().enumerate() {
            if at > 0 {
                self.canonical.push(',');
            }
            self.quote(symbol);
        }
        self.canonical.push(']');
        Ok(Type::Enum(symbols))
    }

    fn size(&mut self, object: &Map<String, Value>) -> Result<Type, String> {
        let size = part(object, "size")?;
        let bytes = size.as_u64().and_then(|size| usize::try_from(size).ok());
        let bytes = bytes.ok_or_else(|| format!("{size} is no number of bytes"))?;
        self.canonical.push_str(&format!(",\"size\":{bytes}"));
        Ok(Type::Fixed(bytes))
    }

    /// What a type means where it has a logical type that is known.
    fn meant(&mut self, object: &Map<String, Value>, plain: Type) -> Type {
        let Some(logical) = object.get("logicalType").and_then(Value::as_str) else {
            return plain;
        };
        let (place, bare) = match &plain {
            Type::Named(place) => (Some(*place), &self.named[*place]),
            bare => (None, bare),
        };
        // Without a zone it is UTC, as everywhere.
        let local = logical.strip_prefix("local-").filter(|rest| rest.starts_with("timestamp-"));
        match (local.unwrap_or(logical), bare) {
            ("date", Type::Int) => Type::Date,
            ("time-millis", Type::Int) | ("time-micros", Type::Long) => Type::TimeOfDay,
            ("timestamp-millis", Type::Long) => Type::Instant(1),
            ("timestamp-micros", Type::Long) => Type::Instant(1_000),
            ("timestamp-nanos", Type::Long) => Type::Instant(1_000_000),
            ("decimal", Type::Bytes) => decimal(object, None).unwrap_or(plain),
            ("decimal", Type::Fixed(size)) => {
                let Some(decimal) = decimal(object, Some(*size)) else { return plain };
                match place {
                    // Defined here: whoever names it means this.
                    Some(place) if object.get("type").is_some_and(|kind| kind == "fixed") => {
                        self.named[place] = decimal;
                        plain
                    }
                    _ => decimal,
                }
            }
            _ => plain,
        }
    }

    fn quote(&mut self, text: &str) {
        let quoted = serde_json::to_string(text).expect("a str is always JSON text");
        self.canonical.push_str(&quoted);
    }
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::String,
        _ => return None,
    })
}

/// A decimal as the object says, if what it says can be.
fn decimal(object: &Map<String, Value>, size: Option<usize>) -> Option<Type> {
    let precision = object.get("precision").and_then(Value::as_u64)?;
    let scale = object.get("scale").map_or(Some(0), Value::as_u64)?;
    let fits = precision > 0 && scale <= precision && scale <= SCALE_MAX;
    fits.then_some(Type::Decimal { size, scale: scale as u32 })
}

/// A name with its namespace, unless it has one itself.
fn full_name(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

fn part<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a Value, String> {
    object.get(key).ok_or_else(|| format!("{key:?} is missing"))
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    let value = part(object, key)?;
    value.as_str().filter(|text| !text.is_empty()).ok_or_else(|| format!("{value} is no {key}"))
}

fn fingerprint(canonical: &str) -> u64 {
    canonical.bytes().fold(EMPTY, |hash, byte| {
        let low = (hash ^ u64::from(byte)) & 0xff;
        let low = (0..8).fold(low, |low, _| (low >> 1) ^ (EMPTY & (low & 1).wrapping_neg()));
        (hash >> 8) ^ low
    })
}
