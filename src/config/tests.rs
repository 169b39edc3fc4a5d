//! Settings: every problem at once, and `.env.example` true to the code.

use std::collections::{BTreeSet, HashMap};

use super::variables::lines_of;
use super::*;
use crate::entropy::SeededEntropy;

/// Values that make the required settings right.
fn filled_in() -> HashMap<String, String> {
    let key = SecretKey::draw(&SeededEntropy::new(1)).expose();
    [
        ("PUBLIC_URL", "https://connect.example.com"),
        ("SECRET_KEY", &key),
        ("MAILCHIMP_CLIENT_ID", "111111111111"),
        ("MAILCHIMP_CLIENT_SECRET", "a-client-secret"),
        ("CLOUD_ELEMENTS_USER_SECRET", "a-user-secret="),
        ("CLOUD_ELEMENTS_ORGANIZATION_SECRET", "an-organization-secret"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn problems(variables: &HashMap<String, String>) -> Vec<&'static str> {
    let problems = Config::from_variables(variables).expect_err("refused");
    problems.0.into_iter().map(|problem| problem.variable).collect()
}

#[test]
fn a_broken_line_of_env_is_told_by_its_place_and_never_repeated() {
    let text =
        "PUBLIC_URL=http://127.0.0.1:1\nMAILCHIMP_CLIENT_SECRET=\"canary unclosed\nSECRET_KEY=canary==\n";
    for text in [text, "PUBLIC_URL=http://127.0.0.1:1\nMAILCHIMP_CLIENT_SECRET=canary secret two\n"] {
        let error = lines_of(dotenvy::from_read_iter(text.as_bytes())).unwrap_err().to_string();
        assert!(error.contains("after the line of PUBLIC_URL") && !error.contains("canary"), "{error}");
    }
}

#[test]
fn half_a_password_hash_is_refused() {
    for hash in ["$argon2id", "$argon2id$v=19$m=19456,t=2,p=1", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ"]
    {
        let mut variables = filled_in();
        variables.insert("ADMIN_PASSWORD_HASH".to_owned(), hash.to_owned());
        assert_eq!(problems(&variables), ["ADMIN_PASSWORD_HASH"], "{hash}");
    }
}

#[test]
fn the_required_settings_are_enough() {
    let config = Config::from_variables(&filled_in()).expect("accepted");
    assert_eq!(config.public_url.redirect_uri(), "https://connect.example.com/oauth/callback");
    assert_eq!(config.cloud_elements.url.as_str(), "https://api.cloud-elements.com/elements/api-v2");
    assert_eq!(config.recovery_window, Duration::from_secs(180));
}

#[test]
fn every_missing_setting_is_told_at_once() {
    let mut required: Vec<_> = filled_in().into_keys().collect();
    required.sort();
    let mut told = problems(&HashMap::new());
    told.sort_unstable();
    assert_eq!(told, required);
}

#[test]
fn every_wrong_setting_is_told_at_once_and_no_value_is_repeated() {
    let wrong = [
        ("PUBLIC_URL", "http://connect.example.com"),
        ("LISTEN_ADDR", "canary"),
        ("DATABASE_URL", "mysql://canary"),
        ("SECRET_KEY", "canary"),
        ("SECRET_KEY_PREVIOUS", "canary"),
        ("MAILCHIMP_CLIENT_ID", "canary canary"),
        ("MAILCHIMP_CLIENT_SECRET", "canary canary"),
        ("MAILCHIMP_AUTHORIZE_URL", "ftp://canary"),
        ("CLOUD_ELEMENTS_URL", "http://canary/elements/api-v2"),
        ("CLOUD_ELEMENTS_USER_SECRET", "canary, canary"),
        ("CLOUD_ELEMENTS_ORGANIZATION_SECRET", "canary canary"),
        ("ELEMENT_KEY", "../canary"),
        ("AUTHORIZE_URL_FROM", "canary"),
        ("ADMIN_PASSWORD_HASH", "canary"),
        ("TRUSTED_PROXIES", "canary"),
        ("DELIVERY_ALLOWED_NETWORKS", "10.0.0.0/8, canary"),
        ("UPSTREAM_TIMEOUT", "canary"),
        ("RECOVERY_WINDOW", "0s"),
        ("PAYLOAD_RETENTION", "59m"),
        ("EVENT_RETENTION", "canary"),
        ("RATE_LIMIT_PER_MINUTE", "-1"),
        ("LOG_FORMAT", "canary"),
        ("LOG_LEVEL", "canary"),
    ];
    let variables: HashMap<_, _> = wrong.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(problems(&variables), wrong.map(|(name, _)| name));
    let text = Config::from_variables(&variables).expect_err("refused").to_string();
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn a_public_url_is_an_origin_and_nothing_more() {
    for wrong in
        ["https://a.example/path", "https://a.example/?q", "https://u:p@a.example", "https://", "a.example"]
    {
        assert!(PublicUrl::parse(wrong).is_err(), "{wrong}");
    }
    for right in ["https://a.example/", "http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"]
    {
        assert!(PublicUrl::parse(right).is_ok(), "{right}");
    }
}

/// `.env.example` as (name, value, whether commented out).
fn example() -> Vec<(String, String, bool)> {
    let named = |line: &str| {
        let (name, value) = line.trim_start_matches('#').split_once('=')?;
        let is_name = name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
        is_name.then(|| (name.to_owned(), value.to_owned(), line.starts_with('#')))
    };
    include_str!("../../.env.example").lines().filter_map(named).collect()
}

#[test]
fn the_example_lists_every_setting_that_is_read_and_no_other() {
    let read: BTreeSet<_> = include_str!("read.rs")
        .split("reader.")
        .skip(1)
        .filter_map(|call| call.split('"').nth(1))
        .filter(|name| {
            name.contains('_') && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
        })
        .collect();
    let listed: Vec<_> = example();
    assert!(read.len() >= 20, "{read:?}");
    assert_eq!(listed.iter().map(|(name, ..)| name.as_str()).collect::<BTreeSet<_>>(), read);
}

#[test]
fn the_examples_defaults_are_the_defaults() {
    let mut variables = filled_in();
    let plain = format!("{:?}", Config::from_variables(&variables).expect("accepted"));
    for (name, value, optional) in example() {
        if optional {
            variables.insert(name, value);
        }
    }
    assert_eq!(format!("{:?}", Config::from_variables(&variables).expect("accepted")), plain);
}

#[test]
fn a_face_that_cannot_be_shown_is_refused_and_never_repeated() {
    let long = "x".repeat(61);
    for (name, value) in [
        ("HOST_NAME", long.as_str()),
        ("HOST_NAME", "two\nlines"),
        ("ACCENT_COLOR", "teal"),
        ("ACCENT_COLOR", "#fff;} body{"),
        ("SUPPORT_ADDRESS", "somebody"),
        ("SUPPORT_ADDRESS", "a@b?bcc=x@y"),
        ("SUPPORT_ADDRESS", "\"><script>@example.com"),
        ("SUPPORT_ADDRESS", "javascript://alert(1)"),
        ("PRIVACY_URL", "javascript:alert(1)"),
        ("PRIVACY_URL", "http://example.com/privacy"),
    ] {
        let mut variables = filled_in();
        variables.insert(name.to_owned(), value.to_owned());
        let told = Config::from_variables(&variables).expect_err(value);
        assert!(told.0.iter().map(|problem| problem.variable).eq([name]), "{value}");
        assert!(!told.to_string().contains(value), "{value}");
    }
}

#[test]
fn the_face_is_read() {
    let mut variables = filled_in();
    assert_eq!(Config::from_variables(&variables).unwrap().host_name(), "connect.example.com");
    for (name, value) in [
        ("HOST_NAME", "Ada & Sons"),
        ("ACCENT_COLOR", "#FFcc00"),
        ("SUPPORT_ADDRESS", "help+us@example.com"),
        ("PRIVACY_URL", "https://example.com/privacy"),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    let config = Config::from_variables(&variables).unwrap();
    assert_eq!(config.host_name(), "Ada & Sons");
    let support = config.face.support.unwrap();
    assert_eq!(support.link(Some("AB-12")), "mailto:help+us@example.com?subject=Reference%20AB-12");
    assert_eq!(config.face.accent.unwrap().to_string(), "#ffcc00");
}
