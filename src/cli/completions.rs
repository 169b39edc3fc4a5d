//! `gangway completions SHELL`

use clap::CommandFactory;
use clap_complete::Shell;

/// `gangway completions`
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Whose.
    shell: Shell,
}

/// Prints them, and nothing else, so that they can be put where the shell looks.
pub(super) fn run(arguments: &Arguments) {
    clap_complete::generate(
        arguments.shell,
        &mut super::Arguments::command(),
        "gangway",
        &mut std::io::stdout(),
    );
}
