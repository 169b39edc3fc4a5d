//! Which calls were made while something was done, with their status and time, for its timeline. Told in path and
//! status alone: a query, a header or a body may hold what nobody should read.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use reqwest::{Method, StatusCode};

/// Of what makes more calls, the last ones are told.
const MOST: usize = 8;

tokio::task_local! {
    static CALLS: RefCell<Vec<Call>>;
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    method: Method,
    path: String,
    status: Option<StatusCode>,
    took: Duration,
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, status, took } = self;
        match status {
            Some(status) => {
                write!(
                    formatter,
                    "{method} {path} answered {} in {:.1} s.",
                    status.as_u16(),
                    took.as_secs_f64()
                )
            }
            None => write!(formatter, "{method} {path} got no answer in {:.1} s.", took.as_secs_f64()),
        }
    }
}

/// Does `work` and keeps the calls it makes until [`calls_made`] takes them.
pub fn noting_calls<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CALLS.scope(RefCell::default(), Box::pin(work))
}

/// The calls since the last time, in order.
pub fn calls_made() -> Vec<Call> {
    CALLS.try_with(RefCell::take).unwrap_or_default()
}

pub(super) fn note((method, path): (Method, String), status: Option<StatusCode>, took: Duration) {
    let _ = CALLS.try_with(|calls| {
        let mut calls = calls.borrow_mut();
        if calls.len() == MOST {
            calls.remove(0);
        }
        calls.push(Call { method, path, status, took });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_calls_of_what_is_done_are_kept_and_taken_once() {
        let made = |number: usize| {
            let call = (Method::GET, format!("/instances/{number}"));
            note(call, Some(StatusCode::OK), Duration::from_millis(1234));
        };
        made(0);
        assert_eq!(calls_made(), [], "nobody asked");
        noting_calls(async {
            (1..=MOST + 1).for_each(made);
            let calls = calls_made();
            assert_eq!(calls.len(), MOST);
            assert_eq!(calls[0].to_string(), "GET /instances/2 answered 200 in 1.2 s.");
            assert_eq!(calls_made(), []);
            note((Method::POST, "/instances".to_owned()), None, Duration::from_secs(60));
            assert_eq!(calls_made()[0].to_string(), "POST /instances got no answer in 60.0 s.");
        })
        .await;
    }
}
