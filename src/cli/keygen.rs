//! `gangway keygen`

use crate::entropy::SystemEntropy;
use crate::seal::SecretKey;

/// Prints a fresh key, and nothing else, so that it can be piped.
pub(super) fn run() {
    println!("{}", SecretKey::draw(&SystemEntropy::default()).expose());
}
