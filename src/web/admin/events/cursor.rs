//! Where the next page of the list starts: an event, signed together with the filters it was met under, so
//! that a forged cursor or that of another list is told at once.

use hmac::Mac;

use crate::seal::SecretKey;
use crate::storage::EventId;

/// So much of the signature stands in the address. What it protects is the reader from a list that is not
/// the one asked for; there is nothing to steal.
const TAG_BYTES: usize = 8;

/// The text for `id` under the filters that `query` writes down.
pub(super) fn write(key: &SecretKey, query: &str, id: EventId) -> String {
    format!("{id}.{}", tag(key, query, id))
}

/// The event of a text that was written under the same filters.
pub(super) fn read(key: &SecretKey, query: &str, text: &str) -> Option<EventId> {
    let (id, signature) = text.split_once('.')?;
    let id = id.parse().ok()?;
    (tag(key, query, id) == signature).then_some(id)
}

fn tag(key: &SecretKey, query: &str, id: EventId) -> String {
    let mac = key.mac("gangway list cursor v1").chain_update(format!("{id} {query}"));
    mac.finalize().into_bytes().iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn e14_a_cursor_is_good_for_its_own_list_alone_and_not_a_letter_changed() {
        let key = SecretKey::draw(&SeededEntropy::new(1));
        let id: EventId = "42-1".parse().unwrap();
        let text = write(&key, "type=CREATED", id);
        assert_eq!(read(&key, "type=CREATED", &text), Some(id));
        assert_eq!(read(&key, "", &text), None);
        assert_eq!(read(&SecretKey::draw(&SeededEntropy::new(2)), "type=CREATED", &text), None);
        assert_eq!(read(&key, "type=CREATED", &text.replace("42-1", "42-2")), None);
        for length in 0..text.len() {
            assert_eq!(read(&key, "type=CREATED", &text[..length]), None);
        }
    }
}
