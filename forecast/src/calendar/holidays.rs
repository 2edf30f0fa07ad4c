//! Days off: by rule, and as given.
//!
//! A region is a code that a user can write in a configuration; it is saved as that code. What it
//! means in a year is computed, never looked up, so no table ends. Given dates come on top: they
//! are how every country without rules is served, and how a day of mourning is.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::Datelike;
use chrono::NaiveDate;
use serde::Deserialize;
use serde::Serialize;

use crate::calendar::civil::Civil;
use crate::calendar::rules::rules;

/// A country or a part of one whose holidays are known by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Region {
    /// `US`: federal holidays with their observed days.
    UnitedStates,
    /// `US-MA`: with Patriots' Day; a Saturday is not made up for.
    Massachusetts,
    /// `US-ME`: with Patriots' Day.
    Maine,
    /// `US-NH`: with the day after Thanksgiving and election day, without Columbus Day.
    NewHampshire,
    /// `US-CT`: with Good Friday and Lincoln's birthday.
    Connecticut,
    /// `NL`: with Good Friday; Liberation Day every fifth year.
    Netherlands,
    /// `GB`: bank holidays of England and Wales with substitute and royal days.
    GreatBritain,
    /// `AU-VIC`: with the cup and, since 2015, the eve of the grand final.
    Victoria,
    /// `DE`: those that all states keep.
    Germany,
    /// `FR`: without Alsace-Moselle.
    France,
}

/// A code that no region has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no holidays are known for {code:?}; give dates, or one of {known}", known = known())]
pub struct UnknownRegion {
    /// The code as written.
    pub code: String,
}

/// What is wrong with a list of days off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A word that is neither a date nor a region.
    #[error(transparent)]
    Unknown(#[from] UnknownRegion),
    /// Regions are not added up.
    #[error("{second} is a second region beside {first}; give its days as dates")]
    Second {
        /// The region that was named first.
        first: Region,
        /// The other.
        second: Region,
    },
}

fn known() -> String {
    Region::ALL.map(Region::code).join(", ")
}

impl Region {
    /// All regions, countries before their parts.
    pub const ALL: [Self; 10] = [
        Self::UnitedStates,
        Self::Massachusetts,
        Self::Maine,
        Self::NewHampshire,
        Self::Connecticut,
        Self::Netherlands,
        Self::GreatBritain,
        Self::Victoria,
        Self::Germany,
        Self::France,
    ];

    /// The code: ISO 3166-1, or 3166-2 for a part.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnitedStates => "US",
            Self::Massachusetts => "US-MA",
            Self::Maine => "US-ME",
            Self::NewHampshire => "US-NH",
            Self::Connecticut => "US-CT",
            Self::Netherlands => "NL",
            Self::GreatBritain => "GB",
            Self::Victoria => "AU-VIC",
            Self::Germany => "DE",
            Self::France => "FR",
        }
    }

    /// The two letters of the country.
    #[must_use]
    pub fn country(self) -> &'static str {
        &self.code()[..2]
    }

    /// The days off of a year, ascending, each once; observed days are days off too.
    #[must_use]
    pub fn in_year(self, year: i32) -> Vec<NaiveDate> {
        let groups = rules(self);
        // New Year's Day on a Saturday is observed in the December before.
        let years = [year, year.saturating_add(1)];
        let days = years.iter().flat_map(|year| {
            groups.iter().flat_map(|group| group.iter()).flat_map(|rule| rule.dates(*year))
        });
        let days: BTreeSet<NaiveDate> = days.filter(|date| date.year() == year).collect();
        days.into_iter().collect()
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    /// Reads a code, in capitals or not.
    fn from_str(code: &str) -> Result<Self, UnknownRegion> {
        let found = Self::ALL.into_iter().find(|region| region.code().eq_ignore_ascii_case(code));
        found.ok_or_else(|| UnknownRegion { code: code.to_owned() })
    }
}

impl TryFrom<String> for Region {
    type Error = UnknownRegion;

    fn try_from(code: String) -> Result<Self, UnknownRegion> {
        code.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.code().to_owned()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

/// Days off: those of a region, if one is named, and those that were given; and the clock by which
/// days begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holidays {
    region: Option<Region>,

    given: BTreeSet<NaiveDate>,
    /// Milliseconds by which the clock is ahead of UTC.
    #[serde(default, skip_serializing_if = "is_utc")]
    ahead_ms: i64,
}

fn is_utc(ahead_ms: &i64) -> bool {
    *ahead_ms == 0
}

impl Holidays {
    /// No day is off but what is given later.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Those of a region.
    #[must_use]
    pub fn of(region: Region) -> Self {
        Self { region: Some(region), ..Self::none() }
    }

    /// Those of a code as a user writes it; `none` names none.
    ///
    /// # Errors
    ///
    /// [`UnknownRegion`] where no region has it.
    pub fn parse(code: &str) -> Result<Self, UnknownRegion> {
        if code.eq_ignore_ascii_case("none") {
            return Ok(Self::none());
        }
        code.parse().map(Self::of)
    }

    /// Those of a list as a user writes it, at most one region and dates beside it: `GB`, or
    /// `NL, 2026-05-04`; `none` names none.
    ///
    /// # Errors
    ///
    /// [`ListError`] where a word is neither, or a second region.
    pub fn of_list(text: &str) -> Result<Self, ListError> {
        let mut holidays = Self::none();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            if let Ok(date) = word.parse::<NaiveDate>() {
                holidays.given.insert(date);
                continue;
            }
            let second = Self::parse(word)?.region;
            match (holidays.region, second) {
                (Some(first), Some(second)) if first != second => {
                    return Err(ListError::Second { first, second });
                }
                (first, second) => holidays.region = first.or(second),
            }
        }
        Ok(holidays)
    }

    /// The same days on a clock that is so many milliseconds ahead of UTC.
    #[must_use]
    pub fn on_clock(mut self, ahead_ms: i64) -> Self {
        self.ahead_ms = ahead_ms;
        self
    }

    /// Milliseconds by which the clock is ahead of UTC.
    #[must_use]
    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms
    }

    /// The days off, as days since the epoch on their clock, of the years that two instants lie in
    /// and of those between.
    #[must_use]
    pub fn days(&self, from_ms: i64, to_ms: i64) -> BTreeSet<i64> {
        let year = |at_ms: i64| Civil::at(at_ms.saturating_add(self.ahead_ms)).date.year();
        let dates = (year(from_ms)..=year(to_ms)).flat_map(|year| self.in_year(year));
        dates.map(|date| date.signed_duration_since(NaiveDate::default()).num_days()).collect()
    }

    /// The same, and `dates` as well.
    #[must_use]
    pub fn with(mut self, dates: impl IntoIterator<Item = NaiveDate>) -> Self {
        self.given.extend(dates);
        self
    }

    /// The region, if one is named.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.region
    }

    /// Whether a date is a day off. Costs the rules of two years, about a microsecond: ask once a
    /// day, not once a feature.
    #[must_use]
    pub fn contains(&self, date: NaiveDate) -> bool {
        if self.given.contains(&date) {
            return true;
        }
        let Some(region) = self.region else { return false };
        let rules = rules(region);
        let mut all = rules.iter().flat_map(|group| group.iter());
        all.any(|rule| {
            let next = || rule.dates(date.year().saturating_add(1)).contains(&date);
            rule.dates(date.year()).contains(&date) || (date.month() == 12 && next())
        })
    }

    /// The days off of a year, ascending.
    #[must_use]
    pub fn in_year(&self, year: i32) -> Vec<NaiveDate> {
        let mut days: BTreeSet<NaiveDate> =
            self.given.iter().copied().filter(|date| date.year() == year).collect();
        days.extend(self.region.into_iter().flat_map(|region| region.in_year(year)));
        days.into_iter().collect()
    }
}
