//! Words of a line: `name=value` pairs and bare values, with all kinds of brackets, and arithmetic
//! in reverse Polish notation.
//!
//! `!` and `//` begin a comment, `/*` to `*/` spans lines. Blanks, commas and `=` separate; what
//! stands in `(…)`, `[…]`, `{…}`, `"…"` or `'…'` is one value.
//!
//! **Bounds**: [`PHASES_MAX`] phases, because matrices grow with their square.

/// Phases of an element, at most.
pub(crate) const PHASES_MAX: usize = 16;

/// A value as it stands in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    /// Its text, without the brackets around it.
    pub(crate) text: String,
    /// True if it stood in brackets or quotes.
    pub(crate) bracketed: bool,
}

/// A word of a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word {
    /// What stands before `=`, in lower case.
    pub(crate) name: Option<String>,
    /// What stands after it.
    pub(crate) value: Value,
}

/// Takes comments out of a file and gives its lines with their numbers.
pub(crate) fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let mut rest = line;
        let mut kept = String::new();
        loop {
            if inside {
                let Some(end) = rest.find("*/") else { break };
                rest = &rest[end + 2..];
                inside = false;
            }
            let (before, comment) = before_comment(rest);
            kept.push_str(before);
            match comment {
                Some(after) => {
                    rest = after;
                    inside = true;
                }
                None => break,
            }
        }
        if !kept.trim().is_empty() {
            lines.push((number + 1, kept.trim().to_owned()));
        }
    }
    lines
}

/// What stands before a comment and, where that spans lines, what stands after its beginning.
fn before_comment(line: &str) -> (&str, Option<&str>) {
    let mut closing: Option<char> = None;
    for (at, c) in line.char_indices() {
        match closing {
            Some(end) if c == end => closing = None,
            Some(_) => {}
            None if c == '!' || line[at..].starts_with("//") => return (&line[..at], None),
            None if line[at..].starts_with("/*") => return (&line[..at], Some(&line[at + 2..])),
            None => closing = closing_of(c),
        }
    }
    (line, None)
}

fn closing_of(c: char) -> Option<char> {
    match c {
        '(' => Some(')'),
        '[' => Some(']'),
        '{' => Some('}'),
        '"' => Some('"'),
        '\'' => Some('\''),
        _ => None,
    }
}

/// The words of a line.
pub(crate) fn words(line: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut rest = line.trim_start();
    let mut name: Option<String> = None;
    while !rest.is_empty() {
        let (value, after) = value(rest);
        let after = after.trim_start();
        if let Some(behind) = after.strip_prefix('=') {
            // A name; one that follows another name without a value of its own has an empty one.
            if let Some(name) = name.take() {
                words.push(Word { name: Some(name), value: empty() });
            }
            name = Some(value.text.to_lowercase());
            rest = behind.trim_start();
            if rest.is_empty() {
                words.push(Word { name: name.take(), value: empty() });
            }
            continue;
        }
        words.push(Word { name: name.take(), value });
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
    words
}

fn empty() -> Value {
    Value { text: String::new(), bracketed: false }
}

/// The value a text begins with, and what stands behind it.
fn value(text: &str) -> (Value, &str) {
    let first = text.chars().next().unwrap_or(' ');
    if let Some(end) = closing_of(first) {
        let inner = &text[first.len_utf8()..];
        let length = inner.find(end).unwrap_or(inner.len());
        let after = inner.get(length + end.len_utf8()..).unwrap_or("");
        return (Value { text: inner[..length].trim().to_owned(), bracketed: true }, after);
    }
    let length = text.find([' ', '\t', ',', '=']).unwrap_or(text.len());
    // A separator with nothing before it is an empty value.
    (Value { text: text[..length].to_owned(), bracketed: false }, &text[length..])
}

impl Value {
    /// From plain text.
    #[cfg(test)]
    pub(crate) fn plain(text: &str) -> Value {
        Value { text: text.to_owned(), bracketed: false }
    }

    /// The text in lower case.
    pub(crate) fn lower(&self) -> String {
        self.text.to_lowercase()
    }

    /// A number, or arithmetic in brackets.
    pub(crate) fn number(&self) -> Result<f64, String> {
        arithmetic(&self.text)
    }

    /// A whole number that is not negative.
    pub(crate) fn count(&self) -> Result<usize, String> {
        let number = self.number()?;
        if number < 0.0 || number.fract() != 0.0 || number > 1e6 {
            return Err(format!("{} is no count", self.text));
        }
        Ok(number as usize)
    }

    /// A count that is at most so large.
    pub(crate) fn count_to(&self, most: usize) -> Result<usize, String> {
        match self.count()? {
            count if count > most => Err(format!("{count} is more than {most}, the most here")),
            count => Ok(count),
        }
    }

    /// A number of phases: one where it says none.
    pub(crate) fn phases(&self) -> Result<usize, String> {
        Ok(self.count_to(PHASES_MAX)?.max(1))
    }

    /// Yes or no, by its first letter.
    pub(crate) fn yes(&self) -> Result<bool, String> {
        match self.text.chars().next().map(|c| c.to_ascii_lowercase()) {
            Some('y' | 't') => Ok(true),
            Some('n' | 'f') => Ok(false),
            _ => Err(format!("{:?} is neither yes nor no", self.text)),
        }
    }

    /// The parts of an array.
    pub(crate) fn parts(&self) -> Vec<Value> {
        words(&self.text.replace('|', " ")).into_iter().map(|word| word.value).collect()
    }

    /// An array of numbers.
    pub(crate) fn numbers(&self) -> Result<Vec<f64>, String> {
        self.parts().iter().map(Value::number).collect()
    }

    /// A square matrix of numbers: full, or its lower triangle; rows are separated by `|`.
    pub(crate) fn matrix(&self, order: usize) -> Result<Vec<f64>, String> {
        let rows: Vec<Vec<f64>> = self
            .text
            .split('|')
            .map(|row| Value { text: row.to_owned(), bracketed: true }.numbers())
            .collect::<Result<_, _>>()?;
        let wrong = || format!("{:?} is no matrix of {order} rows", self.text);
        if rows.len() != order {
            return Err(wrong());
        }
        let mut matrix = vec![0.0; order * order];
        for (r, row) in rows.iter().enumerate() {
            if row.len() != order && row.len() != r + 1 {
                return Err(wrong());
            }
            for (c, &value) in row.iter().enumerate() {
                matrix[r * order + c] = value;
                if row.len() == r + 1 {
                    matrix[c * order + r] = value;
                }
            }
        }
        Ok(matrix)
    }
}

/// A number or an expression in reverse Polish notation.
fn arithmetic(text: &str) -> Result<f64, String> {
    let mut stack: Vec<f64> = Vec::new();
    for part in text.split([' ', '\t', ',']).filter(|part| !part.is_empty()) {
        if let Ok(number) = part.parse::<f64>() {
            stack.push(number);
            continue;
        }
        let operation = part.to_lowercase();
        apply(&operation, &mut stack).ok_or_else(|| format!("{text:?} is no number"))?;
    }
    match stack.as_slice() {
        [.., last] => Ok(*last),
        [] => Err("a number is missing".to_owned()),
    }
}

fn apply(operation: &str, stack: &mut Vec<f64>) -> Option<()> {
    let degrees = |x: f64| x.to_degrees();
    let result = match operation {
        "pi" => std::f64::consts::PI,
        "+" | "-" | "*" | "/" | "^" | "atan2" => {
            let (b, a) = (stack.pop()?, stack.pop()?);
            match operation {
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                "/" => a / b,
                "^" => a.powf(b),
                _ => degrees(a.atan2(b)),
            }
        }
        "swap" => {
            let (b, a) = (stack.pop()?, stack.pop()?);
            stack.push(b);
            a
        }
        _ => {
            let x = stack.pop()?;
            match operation {
                "sqr" => x * x,
                "sqrt" => x.sqrt(),
                "inv" => 1.0 / x,
                "ln" => x.ln(),
                "log10" => x.log10(),
                "exp" => x.exp(),
                "sin" => x.to_radians().sin(),
                "cos" => x.to_radians().cos(),
                "tan" => x.to_radians().tan(),
                "asin" => degrees(x.asin()),
                "acos" => degrees(x.acos()),
                "atan" => degrees(x.atan()),
                _ => return None,
            }
        }
    };
    stack.push(result);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_number(text: &str, expected: f64) {
        assert_eq!(Value::plain(text).number(), Ok(expected));
    }

    #[track_caller]
    fn check_words(line: &str, expected: &[(&str, &str)]) {
        let found: Vec<(String, String)> = words(line)
            .into_iter()
            .map(|word| (word.name.unwrap_or_default(), word.value.text))
            .collect();
        let expected: Vec<(String, String)> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn arithmetic_is_done_from_left_to_right() {
        check_number("8 1000 /", 0.008);
        check_number("2 0.5 0.25 3 * - - 10 2 / sqr *", 2.25 * 25.0);
    }

    #[test]
    fn blanks_may_surround_the_equals_sign() {
        check_words(
            "kW= 3.5  pf = 0.97 b=(1 | 2)",
            &[("kw", "3.5"), ("pf", "0.97"), ("b", "1 | 2")],
        );
    }

    #[test]
    fn values_stand_without_a_name() {
        check_words(
            "New Line.a x {5 2 *}",
            &[("", "New"), ("", "Line.a"), ("", "x"), ("", "5 2 *")],
        );
    }

    #[test]
    fn a_comment_ends_a_line_but_not_inside_brackets() {
        assert_eq!(
            lines("a=1 ! b\n// c\nd=[1/2 '!']"),
            [(1, "a=1".into()), (3, "d=[1/2 '!']".into())]
        );
        assert_eq!(lines("a /* b\nc */ d"), [(1, "a".into()), (2, "d".into())]);
    }

    #[test]
    fn a_triangle_is_a_symmetric_matrix() {
        assert_eq!(Value::plain("1 | 2 3").matrix(2), Ok(vec![1.0, 2.0, 2.0, 3.0]));
    }
}
