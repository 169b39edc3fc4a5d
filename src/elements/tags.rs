//! Tags of an instance: ours, by which recovery finds it, and those that the operator gives it.

use uuid::Uuid;

/// Tags that start so are ours.
const OWN: &str = "gangway-";
/// A tag has so many letters at most.
pub const LONGEST_TAG: usize = 60;
/// An instance is given so many at most.
pub const MOST_TAGS: usize = 20;

/// The tag that only our instance of this id carries; recovery finds it by it.
pub fn own_tag(instance: Uuid) -> String {
    format!("{OWN}{instance}")
}

/// The instance of ours that `tag` names, if it is such a tag.
pub fn named_by_tag(tag: &str) -> Option<Uuid> {
    tag.strip_prefix(OWN)?.parse().ok()
}

/// Why tags cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfitTags {
    /// One is empty, too long, has a comma, or is not on one line.
    Text,
    /// One would look like ours.
    Reserved,
    /// There are too many.
    TooMany,
}

/// As they are given: without blanks around them, each once.
pub fn fit_tags(tags: &[String]) -> Result<Vec<String>, UnfitTags> {
    let mut fit: Vec<String> = Vec::new();
    for tag in tags.iter().map(|tag| tag.trim()) {
        let unfit = tag.is_empty() || tag.chars().count() > LONGEST_TAG;
        if unfit || tag.chars().any(|letter| letter.is_control() || letter == ',') {
            return Err(UnfitTags::Text);
        }
        if tag.starts_with(OWN) {
            return Err(UnfitTags::Reserved);
        }
        if !fit.iter().any(|known| known == tag) {
            fit.push(tag.to_owned());
        }
    }
    if fit.len() > MOST_TAGS { Err(UnfitTags::TooMany) } else { Ok(fit) }
}
