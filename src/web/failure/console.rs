//! What the operator reads when something in the console did not work: what upstream said, how the instance stands,
//! and the way back to it.

use super::Failure;
use super::words::Words;
use crate::reference::Reference;
use crate::web::Gangway;
use crate::web::admin::ConsoleProblemPage;
use crate::web::pages::Action;

impl Failure {
    /// Whether whoever reads it is signed in, or would have to be.
    pub(super) fn is_for_operator(&self, path: &str) -> bool {
        path.starts_with("/admin/")
            && !path.starts_with("/admin/first-sign-in/")
            && !matches!(self, Self::SignInFirst(_) | Self::TooMany(_) | Self::CrossOrigin)
    }

    pub(super) fn console_page(&self, path: &str, app: &Gangway, reference: Reference) -> ConsoleProblemPage {
        let Words { code, headline, sentences, .. } = self.words();
        let plain = || sentences.iter().map(|&sentence| sentence.to_owned()).collect();
        let sentences = match self {
            Self::Conflict(state) => vec![
                format!("The instance is {}, and what was asked does not fit that.", state.replace('_', " ")),
                "Nothing was changed. Look at it again, and decide then.".to_owned(),
            ],
            Self::Upstream(said) => {
                vec![format!("It said: {said}"), "Nothing was changed here.".to_owned()]
            }
            Self::Unclear(said) => {
                let mut told: Vec<String> = plain();
                told.insert(0, format!("What came back: {said}"));
                told
            }
            Self::NotFound => vec!["It may have been removed, or the address is not whole.".to_owned()],
            _ => plain(),
        };
        let code = code.to_owned();
        ConsoleProblemPage::new(app.frame(), headline, (sentences, way_back(path)), (code, reference))
            .at(app.clock.now())
    }
}

/// To the instance that it was about, or to all of them.
fn way_back(path: &str) -> Action {
    let id = path.strip_prefix("/admin/instances/").and_then(|rest| rest.split_once('/'));
    let id = id.and_then(|(id, _)| id.parse::<uuid::Uuid>().ok());
    let (label, target) = match id {
        Some(id) => ("Back to the instance", format!("/admin/instances/{id}")),
        None => ("All instances", "/admin/instances".to_owned()),
    };
    Action { label: label.to_owned(), target, post: false }
}
