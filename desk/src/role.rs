//! Who asks, and what that person may do.
//!
//! Four roles, each of which may do what those before it may: a *viewer* reads, an *engineer* makes
//! and drops views, an *operator* answers for actions on the grid, an *admin* does everything. No
//! role reads or writes files of the server through a statement.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

/// What somebody may do; a greater role may do what a smaller one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Makes and drops views.
    Engineer,
    /// Answers for actions on the grid.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them, the smallest first.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Engineer, Role::Operator, Role::Admin];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Engineer => "engineer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        let found = Role::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| UnknownRole { text: text.to_owned() })
    }
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no role {text}: there are viewer, engineer, operator and admin")]
pub struct UnknownRole {
    /// The word.
    pub text: String,
}

/// Somebody who proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name.
    pub user: String,
    /// What they may do.
    pub role: Role,
}

impl Principal {
    /// Somebody of this name and role.
    pub fn new(user: impl Into<String>, role: Role) -> Principal {
        Principal { user: user.into(), role }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        assert!(Role::Viewer < Role::Engineer);
        assert!(Role::Engineer < Role::Operator);
        assert!(Role::Operator < Role::Admin);
    }

    #[test]
    fn names_are_read_back() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
