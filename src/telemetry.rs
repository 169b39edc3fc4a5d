//! Log lines: to standard error, for eyes or for programs (docs/logging.md). Lines of other crates stay at
//! warnings, however much detail is asked of ours: what they print of a request is not ours to vouch for.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// Starts logging, once for the process.
pub fn start(log: Log) -> Result<(), TryInitError> {
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let layer = match log.format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter(log.level))).try_init()
}

/// What passes: ours at `level`, others' warnings.
pub fn filter(level: Level) -> Targets {
    Targets::new().with_default(LevelFilter::WARN).with_target("gangway", level)
}
