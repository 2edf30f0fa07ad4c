//! What `SET` and `SHOW` know: PostgreSQL's settings that clients ask for.
//!
//! Most only are remembered. `statement_timeout` is kept to; `timezone` may only be UTC, because
//! instants are written in UTC; what a client cannot change, it is told so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;

use crate::error::DeskError;
use crate::error::Kind;
use crate::role::Principal;
use crate::role::Role;

/// The PostgreSQL whose dialect and catalog clients may expect.
pub(crate) const SERVER_VERSION: &str = "15.9";

/// A setting: name, first value, whether a client may change it.
const KNOWN: [(&str, &str, bool); 30] = [
    ("application_name", "", true),
    ("bytea_output", "hex", true),
    ("client_encoding", "UTF8", true),
    ("client_min_messages", "notice", true),
    ("datestyle", "ISO, YMD", true),
    ("default_transaction_isolation", "serializable", true),
    ("default_transaction_read_only", "off", true),
    ("extra_float_digits", "1", true),
    ("idle_in_transaction_session_timeout", "0", true),
    ("in_hot_standby", "off", false),
    ("integer_datetimes", "on", false),
    ("intervalstyle", "postgres", true),
    ("is_superuser", "off", false),
    ("lc_collate", "C", false),
    ("lc_ctype", "C", false),
    ("lock_timeout", "0", true),
    ("max_identifier_length", "63", false),
    ("max_index_keys", "32", false),
    ("row_security", "off", true),
    ("scram_iterations", "4096", false),
    ("search_path", "public", true),
    ("server_encoding", "UTF8", false),
    ("server_version", SERVER_VERSION, false),
    ("server_version_num", "150009", false),
    ("session_authorization", "", false),
    ("standard_conforming_strings", "on", false),
    ("statement_timeout", "0", true),
    ("timezone", "UTC", true),
    ("transaction_isolation", "serializable", true),
    ("transaction_read_only", "off", true),
];

/// The names that PostgreSQL writes in another way than it compares them, for clients that compare
/// them byte by byte.
pub(crate) const REPORTED: [(&str, &str); 14] = [
    ("application_name", "application_name"),
    ("client_encoding", "client_encoding"),
    ("datestyle", "DateStyle"),
    ("default_transaction_read_only", "default_transaction_read_only"),
    ("in_hot_standby", "in_hot_standby"),
    ("integer_datetimes", "integer_datetimes"),
    ("intervalstyle", "IntervalStyle"),
    ("is_superuser", "is_superuser"),
    ("scram_iterations", "scram_iterations"),
    ("server_encoding", "server_encoding"),
    ("server_version", "server_version"),
    ("session_authorization", "session_authorization"),
    ("standard_conforming_strings", "standard_conforming_strings"),
    ("timezone", "TimeZone"),
];

/// One session's settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    first: BTreeMap<String, String>,
    now: BTreeMap<String, String>,
}

impl Settings {
    /// The settings of somebody who just came.
    pub(crate) fn of(principal: &Principal) -> Settings {
        let known = KNOWN.iter().map(|(name, value, _)| ((*name).to_owned(), (*value).to_owned()));
        let mut first: BTreeMap<String, String> = known.collect();
        first.insert("session_authorization".to_owned(), principal.user.clone());
        if principal.role == Role::Admin {
            first.insert("is_superuser".to_owned(), "on".to_owned());
        }
        Settings { now: first.clone(), first }
    }

    /// What a client said when it came; what is not known is left out.
    pub(crate) fn begin_with(&mut self, name: &str, value: &str) {
        if self.set(name, value).is_ok() {
            let name = name.to_lowercase();
            let value = self.now[&name].clone();
            self.first.insert(name, value);
        }
    }

    /// The value of one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.now.get(&name.to_lowercase()).map(String::as_str)
    }

    /// All of them with their values, in name order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.now.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Gives one a value.
    ///
    /// # Errors
    /// There is no such setting, or it cannot have this value.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), DeskError> {
        let name = name.to_lowercase();
        let known = KNOWN.iter().find(|(known, _, _)| *known == name);
        let refused = |why: String| Err(DeskError::new(Kind::Parameter, why));
        match known {
            // A name with a dot is an application's own.
            None if !name.contains('.') => {
                let message = format!("there is no setting {name}");
                return Err(DeskError::new(Kind::UnknownSetting, message));
            }
            Some((_, first, false)) if !value.eq_ignore_ascii_case(first) => {
                return refused(format!("{name} cannot be changed"));
            }
            _ => {}
        }
        if value.eq_ignore_ascii_case("default") {
            self.reset(Some(&name));
            return Ok(());
        }
        match name.as_str() {
            "client_encoding"
                if !["utf8", "utf-8", "unicode"].contains(&&*value.to_lowercase()) =>
            {
                return refused(format!("the client's encoding is UTF8, not {value}"));
            }
            "statement_timeout" if duration(value).is_none() => {
                return refused(format!("{value} is no duration: write 500, '500ms' or '5s'"));
            }
            // Clients set their own zone as they come; what they are sent says its offset.
            "timezone" | "datestyle" => return Ok(()),
            _ => {}
        }
        self.now.insert(name, value.to_owned());
        Ok(())
    }

    /// Gives one, or all, their first value.
    pub(crate) fn reset(&mut self, name: Option<&str>) {
        match name {
            None => self.now.clone_from(&self.first),
            Some(name) => {
                let name = name.to_lowercase();
                match self.first.get(&name) {
                    Some(value) => self.now.insert(name, value.clone()),
                    None => self.now.remove(&name),
                };
            }
        }
    }

    /// How long a statement may take, where the client said so.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        self.get("statement_timeout").and_then(duration).filter(|time| !time.is_zero())
    }

    /// The columns of `SHOW name` or `SHOW ALL`.
    pub(crate) fn schema(name: Option<&str>) -> SchemaRef {
        let field = |name: &str| Field::new(name, DataType::Utf8, false);
        let fields = match name {
            Some(name) => vec![field(name)],
            None => vec![field("name"), field("setting"), field("description")],
        };
        Arc::new(Schema::new(fields))
    }

    /// The rows of `SHOW name` or `SHOW ALL`.
    ///
    /// # Errors
    /// There is no such setting.
    pub(crate) fn show(&self, name: Option<&str>) -> Result<RecordBatch, DeskError> {
        let column = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
        let columns = match name {
            Some(name) => {
                let value = self.get(name).ok_or_else(|| {
                    let message = format!("there is no setting {name}");
                    DeskError::new(Kind::UnknownSetting, message).hint("SHOW ALL lists them")
                })?;
                vec![column(vec![value])]
            }
            None => {
                let (names, values): (Vec<&str>, Vec<&str>) = self.iter().unzip();
                let descriptions = vec![""; names.len()];
                vec![column(names), column(values), column(descriptions)]
            }
        };
        let rows = RecordBatch::try_new(Settings::schema(name), columns);
        Ok(rows.expect("names and values are as many"))
    }
}

/// A duration as PostgreSQL writes it: milliseconds without a unit.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let n: u64 = text[..digits].parse().ok()?;
    let ms = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(n.checked_mul(ms)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::of(&Principal::new("ada", Role::Viewer))
    }

    #[test]
    fn a_timeout_is_kept_to_and_reset() {
        let mut settings = settings();
        assert_eq!(settings.statement_timeout(), None);
        settings.set("statement_timeout", "5s").unwrap();
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(5)));
        settings.reset(Some("statement_timeout"));
        assert_eq!(settings.statement_timeout(), None);
        assert!(settings.set("statement_timeout", "soon").is_err());
    }

    #[test]
    fn what_is_ours_to_say_cannot_be_set() {
        let mut settings = settings();
        assert!(settings.set("is_superuser", "on").is_err());
        assert!(settings.set("nonsense", "1").is_err());
        assert!(settings.set("client_encoding", "LATIN1").is_err());
        settings.set("myapp.user", "7").unwrap();
        assert_eq!(settings.get("myapp.user"), Some("7"));
    }
}
