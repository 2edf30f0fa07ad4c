//! Values of the MATLAB that case files contain: matrices of numbers, texts, lists of texts.
//!
//! A matrix remembers the line of each of its rows through every operation that keeps rows, so that
//! what is wrong with a branch can be said where it stands.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Numbers(Matrix),
    Text(String),
    /// A cell array of texts or numbers, row by row, as texts.
    Cells(Vec<String>),
}

/// A matrix of numbers, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) data: Vec<f64>,
    /// Made by a comparison: as an index it means the places of what is true.
    pub(super) logical: bool,
    /// The line of each row, where it was written down and not computed.
    pub(super) lines: Vec<u32>,
}

/// What an index picks, from zero.
#[derive(Clone, Debug)]
pub(super) enum Index {
    All,
    These(Vec<usize>),
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Numbers(Matrix::scalar(number))
    }
}

impl Value {
    /// The numbers of a value.
    pub(super) fn numbers(self) -> Result<Matrix, String> {
        match self {
            Value::Numbers(matrix) => Ok(matrix),
            Value::Text(text) => Err(format!("'{text}' is a text where a number is needed")),
            Value::Cells(_) => Err("a cell array stands where a number is needed".to_owned()),
        }
    }

    /// The one number of a value.
    pub(super) fn number(self) -> Result<f64, String> {
        let matrix = self.numbers()?;
        matrix.only().ok_or_else(|| format!("{} stands where one number is needed", matrix.size()))
    }
}

impl Matrix {
    pub(super) fn scalar(number: f64) -> Matrix {
        Matrix { rows: 1, columns: 1, data: vec![number], ..Matrix::default() }
    }

    pub(super) fn row(data: Vec<f64>) -> Matrix {
        Matrix { rows: 1, columns: data.len(), data, ..Matrix::default() }
    }

    /// The number of a matrix of one.
    pub(super) fn only(&self) -> Option<f64> {
        match self.data.as_slice() {
            [number] => Some(*number),
            _ => None,
        }
    }

    pub(super) fn size(&self) -> String {
        format!("a matrix of {} by {}", self.rows, self.columns)
    }

    /// A row.
    pub(super) fn at(&self, row: usize) -> &[f64] {
        &self.data[row * self.columns..(row + 1) * self.columns]
    }

    /// Each number by itself.
    pub(super) fn map(mut self, of: impl Fn(f64) -> f64) -> Matrix {
        self.data.iter_mut().for_each(|number| *number = of(*number));
        self
    }

    /// Two matrices of the same size, or one and a number, element by element.
    pub(super) fn zip(
        self,
        other: &Matrix,
        of: impl Fn(f64, f64) -> f64,
    ) -> Result<Matrix, String> {
        if let Some(number) = other.only() {
            return Ok(self.map(|own| of(own, number)));
        }
        if let Some(number) = self.only() {
            return Ok(other.clone().map(|others| of(number, others)));
        }
        if (self.rows, self.columns) != (other.rows, other.columns) {
            return Err(format!("{} and {} do not fit", self.size(), other.size()));
        }
        let data = self.data.iter().zip(&other.data).map(|(a, b)| of(*a, *b)).collect();
        Ok(Matrix { data, ..self })
    }

    /// Columns as rows.
    pub(super) fn turned(&self) -> Matrix {
        let by_column = (0..self.columns).flat_map(|c| (0..self.rows).map(move |r| (r, c)));
        let data = by_column.map(|(r, c)| self.data[r * self.columns + c]).collect();
        Matrix { rows: self.columns, columns: self.rows, data, ..Matrix::default() }
    }

    /// As an index into as many places.
    pub(super) fn index(&self, places: usize) -> Result<Vec<usize>, String> {
        if self.logical {
            if self.data.len() > places {
                return Err(format!("{} choices are made among {places}", self.data.len()));
            }
            let chosen = self.data.iter().enumerate().filter(|(_, number)| **number != 0.0);
            return Ok(chosen.map(|(place, _)| place).collect());
        }
        let one = |number: &f64| {
            if *number >= 1.0 && *number <= places as f64 && number.fract() == 0.0 {
                return Ok(*number as usize - 1);
            }
            Err(format!("the index {number} is outside of 1 to {places}"))
        };
        self.data.iter().map(one).collect()
    }

    /// Some rows and columns.
    pub(super) fn part(&self, rows: &Index, columns: &Index) -> Matrix {
        let (rows, columns) = (rows.of(self.rows), columns.of(self.columns));
        let data = rows
            .iter()
            .flat_map(|r| columns.iter().map(move |c| self.data[r * self.columns + c]))
            .collect();
        Matrix { rows: rows.len(), columns: columns.len(), data, ..Matrix::default() }
    }

    /// Puts a number, or as many as there are places, into some rows and columns.
    pub(super) fn put(
        &mut self,
        rows: &Index,
        columns: &Index,
        value: &Matrix,
    ) -> Result<(), String> {
        let (rows, columns) = (rows.of(self.rows), columns.of(self.columns));
        let one = value.only();
        if one.is_none() && (value.rows, value.columns) != (rows.len(), columns.len()) {
            let (r, c) = (rows.len(), columns.len());
            return Err(format!("{} does not fit into {r} rows of {c} columns", value.size()));
        }
        for (r, row) in rows.iter().enumerate() {
            for (c, column) in columns.iter().enumerate() {
                let number = one.unwrap_or_else(|| value.data[r * value.columns + c]);
                self.data[row * self.columns + column] = number;
            }
        }
        Ok(())
    }

    /// Another matrix below this one.
    pub(super) fn append(&mut self, below: Matrix, line: u32) -> Result<(), String> {
        if below.data.is_empty() {
            return Ok(());
        }
        if self.rows > 0 && below.columns != self.columns {
            let problem =
                format!("has {} values, and the row above it {}", below.columns, self.columns);
            return Err(format!("the row on line {line} {problem}"));
        }
        self.columns = below.columns;
        self.rows += below.rows;
        self.data.extend(below.data);
        self.lines.extend(std::iter::repeat_n(line, below.rows));
        Ok(())
    }
}

impl Index {
    fn of(&self, places: usize) -> Vec<usize> {
        match self {
            Index::All => (0..places).collect(),
            Index::These(these) => these.clone(),
        }
    }
}
