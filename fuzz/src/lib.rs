//! What the fuzz targets share. A target is a program in `bin/`; its doc comment says what must hold.
//!
//! For all of them: any input may be refused with an error, and none may panic, take more than 512 MiB or 5 seconds.
//! Besides, everything that has a `Display`, an encoder or a writer of its own is written and read again.
//!
//! `cargo xtask fuzz` builds and runs them, from what is in `seeds/`.

#![forbid(unsafe_code)]

pub mod archive;
pub mod configure;
pub mod sections;
pub mod sparse;

use hah_plan::diagnostic::{Diagnostics, Style};

/// What must be found in every error: something to say, and on one line.
///
/// # Panics
/// When it says nothing.
pub fn says_something(error: &dyn std::fmt::Display, hint: &str) {
    assert!(!error.to_string().is_empty() && !hint.is_empty());
}

/// What `load` makes of its input, which must be the same twice; what is refused must have problems that can be drawn.
///
/// # Panics
/// When it does not hold.
pub fn load_twice<T: PartialEq + std::fmt::Debug>(load: impl Fn() -> Result<T, Diagnostics>) -> Option<T> {
    match (load(), load()) {
        (Ok(loaded), Ok(again)) => {
            assert_eq!(loaded, again);
            Some(loaded)
        }
        (Err(problems), Err(again)) => {
            assert!(!problems.is_empty());
            assert_eq!(problems.render(Style::Plain), again.render(Style::Plain));
            problems.render(Style::Colour);
            None
        }
        _ => panic!("loading is no function"),
    }
}

/// That `value` can be written and read again.
///
/// # Panics
/// When it comes back as something else, or not at all.
pub fn round_trips<T>(value: &T)
where
    T: std::fmt::Display + std::fmt::Debug + std::str::FromStr + PartialEq,
    T::Err: std::fmt::Debug,
{
    let text = value.to_string();
    assert_eq!(&text.parse::<T>().unwrap(), value, "{text}");
}
