//! `gangway rekey`: seals everything anew under another SECRET_KEY, beside a Gangway that serves. Begun again, it
//! goes on where it was.

use std::process::ExitCode;

use super::{beside, trail, with_commas};
use crate::storage::{RekeyProgress, Rekeyed, SealedColumn};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only count what still needs the previous key.
    #[arg(long)]
    check: bool,
}

/// Exit 0 where nothing needs the previous key any more and everything opens.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (config, surroundings, storage) = beside().await?;
    if !arguments.check {
        trail::record(&storage, surroundings.clock.now(), "rekey", None, None).await?;
    }
    let mut steps = Steps::default();
    let mut told = |progress| steps.tell(progress);
    let outcome = if arguments.check {
        storage.count_by_key(&mut told).await.map_err(anyhow::Error::from)
    } else {
        storage.rekey(&mut told).await.map_err(anyhow::Error::from)
    };
    storage.close().await;
    let Rekeyed { renewed, need_previous, unopened } = outcome?;
    for one in &unopened {
        eprintln!("{one} opens neither with SECRET_KEY nor with SECRET_KEY_PREVIOUS; it was left as it is");
    }
    if !arguments.check {
        println!("{} sealed anew", with_commas(renewed));
    }
    match need_previous {
        0 if config.secret_key_previous.is_some() => {
            println!("Nothing needs the previous key. Remove SECRET_KEY_PREVIOUS and restart Gangway.");
        }
        0 => println!("Nothing needs a previous key."),
        count if arguments.check => {
            println!("{} still need the previous key: run `gangway rekey`", with_commas(count));
        }
        count => println!(
            "{} still need the previous key: a Gangway that was not restarted writes under it. Restart it, then run \
             `gangway rekey` again.",
            with_commas(count)
        ),
    }
    let done = need_previous == 0 && unopened.is_empty();
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// About twenty lines for each kind of value, however many there are.
#[derive(Default)]
struct Steps {
    last: Option<(SealedColumn, u64)>,
}

impl Steps {
    fn tell(&mut self, RekeyProgress { column, seen, total }: RekeyProgress) {
        let since = match self.last {
            Some((last, at)) if last == column => seen - at,
            _ => u64::MAX,
        };
        if since >= total / 20 || seen >= total {
            self.last = Some((column, seen));
            println!("{} {} of {}", column.what(), with_commas(seen), with_commas(total.max(seen)));
        }
    }
}
