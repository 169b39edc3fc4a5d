//! Who asked for what is done, for the line on the timeline. Work in the background was asked for by nobody.

use std::future::Future;

const SIGNATURE: &str = " Asked for by ";

tokio::task_local! {
    static WHO: String;
}

/// Does `work` in the name of `who`, such as "the operator".
pub fn asked_by<F: Future>(who: String, work: F) -> impl Future<Output = F::Output> {
    WHO.scope(who, Box::pin(work))
}

/// Who asked for what is being done.
pub(super) fn who() -> Option<String> {
    WHO.try_with(String::clone).ok()
}

/// `summary`, with who asked for it where that is known.
pub(super) fn signed(summary: String) -> String {
    let signature = WHO.try_with(|who| format!("{SIGNATURE}{who}."));
    summary + &signature.unwrap_or_default()
}

/// `summary` as it was before it was signed, for customers.
pub fn unsigned(summary: &str) -> &str {
    summary.rsplit_once(SIGNATURE).map_or(summary, |(summary, _)| summary)
}
