//! Parses the command line and runs the command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match gangway::cli::run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gangway: {error:#}");
            ExitCode::FAILURE
        }
    }
}
