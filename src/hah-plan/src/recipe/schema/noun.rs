//! What messages call a value that should be there.

use super::Shape;

impl Shape {
    /// What to call it in `expected …`.
    pub(in super::super) fn noun(&self) -> String {
        match self {
            Self::Text(_) | Self::Choice(_) => "a string".to_owned(),
            Self::Integer(..) => "an integer".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::List(item) => match item {
                Self::Table(_) => "an array of tables".to_owned(),
                _ => format!("an array, each item {}", item.noun()),
            },
            Self::Table(_) | Self::Named(..) => "a table".to_owned(),
            Self::Either(short, long) => format!("{} or {}", short.noun(), long.noun()),
            Self::Value => "a string, integer, boolean or array".to_owned(),
        }
    }
}
