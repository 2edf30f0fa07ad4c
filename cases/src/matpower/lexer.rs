//! MATLAB source as tokens, one at a time, because a case of 80,000 buses is mostly numbers.
//!
//! Blanks matter between brackets, where `[1 -2]` are two numbers and `[1 - 2]` is one: a token
//! knows whether a blank stands before and after it. Comments (`%`, `%{ … %}`), continuations
//! (`...`) and carriage returns are gone.

/// A piece of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Name(String),
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    NewLine,
    End,
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: u32,
    /// Where it begins in the text.
    pub(super) start: usize,
    pub(super) blank_before: bool,
    pub(super) blank_after: bool,
}

/// Operators and brackets, longer ones first.
const SIGNS: [&str; 31] = [
    "==", "~=", "!=", "<=", ">=", "&&", "||", ".*", "./", ".^", ".'", "+", "-", "*", "/", "\\",
    "^", "(", ")", "[", "]", "{", "}", ",", ";", "=", "<", ">", ":", ".", "&",
];

/// The rest of them.
const MORE_SIGNS: [&str; 4] = ["|", "~", "!", "@"];

/// A place in a text, after which tokens come.
pub(super) struct Lexer<'a> {
    text: &'a str,

    at: usize,
    line: u32,
    /// True if a quote would turn a matrix and not begin a text.
    after_operand: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0, line: 1, after_operand: false }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next token.
    pub(super) fn token(&mut self) -> Result<Token, String> {
        let before = self.at;
        self.skip_blanks();
        let blank_before = self.at > before;
        let (start, line) = (self.at, self.line);
        let kind = self.kind(blank_before)?;
        self.after_operand = match &kind {
            Kind::Number(_) | Kind::Name(_) | Kind::Text(_) => true,
            Kind::Sign(sign) => matches!(*sign, ")" | "]" | "}" | "'" | ".'"),
            Kind::NewLine | Kind::End => false,
        };
        let blank_after = self.rest().starts_with([' ', '\t', '\r', '\n', '%']);
        Ok(Token { kind, line, start, blank_before, blank_after })
    }

    /// Blanks, comments up to the end of their line, and continuations.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
            if blanks > 0 {
                self.at += blanks;
            } else if rest.starts_with("...") {
                self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
                self.line += 1;
            } else if rest.starts_with('%') {
                self.skip_comment();
            } else {
                return;
            }
        }
    }

    /// A comment; one that a line of `%{` alone begins goes on to a line of `%}` alone.
    fn skip_comment(&mut self) {
        let head = &self.text[..self.at];
        let line_start = head.rfind('\n').map_or(0, |end| end + 1);
        let end_of_line = |rest: &str| rest.find('\n').unwrap_or(rest.len());
        let mut end = end_of_line(self.rest());
        let alone = head[line_start..].trim().is_empty() && self.rest()[..end].trim() == "%{";
        let mut depth = usize::from(alone);
        while depth > 0 && self.at + end < self.text.len() {
            self.at += end + 1;
            self.line += 1;
            end = end_of_line(self.rest());
            match self.rest()[..end].trim() {
                "%{" => depth += 1,
                "%}" => depth -= 1,
                _ => {}
            }
        }
        self.at += end;
    }

    fn kind(&mut self, blank_before: bool) -> Result<Kind, String> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Kind::End) };
        if first == '\n' {
            self.at += 1;
            self.line += 1;
            return Ok(Kind::NewLine);
        }
        let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        if digit(rest) || (first == '.' && digit(&rest[1..])) {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            self.at += end;
            return Ok(Kind::Name(rest[..end].to_owned()));
        }
        if first == '"' || (first == '\'' && (!self.after_operand || blank_before)) {
            return self.quoted(first);
        }
        if first == '\'' {
            self.at += 1;
            return Ok(Kind::Sign("'"));
        }
        let found = SIGNS.iter().chain(&MORE_SIGNS).find(|sign| rest.starts_with(**sign));
        let sign = found.ok_or_else(|| format!("{first:?} is not expected here"));
        self.at += sign.as_ref().map_or(first.len_utf8(), |sign| sign.len());
        sign.copied().map(Kind::Sign)
    }

    fn number(&mut self) -> Result<Kind, String> {
        let rest = self.rest().as_bytes();
        let digits = |mut at: usize| {
            while rest.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(0);
        // `1.*x` is 1 times x, element by element.
        let operator = matches!(rest.get(end + 1), Some(b'*' | b'/' | b'^' | b'\''));
        if rest.get(end) == Some(&b'.') && !operator {
            end = digits(end + 1);
        }
        if matches!(rest.get(end), Some(b'e' | b'E' | b'd' | b'D')) {
            let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        let text = self.rest()[..end].replace(['d', 'D'], "e");
        self.at += end;
        text.parse().map(Kind::Number).map_err(|_| format!("{text} is not a number"))
    }

    /// A text between quotes; a doubled quote is one.
    fn quoted(&mut self, quote: char) -> Result<Kind, String> {
        let mut text = String::new();
        let mut at = self.at + 1;
        loop {
            let rest = &self.text[at..];
            let end = rest.find([quote, '\n']).unwrap_or(rest.len());
            text.push_str(&rest[..end]);
            if !rest[end..].starts_with(quote) {
                self.at = at + end;
                return Err("a text has no closing quote on its line".to_owned());
            }
            at += end + 1;
            if !self.text[at..].starts_with(quote) {
                self.at = at;
                return Ok(Kind::Text(text));
            }
            text.push(quote);
            at += 1;
        }
    }
}
