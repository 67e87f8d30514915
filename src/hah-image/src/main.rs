//! The `hah-image` program: see [`hah_image::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(hah_image::cli::main())
}
