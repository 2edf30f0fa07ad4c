//! What our dialect adds to SQL's words, taken off before the parser sees the text.
//!
//! Statements are told apart at their semicolons, `AS OF TICK n` and `AS OF TIMESTAMP '…'` are cut
//! off the end of one, and `SUBSCRIBE` is read here, word by word. Everything else is the parser's.
//! Places in what is left stay those of the whole text.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::Location;
use datafusion::sql::sqlparser::tokenizer::Token;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;
use schemas::time::Timestamp;

use crate::error::DeskError;
use crate::error::Kind;

/// A word of a text and where it begins, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// The token.
    pub(crate) token: Token,
    /// Its first byte.
    pub(crate) start: usize,
}

impl Word {
    /// Whether it is this keyword, in capitals.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(&self.token, Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(keyword))
    }

    /// Whether it is an opening bracket.
    pub(crate) fn is_open(&self) -> bool {
        self.token == Token::LParen
    }

    /// The identifier that it is, as PostgreSQL folds it.
    pub(crate) fn name(&self) -> Option<String> {
        match &self.token {
            Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
            Token::Word(word) => Some(word.value.to_lowercase()),
            _ => None,
        }
    }
}

/// The words of a text, without spaces and comments.
///
/// # Errors
/// A quote or a comment has no end.
pub(crate) fn words(sql: &str) -> Result<Vec<Word>, DeskError> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| DeskError::new(Kind::Syntax, error.to_string()))?;
    let mut lines = vec![0];
    lines.extend(sql.match_indices('\n').map(|(at, _)| at + 1));
    let byte = |at: Location| {
        let line = lines.get(at.line.saturating_sub(1) as usize).copied().unwrap_or(sql.len());
        let column = at.column.saturating_sub(1) as usize;
        let rest = &sql[line..];
        line + rest.char_indices().nth(column).map_or(rest.len(), |(byte, _)| byte)
    };
    let visible = tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_)));
    Ok(visible.map(|t| Word { start: byte(t.span.start), token: t.token }).collect())
}

/// The statements of a text, without those that say nothing.
///
/// # Errors
/// A quote or a comment has no end.
pub(crate) fn split(sql: &str) -> Result<Vec<&str>, DeskError> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut said = false;
    for word in words(sql)? {
        if word.token == Token::SemiColon {
            if said {
                pieces.push(&sql[from..word.start]);
            }
            (from, said) = (word.start + 1, false);
        } else {
            said = true;
        }
    }
    if said {
        pieces.push(&sql[from..]);
    }
    Ok(pieces)
}

/// The moment that a statement asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AsOf {
    /// A tick by its name.
    Tick(Timestamp),
    /// The last tick that had ended by then.
    Time(Timestamp),
}

impl AsOf {
    /// The tick that is meant, ticks being `step_ms` long.
    pub(crate) fn tick(self, step_ms: u64) -> Timestamp {
        match self {
            AsOf::Tick(tick) => tick,
            AsOf::Time(at) => Timestamp(at.0 - at.0 % step_ms.max(1)),
        }
    }
}

/// The statement without its `AS OF`, and the moment that it names.
///
/// # Errors
/// What follows `AS OF` is no moment.
pub(crate) fn as_of<'a>(
    sql: &'a str,
    words: &[Word],
) -> Result<(&'a str, Option<AsOf>), DeskError> {
    let [.., before, of, unit, value] = words else { return Ok((sql, None)) };
    let tick = unit.is("TICK");
    if !before.is("AS") || !of.is("OF") || !(tick || unit.is("TIMESTAMP")) {
        return Ok((sql, None));
    }
    let wrong = || {
        let message = "AS OF names no moment".to_owned();
        let hint = "write AS OF TICK 1767225600000, AS OF TICK '2026-01-01T00:00:00Z' or \
                    AS OF TIMESTAMP '2026-01-01T00:00:03Z'";
        let position = Some(sql[..value.start].chars().count() + 1);
        DeskError { kind: Kind::Syntax, message, hint: Some(hint.to_owned()), position }
    };
    let at = match &value.token {
        Token::Number(digits, _) if tick => digits.parse().ok().map(Timestamp),
        Token::SingleQuotedString(text) => moment(text),
        _ => None,
    };
    let at = at.ok_or_else(wrong)?;
    let at = if tick { AsOf::Tick(at) } else { AsOf::Time(at) };
    Ok((&sql[..before.start], Some(at)))
}

/// An instant as SQL writes it; UTC unless it says otherwise.
fn moment(text: &str) -> Option<Timestamp> {
    let utc = Some(std::sync::Arc::from(schemas::relation::UTC));
    let unit = arrow::datatypes::TimeUnit::Millisecond;
    let kind = arrow::datatypes::DataType::Timestamp(unit, utc);
    let array = arrow::array::StringArray::from(vec![text.trim()]);
    let cast = arrow::compute::cast(&array, &kind).ok()?;
    let cast = arrow::array::cast::AsArray::as_primitive_opt::<
        arrow::datatypes::TimestampMillisecondType,
    >(&cast)?;
    arrow::array::Array::is_valid(cast, 0).then(|| cast.value(0))?.try_into().ok().map(Timestamp)
}

/// `SUBSCRIBE [TO] view [WITH (snapshot = …, progress = …)]`, already without `AS OF`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscribe {
    /// The view.
    pub(crate) view: String,
    /// Whether its rows come first.
    pub(crate) snapshot: bool,
    /// Whether ticks that changed nothing are told.
    pub(crate) progress: bool,
}

/// The subscription that these words ask for.
///
/// # Errors
/// They do not ask for one.
pub(crate) fn subscribe(words: &[Word]) -> Result<Subscribe, DeskError> {
    let wrong = |what: &str| {
        let hint = "write SUBSCRIBE [TO] view [WITH (snapshot = true|false, progress = \
                    true|false)] [AS OF TICK n]";
        DeskError::new(Kind::Syntax, what).hint(hint)
    };
    let rest = words.get(1..).unwrap_or_default();
    let rest = if rest.first().is_some_and(|w| w.is("TO")) { &rest[1..] } else { rest };
    let Some(view) = rest.first().and_then(Word::name) else {
        return Err(wrong("SUBSCRIBE names no view"));
    };
    let mut asked = Subscribe { view, snapshot: true, progress: false };
    let mut rest = &rest[1..];
    if let [dot, name, after @ ..] = rest
        && dot.token == Token::Period
    {
        let name = name.name().ok_or_else(|| wrong("SUBSCRIBE names no view"))?;
        asked.view = if asked.view == "public" { name } else { format!("{}.{name}", asked.view) };
        rest = after;
    }
    let [with, open, options @ .., close] = rest else {
        return if rest.is_empty() { Ok(asked) } else { Err(wrong("SUBSCRIBE has more words")) };
    };
    if !with.is("WITH") || open.token != Token::LParen || close.token != Token::RParen {
        return Err(wrong("SUBSCRIBE has more words"));
    }
    for option in options.split(|word| word.token == Token::Comma) {
        let on = match option {
            [_] => true,
            [_, equals, value] if equals.token == Token::Eq && value.is("TRUE") => true,
            [_, equals, value] if equals.token == Token::Eq && value.is("FALSE") => false,
            _ => return Err(wrong("an option of SUBSCRIBE is true or false")),
        };
        match option[0].name().unwrap_or_default().as_str() {
            "snapshot" => asked.snapshot = on,
            "progress" => asked.progress = on,
            other => return Err(wrong(&format!("SUBSCRIBE has no option {other}"))),
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_as_of(sql: &str, rest: &str, expected: Option<AsOf>) {
        let words = words(sql).unwrap();
        assert_eq!(as_of(sql, &words).unwrap(), (rest, expected));
    }

    #[test]
    fn statements_end_at_semicolons_outside_quotes() {
        let sql = "SELECT ';'; -- a; b\nSELECT 2 ;;";
        assert_eq!(split(sql).unwrap(), ["SELECT ';'", " -- a; b\nSELECT 2 "]);
    }

    #[test]
    fn a_tick_is_cut_off_the_end() {
        check_as_of("SELECT 1 AS OF TICK 5000", "SELECT 1 ", Some(AsOf::Tick(Timestamp(5_000))));
        check_as_of(
            "SELECT 'ä' as of timestamp '1970-01-01 00:00:07'",
            "SELECT 'ä' ",
            Some(AsOf::Time(Timestamp(7_000))),
        );
        check_as_of("SELECT 1 AS of", "SELECT 1 AS of", None);
    }

    #[test]
    fn a_time_means_the_last_tick_that_had_ended() {
        assert_eq!(AsOf::Time(Timestamp(7_000)).tick(5_000), Timestamp(5_000));
        assert_eq!(AsOf::Time(Timestamp(10_000)).tick(5_000), Timestamp(10_000));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        let sql = "SELECT 1 AS OF TICK 'soon'";
        let error = as_of(sql, &words(sql).unwrap()).unwrap_err();
        assert_eq!((error.kind, error.position), (Kind::Syntax, Some(21)));
    }

    #[test]
    fn subscriptions_have_two_options() {
        let read = |sql: &str| subscribe(&words(sql).unwrap());
        let plain = Subscribe { view: "v".to_owned(), snapshot: true, progress: false };
        assert_eq!(read("SUBSCRIBE TO v").unwrap(), plain);
        assert_eq!(read("subscribe public.v").unwrap(), plain);
        let both = read("SUBSCRIBE v WITH (snapshot = false, progress)").unwrap();
        assert_eq!(both, Subscribe { snapshot: false, progress: true, ..plain });
        assert!(read("SUBSCRIBE v WITH (speed = 3)").is_err());
        assert!(read("SUBSCRIBE").is_err());
    }
}
