//! The statements of a case file, carried out as they are read.
//!
//! A case file is a MATLAB function. Most are tables and nothing else; those of distribution
//! feeders end by converting units (`mpc.bus(:, [PD, QD]) = mpc.bus(:, [PD, QD]) / 1e3;`). What is
//! understood: assignments to variables, fields and parts of matrices, `[…] = idx_bus`,
//! `define_constants`, `if … elseif … else … end`, arithmetic, comparisons, and functions of
//! [`functions`](super::functions). A statement that is not understood is a [`Complaint`] and does
//! nothing; those after it are carried out, and complain in turn where they need what it would have
//! given.
//!
//! **Bounds:** a statement nests at most [`DEPTH_MAX`] deep; there are no loops.

use std::collections::BTreeMap;

use super::columns;
use super::functions;
use super::lexer::Kind;
use super::lexer::Lexer;
use super::lexer::Token;
use super::value::Index;
use super::value::Matrix;
use super::value::Value;

/// How deep brackets may nest: beyond, a hostile file would exhaust the stack.
const DEPTH_MAX: usize = 64;

/// How much of a statement is shown, in characters.
const SHOWN_CHARS: usize = 72;

/// A statement that was not understood.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) line: u32,
    pub(super) statement: String,
    pub(super) problem: String,
    /// True if it would have changed the case, as far as can be seen.
    pub(super) of_case: bool,
}

/// What a file leaves behind.
pub(super) struct Outcome {
    /// The name of the variable that the function returns.
    pub(super) case: String,
    /// Variables, and fields by their dotted names, each with the line of its last assignment.
    pub(super) variables: BTreeMap<String, (u32, Value)>,
    pub(super) complaints: Vec<Complaint>,
}

/// A file that is being carried out.
pub(super) struct Interpreter<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    next: Token,
    depth: usize,
    /// What stands between brackets, innermost last: blanks separate in some.
    brackets: Vec<&'static str>,
    /// Sizes that `end` stands for, innermost last.
    ends: Vec<usize>,
    outcome: Outcome,
}

type Result<T> = std::result::Result<T, String>;

/// Carries out a file.
pub(super) fn run(text: &str) -> Outcome {
    let mut lexer = Lexer::new(text);
    let outcome =
        Outcome { case: "mpc".to_owned(), variables: BTreeMap::new(), complaints: Vec::new() };
    let none =
        Token { kind: Kind::NewLine, line: 1, start: 0, blank_before: false, blank_after: false };
    let next = lexer.token().unwrap_or(none);
    let (brackets, ends) = (Vec::new(), Vec::new());
    let mut interpreter = Interpreter { text, lexer, next, depth: 0, brackets, ends, outcome };
    while interpreter.next.kind != Kind::End {
        interpreter.line();
    }
    interpreter.outcome
}

impl Interpreter<'_> {
    /// One statement and what ends it.
    fn line(&mut self) {
        let (line, start) = (self.next.line, self.next.start);
        if self.ends_statement() {
            if let Err(problem) = self.advance() {
                self.complain(line, start, problem);
            }
            return;
        }
        let mut done = self.statement();
        if done.is_ok() && !self.ends_statement() {
            done = Err("something follows that is not understood".to_owned());
        }
        if let Err(problem) = done {
            self.depth = 0;
            self.ends.clear();
            let open = std::mem::take(&mut self.brackets).len();
            self.skip_statement(open);
            self.complain(line, start, problem);
        }
    }

    fn complain(&mut self, line: u32, start: usize, problem: String) {
        let whole = &self.text[start..self.next.start.max(start)];
        let statement = whole.lines().next().unwrap_or_default().trim_end();
        let shown: String = statement.chars().take(SHOWN_CHARS).collect();
        let cut = whole.trim_end().len() > shown.len();
        let of_case = whole.contains(&self.outcome.case);
        let statement = if cut { format!("{shown} …") } else { shown };
        self.outcome.complaints.push(Complaint { line, statement, problem, of_case });
    }

    fn ends_statement(&self) -> bool {
        matches!(self.next.kind, Kind::NewLine | Kind::End | Kind::Sign(";" | ","))
    }

    /// Goes on to the end of a statement of which `open` brackets are open.
    fn skip_statement(&mut self, mut open: usize) {
        loop {
            match self.next.kind {
                Kind::End => return,
                Kind::Sign("(" | "[" | "{") => open += 1,
                Kind::Sign(")" | "]" | "}") => open = open.saturating_sub(1),
                _ if open == 0 && self.ends_statement() => return,
                _ => {}
            }
            // What cannot be read while a statement is skipped belongs to that statement.
            while self.advance().is_err() {}
        }
    }

    /// Takes a token.
    fn advance(&mut self) -> Result<Token> {
        let next = self.lexer.token()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.next.kind, Kind::Sign(found) if found == sign)
    }

    /// Takes a sign, if it is the next token.
    fn take(&mut self, sign: &str) -> Result<bool> {
        let found = self.is(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take(sign)? {
            return Ok(());
        }
        Err(format!("{sign} is missing before {}", shown(&self.next.kind)))
    }

    fn name(&mut self) -> Result<String> {
        match self.advance()?.kind {
            Kind::Name(name) => Ok(name),
            other => Err(format!("a name is missing where {} stands", shown(&other))),
        }
    }

    fn statement(&mut self) -> Result<()> {
        let Kind::Name(word) = self.next.kind.clone() else {
            if self.is("[") {
                return self.assign_columns();
            }
            return Err(format!("a statement cannot begin with {}", shown(&self.next.kind)));
        };
        match word.as_str() {
            "function" => self.function(),
            "if" => self.condition(),
            // A branch that was carried out is over: none of the others is.
            "else" | "elseif" => {
                self.skip_block(false)?;
                self.advance().map(|_| ())
            }
            "end" | "endfunction" | "endif" | "return" => self.advance().map(|_| ()),
            "for" | "while" | "switch" | "try" | "parfor" => {
                let problem = format!("{word} is not carried out here");
                self.skip_block(false)?;
                self.advance()?;
                Err(problem)
            }
            "define_constants" => {
                self.advance()?;
                for (name, number) in [columns::BUS, columns::BRANCH, columns::GEN].concat() {
                    self.set(name.to_owned(), self.next.line, number.into());
                }
                Ok(())
            }
            _ => self.assign(),
        }
    }

    /// `function mpc = case9`: the case is what it returns.
    fn function(&mut self) -> Result<()> {
        self.advance()?;
        if self.is("[") {
            return Err("it returns several tables: that is case format version 1".to_owned());
        }
        let case = self.name()?;
        if !self.take("=")? {
            return Err("it returns no case".to_owned());
        }
        self.name()?;
        if self.take("(")? {
            self.expect(")")?;
        }
        self.outcome.case = case;
        Ok(())
    }

    /// Carries a branch out if its condition holds; else looks for one that does.
    fn condition(&mut self) -> Result<()> {
        loop {
            self.advance()?;
            let holds = self.expression()?.numbers()?;
            if !holds.data.is_empty() && holds.data.iter().all(|number| *number != 0.0) {
                return Ok(());
            }
            match self.skip_block(true)?.as_str() {
                "elseif" => {}
                "else" | "end" => return self.advance().map(|_| ()),
                _ => return Err("it has no end".to_owned()),
            }
        }
    }

    /// Goes on to the word that ends a block, or also to one that begins another branch of it.
    fn skip_block(&mut self, branches: bool) -> Result<String> {
        const OPEN: [&str; 7] = ["if", "for", "while", "switch", "try", "parfor", "function"];
        let (mut depth, mut brackets) = (0, 0_usize);
        if !branches {
            self.advance()?;
        }
        loop {
            match &self.next.kind {
                Kind::End => return Ok(String::new()),
                Kind::Sign("(" | "[" | "{") => brackets += 1,
                Kind::Sign(")" | "]" | "}") => brackets = brackets.saturating_sub(1),
                Kind::Name(word) if brackets == 0 => match word.as_str() {
                    word if OPEN.contains(&word) => depth += 1,
                    "end" | "endif" if depth == 0 => return Ok("end".to_owned()),
                    "end" | "endif" => depth -= 1,
                    "else" | "elseif" if branches && depth == 0 => return Ok(word.clone()),
                    _ => {}
                },
                _ => {}
            }
            while self.advance().is_err() {}
        }
    }

    /// `[PQ, PV, REF, …] = idx_bus`: the names are the file's own, the order is the function's.
    fn assign_columns(&mut self) -> Result<()> {
        self.expect("[")?;
        let mut names = Vec::new();
        while !self.take("]")? {
            if !self.take(",")? {
                let placeholder = self.take("~")?;
                names.push(if placeholder { String::new() } else { self.name()? });
            }
        }
        self.expect("=")?;
        let line = self.next.line;
        let function = self.name()?;
        let table = columns::of(&function);
        let table = table.ok_or_else(|| format!("{function} is not known here"))?;
        if names.len() > table.len() {
            return Err(format!("{function} returns {} values", table.len()));
        }
        for (name, (_, number)) in names.into_iter().zip(table) {
            self.set(name, line, (*number).into());
        }
        Ok(())
    }

    /// `name = value`, `mpc.field = value`, `mpc.field(rows, columns) = value`.
    fn assign(&mut self) -> Result<()> {
        let line = self.next.line;
        let mut name = self.name()?;
        while self.take(".")? {
            name = format!("{name}.{}", self.name()?);
        }
        let part = if self.is("(") {
            let target = self.outcome.variables.get(&name).map(|(_, value)| value.clone());
            let target = target.ok_or_else(|| format!("{name} is not known here"))?.numbers();
            let target = target?;
            let (rows, columns) = self.indices(&target)?;
            Some((target, rows, columns))
        } else {
            None
        };
        if !self.is("=") {
            return Err("it is no assignment".to_owned());
        }
        self.advance()?;
        let mut value = self.expression()?;
        if let Some((mut target, rows, columns)) = part {
            target.put(&rows, &columns, &value.numbers()?)?;
            value = Value::Numbers(target);
        }
        self.set(name, line, value);
        Ok(())
    }

    fn set(&mut self, name: String, line: u32, value: Value) {
        self.outcome.variables.insert(name, (line, value));
    }
}

/// Expressions, from what binds least to what binds most.
impl Interpreter<'_> {
    fn expression(&mut self) -> Result<Value> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it nests more than {DEPTH_MAX} deep"));
        }
        let value = self.binary(0);
        self.depth -= 1;
        value
    }

    fn binary(&mut self, level: usize) -> Result<Value> {
        const LEVELS: [&[&str]; 6] = [
            &["||", "|"],
            &["&&", "&"],
            &["==", "~=", "!=", "<", "<=", ">", ">="],
            &[":"],
            &["+", "-"],
            &["*", "/", ".*", "./"],
        ];
        let Some(signs) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let Kind::Sign(sign) = self.next.kind else { return Ok(left) };
            if !signs.contains(&sign) || self.separates() {
                return Ok(left);
            }
            self.advance()?;
            let right = self.binary(level + 1)?;
            left = functions::binary(sign, &left.numbers()?, &right.numbers()?)?;
        }
    }

    /// Between brackets of a matrix a sign after a blank and before none begins another number.
    fn separates(&self) -> bool {
        let between = matches!(self.brackets.last(), Some(&("[" | "{")));
        between
            && self.next.blank_before
            && !self.next.blank_after
            && matches!(self.next.kind, Kind::Sign("+" | "-"))
    }

    fn unary(&mut self) -> Result<Value> {
        let Kind::Sign(sign @ ("-" | "+" | "~" | "!")) = self.next.kind else {
            return self.power();
        };
        self.advance()?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it nests more than {DEPTH_MAX} deep"));
        }
        let of = self.unary()?.numbers()?;
        self.depth -= 1;
        Ok(Value::Numbers(match sign {
            "-" => of.map(|number| -number),
            "+" => of,
            _ => Matrix { logical: true, ..of.map(|number| f64::from(number == 0.0)) },
        }))
    }

    fn power(&mut self) -> Result<Value> {
        let mut base = self.postfix()?;
        while self.is("^") || self.is(".^") {
            self.advance()?;
            let sign = self.is("-") || self.is("+");
            let exponent = if sign { self.unary()? } else { self.postfix()? };
            base = functions::binary(".^", &base.numbers()?, &exponent.numbers()?)?;
        }
        Ok(base)
    }

    fn postfix(&mut self) -> Result<Value> {
        let mut value = self.primary()?;
        loop {
            let apart = self.next.blank_before && !self.brackets.is_empty();
            if (self.is("'") || self.is(".'")) && !apart {
                self.advance()?;
                value = Value::Numbers(value.numbers()?.turned());
            } else {
                return Ok(value);
            }
        }
    }

    fn primary(&mut self) -> Result<Value> {
        if self.is("[") {
            return self.matrix().map(Value::Numbers);
        }
        if self.is("{") {
            return self.cells().map(Value::Cells);
        }
        if self.is("(") {
            self.open()?;
            let value = self.expression()?;
            self.close(")")?;
            return Ok(value);
        }
        match self.advance()?.kind {
            Kind::Number(number) => Ok(number.into()),
            Kind::Text(text) => Ok(Value::Text(text)),
            Kind::Name(name) => self.named(name),
            other => Err(format!("a value is missing where {} stands", shown(&other))),
        }
    }

    fn open(&mut self) -> Result<()> {
        if let Kind::Sign(bracket) = self.next.kind {
            self.brackets.push(bracket);
        }
        self.advance().map(|_| ())
    }

    fn close(&mut self, sign: &str) -> Result<()> {
        if !self.is(sign) {
            return self.expect(sign);
        }
        self.brackets.pop();
        self.advance().map(|_| ())
    }

    /// A variable, a part of one, a constant, or a function of something.
    fn named(&mut self, mut name: String) -> Result<Value> {
        while self.is(".") && !(self.next.blank_before && self.in_matrix()) {
            self.advance()?;
            name = format!("{name}.{}", self.name()?);
        }
        let called = self.is("(") && !(self.next.blank_before && self.in_matrix());
        if let Some((_, value)) = self.outcome.variables.get(&name) {
            if !called {
                return Ok(value.clone());
            }
            let matrix = value.clone().numbers()?;
            let (rows, columns) = self.indices(&matrix)?;
            return Ok(Value::Numbers(matrix.part(&rows, &columns)));
        }
        if name == "end" {
            let end = self.ends.last().ok_or("end stands outside of an index")?;
            return Ok((*end as f64).into());
        }
        if let Some(constant) = functions::constant(&name) {
            return Ok(constant.into());
        }
        if !called || !functions::known(&name) {
            return Err(format!("{name} is not known here"));
        }
        self.open()?;
        let mut of = Vec::new();
        while !self.is(")") {
            of.push(self.expression()?);
            if !self.take(",")? {
                break;
            }
        }
        self.close(")")?;
        functions::call(&name, of)
    }

    fn in_matrix(&self) -> bool {
        matches!(self.brackets.last(), Some(&("[" | "{")))
    }

    /// `(rows, columns)` or, of what is one row or one column, `(places)`.
    fn indices(&mut self, of: &Matrix) -> Result<(Index, Index)> {
        self.open()?;
        let first = self.index(of.rows, of.rows * of.columns)?;
        if self.take(",")? {
            let second = self.index(of.columns, of.columns)?;
            self.close(")")?;
            let rows = first.checked(of.rows)?;
            return Ok((rows, second.checked(of.columns)?));
        }
        self.close(")")?;
        if of.rows == 1 {
            Ok((Index::All, first.checked(of.columns)?))
        } else if of.columns == 1 {
            Ok((first.checked(of.rows)?, Index::All))
        } else {
            Err(format!("{} needs two indices", of.size()))
        }
    }

    /// One index; `end` in it is the size of its own dimension.
    fn index(&mut self, rows: usize, all: usize) -> Result<Unchecked> {
        if self.is(":") {
            self.advance()?;
            return Ok(Unchecked(None));
        }
        self.ends.push(if rows == 1 { all } else { rows });
        let value = self.expression()?.numbers()?;
        self.ends.pop();
        Ok(Unchecked(Some(value)))
    }

    /// `[1 2; 3 4]`: rows end with a semicolon or a line.
    fn matrix(&mut self) -> Result<Matrix> {
        self.open()?;
        let mut matrix = Matrix::default();
        let mut row: Vec<Matrix> = Vec::new();
        let mut line = self.next.line;
        loop {
            let ends = self.is("]") || self.is(";") || self.next.kind == Kind::NewLine;
            if ends {
                if !row.is_empty() {
                    matrix.append(beside(std::mem::take(&mut row))?, line)?;
                }
                if self.is("]") {
                    self.close("]")?;
                    return Ok(matrix);
                }
                self.advance()?;
                line = self.next.line;
            } else if !self.take(",")? {
                if self.next.kind == Kind::End {
                    return Err("a bracket is not closed".to_owned());
                }
                if row.is_empty() {
                    line = self.next.line;
                }
                row.push(self.expression()?.numbers()?);
            }
        }
    }

    /// `{'a'; 'b'}`.
    fn cells(&mut self) -> Result<Vec<String>> {
        self.open()?;
        let mut cells = Vec::new();
        loop {
            if self.is("}") {
                self.close("}")?;
                return Ok(cells);
            }
            match self.next.kind {
                Kind::End => return Err("a bracket is not closed".to_owned()),
                Kind::NewLine | Kind::Sign(";" | ",") => {
                    self.advance()?;
                }
                _ => match self.expression()? {
                    Value::Text(text) => cells.push(text),
                    Value::Cells(inner) => cells.extend(inner),
                    Value::Numbers(matrix) => {
                        cells.push(matrix.only().map_or_else(String::new, |n| n.to_string()));
                    }
                },
            }
        }
    }
}

/// An index before it is known what it is an index into.
struct Unchecked(Option<Matrix>);

impl Unchecked {
    fn checked(self, places: usize) -> Result<Index> {
        self.0.map_or(Ok(Index::All), |matrix| matrix.index(places).map(Index::These))
    }
}

/// Matrices side by side.
fn beside(parts: Vec<Matrix>) -> Result<Matrix> {
    if parts.len() > 1 && parts.iter().any(|part| part.rows > 1) {
        return Err("matrices of several rows stand side by side".to_owned());
    }
    let mut parts = parts.into_iter();
    let mut row = parts.next().unwrap_or_default();
    for part in parts {
        row.columns += part.columns;
        row.rows = row.rows.max(part.rows);
        row.data.extend(part.data);
    }
    Ok(row)
}

/// A token as people see it.
fn shown(kind: &Kind) -> String {
    match kind {
        Kind::Number(number) => number.to_string(),
        Kind::Name(name) => name.clone(),
        Kind::Text(text) => format!("'{text}'"),
        Kind::Sign(sign) => (*sign).to_owned(),
        Kind::NewLine => "the end of the line".to_owned(),
        Kind::End => "the end of the file".to_owned(),
    }
}
