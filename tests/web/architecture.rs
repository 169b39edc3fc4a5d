//! The house: which room may name what. Short, so that it stays true.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found
}

/// Files of `src` outside `rooms` that name one of `words`, comments and tests left out.
fn trespassers(words: &[&str], rooms: &[&str]) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&source)
        .into_iter()
        .filter_map(|path| {
            let name = path.strip_prefix(&source).unwrap().display().to_string();
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let named = code.lines().any(|line| {
                !line.trim_start().starts_with("//") && words.iter().any(|word| line.contains(word))
            });
            (named && !rooms.iter().any(|room| name.starts_with(room))).then_some(name)
        })
        .collect()
}

#[test]
fn only_the_rooms_that_may_name_a_thing_name_it() {
    for (words, rooms) in [
        (&["sqlx"][..], &["storage/"][..]),
        (&["actix_"], &["web/", "simulator/", "app.rs"]),
        (&["oauth2::"], &["mailchimp.rs"]),
        (&["std::env::", "env::var"], &["config/", "storage/contract/"]),
        (&["reqwest"], &["elements/", "events/deliveries/", "simulator/", "doctor/"]),
        (&["crate::web::", "crate::web;", "crate::web as"], &["web/", "app.rs"]),
        // What is sealed has one list, or a change of key forgets some of it.
        (&["Place { table"], &["seal.rs", "storage/sealed.rs"]),
        (
            &["crate::storage", "crate::onboarding", "crate::events"],
            &["storage/", "onboarding/", "events/", "doctor/", "representation/", "web/", "cli/", "app.rs"],
        ),
    ] {
        assert_eq!(trespassers(words, rooms), Vec::<String>::new(), "{words:?} belong in {rooms:?}");
    }
}

#[test]
fn the_simulator_uses_nothing_of_the_app_but_the_clock() {
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/simulator")) {
        for line in std::fs::read_to_string(&path).unwrap().lines().filter(|line| line.contains("crate::")) {
            let allowed = line.contains("crate::clock") || line.contains("crate::simulator");
            assert!(allowed, "{}: {line}", path.display());
        }
    }
}

#[test]
fn every_migration_stands_in_both_dialects() {
    let names = |dialect: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

#[test]
fn every_module_says_what_it_is_for() {
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} has no header", path.display());
    }
}
