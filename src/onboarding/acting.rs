//! Who asked for what is done, for the line on the timeline. Work in the background was asked for by nobody.

use std::future::Future;

tokio::task_local! {
    static WHO: String;
}

/// Does `work` in the name of `who`, such as "the operator".
pub async fn asked_by<F: Future>(who: String, work: F) -> F::Output {
    WHO.scope(who, work).await
}

/// `summary`, with who asked for it where that is known.
pub(super) fn signed(summary: String) -> String {
    let signature = WHO.try_with(|who| format!(" Asked for by {who}."));
    summary + &signature.unwrap_or_default()
}
