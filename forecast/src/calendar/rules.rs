//! Holidays as rules: a date, a weekday of a month, a distance from Easter.
//!
//! A rule is data: a day, the years from which and until which it is off, and the years in which it
//! was not. What happens on a weekend is part of the day, since it differs by country and by day.
//! Royal weddings and funerals follow no rule and are named. Where a law changed, the rules of each
//! time stand beside each other, so that a history of 2004 is read with the law of 2004.

use chrono::Datelike;
use chrono::Days;
use chrono::NaiveDate;
use chrono::Weekday;

use crate::calendar::Region;

/// A day off and the years in which it is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    day: Day,
    from: i32,
    until: i32,
    except: &'static [i32],
}

#[derive(Clone, Copy, Debug)]
enum Day {
    /// Month, day, and what happens on a weekend.
    On(u32, u32, Moved),
    /// Month, weekday, which (1 to 5).
    Nth(u32, Weekday, u8),
    /// Month, weekday: its last.
    Last(u32, Weekday),
    /// Days after Easter Sunday.
    Easter(i64),
    /// The Friday after the fourth Thursday of November.
    AfterThanksgiving,
    /// Tuesday after the first Monday of November, in even years.
    Election,
    /// Month and day, in years that five divides.
    EveryFifth(u32, u32),
    /// The day before the last Saturday of September.
    GrandFinal,
    /// Year, month, day: once.
    Once(i32, u32, u32),
}

/// Where a day off goes when it falls on a weekend. The date itself stays one where people would
/// keep it anyway; then there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    /// It is lost.
    Kept,
    /// Also on the nearest working day: Friday before, Monday after (5 U.S.C. 6103).
    Nearest,
    /// A Sunday also gives the Monday; a Saturday is lost.
    Monday,
    /// Either also gives the next Monday.
    NextMonday,
    /// Either also gives the date this many days later: two days off in a row.
    Later(i64),
    /// A Sunday is moved back to the Saturday (the birthday of a Dutch monarch).
    Saturday,
}

const EVER: i32 = i32::MAX;

const fn always(day: Day) -> Rule {
    Rule { day, from: i32::MIN, until: EVER, except: &[] }
}

const fn since(from: i32, day: Day) -> Rule {
    Rule { day, from, until: EVER, except: &[] }
}

const fn until(until: i32, day: Day) -> Rule {
    Rule { day, from: i32::MIN, until, except: &[] }
}

const fn except(except: &'static [i32], day: Day) -> Rule {
    Rule { day, from: i32::MIN, until: EVER, except }
}

const fn once(year: i32, month: u32, day: u32) -> Rule {
    always(Day::Once(year, month, day))
}

use Day::Easter;
use Day::Last;
use Day::Nth;
use Day::On;
use Moved::Kept;

/// Federal holidays that all of New England keeps (5 U.S.C. 6103), on Mondays or Thursdays.
const UNITED_STATES_WEEKDAYS: [Rule; 5] = [
    always(Nth(1, Weekday::Mon, 3)),
    always(Nth(2, Weekday::Mon, 3)),
    always(Last(5, Weekday::Mon)),
    always(Nth(9, Weekday::Mon, 1)),
    always(Nth(11, Weekday::Thu, 4)),
];

const UNITED_STATES_DATES: [Rule; 5] = [
    always(On(1, 1, Moved::Nearest)),
    since(2021, On(6, 19, Moved::Nearest)),
    always(On(7, 4, Moved::Nearest)),
    always(On(11, 11, Moved::Nearest)),
    always(On(12, 25, Moved::Nearest)),
];

/// The same in Massachusetts, where a Saturday is not made up for (M.G.L. c. 4 s. 7).
const MASSACHUSETTS_DATES: [Rule; 5] = [
    always(On(1, 1, Moved::Monday)),
    since(2021, On(6, 19, Moved::Monday)),
    always(On(7, 4, Moved::Monday)),
    always(On(11, 11, Moved::Monday)),
    always(On(12, 25, Moved::Monday)),
];

const COLUMBUS: [Rule; 1] = [always(Nth(10, Weekday::Mon, 2))];

const PATRIOTS: [Rule; 1] = [always(Nth(4, Weekday::Mon, 3))];

const NEW_HAMPSHIRE: [Rule; 2] = [always(Day::AfterThanksgiving), since(2008, Day::Election)];

const CONNECTICUT: [Rule; 2] = [always(On(2, 12, Moved::Nearest)), always(Easter(-2))];

const NETHERLANDS: [Rule; 12] = [
    always(On(1, 1, Kept)),
    always(Easter(-2)),
    always(Easter(0)),
    always(Easter(1)),
    until(2013, On(4, 30, Moved::Saturday)),
    since(2014, On(4, 27, Moved::Saturday)),
    // Liberation Day: off for most people every fifth year only.
    always(Day::EveryFifth(5, 5)),
    always(Easter(39)),
    always(Easter(49)),
    always(Easter(50)),
    always(On(12, 25, Kept)),
    always(On(12, 26, Kept)),
];

const GREAT_BRITAIN: [Rule; 17] = [
    always(On(1, 1, Moved::NextMonday)),
    always(Easter(-2)),
    always(Easter(1)),
    except(&[2020], Nth(5, Weekday::Mon, 1)),
    once(2020, 5, 8),
    except(&[2002, 2012, 2022], Last(5, Weekday::Mon)),
    once(2002, 6, 3),
    once(2002, 6, 4),
    once(2011, 4, 29),
    once(2012, 6, 4),
    once(2012, 6, 5),
    once(2022, 6, 2),
    once(2022, 6, 3),
    once(2022, 9, 19),
    once(2023, 5, 8),
    always(Last(8, Weekday::Mon)),
    always(On(12, 25, Moved::Later(2))),
];

const BOXING_DAY: [Rule; 1] = [always(On(12, 26, Moved::Later(2)))];

/// Public Holidays Act 1993 (Vic.), as it stood in each year.
const VICTORIA: [Rule; 21] = [
    until(2010, On(1, 1, Moved::Monday)),
    since(2011, On(1, 1, Moved::NextMonday)),
    until(2009, On(1, 26, Kept)),
    since(2010, On(1, 26, Moved::NextMonday)),
    always(Nth(3, Weekday::Mon, 2)),
    always(Easter(-2)),
    always(Easter(-1)),
    always(Easter(0)),
    always(Easter(1)),
    always(On(4, 25, Kept)),
    always(Nth(6, Weekday::Mon, 2)),
    Rule { day: Day::GrandFinal, from: 2017, until: EVER, except: &[2020] },
    once(2015, 10, 2),
    once(2016, 9, 30),
    once(2020, 10, 23),
    once(2022, 9, 22),
    since(2009, Nth(11, Weekday::Tue, 1)),
    until(2007, On(12, 25, Kept)),
    since(2008, On(12, 25, Moved::Later(2))),
    until(2007, On(12, 26, Moved::Monday)),
    since(2008, On(12, 26, Moved::Later(2))),
];

const GERMANY: [Rule; 10] = [
    always(On(1, 1, Kept)),
    always(Easter(-2)),
    always(Easter(1)),
    always(On(5, 1, Kept)),
    always(Easter(39)),
    always(Easter(50)),
    always(On(10, 3, Kept)),
    once(2017, 10, 31),
    always(On(12, 25, Kept)),
    always(On(12, 26, Kept)),
];

const FRANCE: [Rule; 11] = [
    always(On(1, 1, Kept)),
    always(Easter(1)),
    always(On(5, 1, Kept)),
    always(On(5, 8, Kept)),
    always(Easter(39)),
    // Worked as a day of solidarity for three years.
    except(&[2005, 2006, 2007], Easter(50)),
    always(On(7, 14, Kept)),
    always(On(8, 15, Kept)),
    always(On(11, 1, Kept)),
    always(On(11, 11, Kept)),
    always(On(12, 25, Kept)),
];

/// The rules of a region, in groups.
pub(super) fn rules(region: Region) -> Vec<&'static [Rule]> {
    let states: [&'static [Rule]; 2] = [&UNITED_STATES_WEEKDAYS, &UNITED_STATES_DATES];
    let with = |more: &[&'static [Rule]]| states.iter().chain(more).copied().collect();
    match region {
        Region::UnitedStates => with(&[&COLUMBUS]),
        Region::Massachusetts => {
            vec![&UNITED_STATES_WEEKDAYS, &MASSACHUSETTS_DATES, &COLUMBUS, &PATRIOTS]
        }
        Region::Maine => with(&[&COLUMBUS, &PATRIOTS]),
        Region::NewHampshire => with(&[&NEW_HAMPSHIRE]),
        Region::Connecticut => with(&[&COLUMBUS, &CONNECTICUT]),
        Region::Netherlands => vec![&NETHERLANDS],
        Region::GreatBritain => vec![&GREAT_BRITAIN, &BOXING_DAY],
        Region::Victoria => vec![&VICTORIA],
        Region::Germany => vec![&GERMANY],
        Region::France => vec![&FRANCE],
    }
}

impl Rule {
    /// The days off that this rule gives for `year`; the last of them may lie in December of the
    /// year before.
    pub(super) fn dates(&self, year: i32) -> Vec<NaiveDate> {
        if year < self.from || year > self.until || self.except.contains(&year) {
            return Vec::new();
        }
        let one = match self.day {
            On(month, day, moved) => return moved.dates(year, month, day),
            Nth(month, weekday, n) => NaiveDate::from_weekday_of_month_opt(year, month, weekday, n),
            Last(month, weekday) => last(year, month, weekday),
            Easter(days) => easter(year).and_then(|sunday| shift(sunday, days)),
            Day::AfterThanksgiving => {
                let day = NaiveDate::from_weekday_of_month_opt(year, 11, Weekday::Thu, 4);
                day.and_then(|day| shift(day, 1))
            }
            Day::Election if year % 2 == 0 => {
                let monday = NaiveDate::from_weekday_of_month_opt(year, 11, Weekday::Mon, 1);
                monday.and_then(|monday| shift(monday, 1))
            }
            Day::Election => None,
            Day::EveryFifth(month, day) if year % 5 == 0 => {
                NaiveDate::from_ymd_opt(year, month, day)
            }
            Day::EveryFifth(..) => None,
            Day::GrandFinal => last(year, 9, Weekday::Sat).and_then(|day| shift(day, -1)),
            Day::Once(once, month, day) if once == year => {
                NaiveDate::from_ymd_opt(year, month, day)
            }
            Day::Once(..) => None,
        };
        one.into_iter().collect()
    }
}

impl Moved {
    fn dates(self, year: i32, month: u32, day: u32) -> Vec<NaiveDate> {
        let Some(date) = NaiveDate::from_ymd_opt(year, month, day) else { return Vec::new() };
        let days = match (self, date.weekday()) {
            (Self::Nearest, Weekday::Sat) => -1,
            (Self::Nearest | Self::Monday | Self::NextMonday, Weekday::Sun) => 1,
            (Self::NextMonday, Weekday::Sat) => 2,
            (Self::Later(days), Weekday::Sat | Weekday::Sun) => days,
            (Self::Saturday, Weekday::Sun) => {
                return shift(date, -1).into_iter().collect();
            }
            _ => return vec![date],
        };
        std::iter::once(date).chain(shift(date, days)).collect()
    }
}

/// The last weekday of a month.
fn last(year: i32, month: u32, weekday: Weekday) -> Option<NaiveDate> {
    let fifth = NaiveDate::from_weekday_of_month_opt(year, month, weekday, 5);
    fifth.or_else(|| NaiveDate::from_weekday_of_month_opt(year, month, weekday, 4))
}

fn shift(date: NaiveDate, days: i64) -> Option<NaiveDate> {
    let by = Days::new(days.unsigned_abs());
    if days < 0 { date.checked_sub_days(by) } else { date.checked_add_days(by) }
}

/// Easter Sunday of the Gregorian calendar (Meeus, "Astronomical Algorithms", 2nd ed., chapter 8;
/// right for every year from 1583 on). Absent beyond what the calendar can hold.
#[must_use]
pub fn easter(year: i32) -> Option<NaiveDate> {
    let (a, b, c) = (year.rem_euclid(19), year.div_euclid(100), year.rem_euclid(100));
    let (d, e) = (b.div_euclid(4), b.rem_euclid(4));
    let f = (b + 8).div_euclid(25);
    let g = (b - f + 1).div_euclid(3);
    let h = (19 * a + b - d - g + 15).rem_euclid(30);
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k).rem_euclid(7);
    let m = (a + 11 * h + 22 * l) / 451;
    let of_march = h + l - 7 * m + 114;
    NaiveDate::from_ymd_opt(year, (of_march / 31) as u32, (of_march % 31) as u32 + 1)
}
