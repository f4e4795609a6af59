//! The exit code, and nothing else: see `postman::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    postman::cli::run(std::env::args_os())
}
