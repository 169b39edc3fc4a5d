//! Secrets from files, as container platforms hand them over: `NAME_FILE` names a file whose text is the value of
//! `NAME`, so that it stands in no environment.

use std::collections::HashMap;
use std::fs;

use super::UnreadableEnv;

/// The settings that may come from a file.
const SECRETS: [&str; 7] = [
    "SECRET_KEY",
    "SECRET_KEY_PREVIOUS",
    "MAILCHIMP_CLIENT_SECRET",
    "CLOUD_ELEMENTS_USER_SECRET",
    "CLOUD_ELEMENTS_ORGANIZATION_SECRET",
    "DATABASE_URL",
    "ADMIN_PASSWORD_HASH",
];
/// A secret is shorter; what is longer is another file.
const LONGEST: u64 = 64 * 1024;

/// Puts in what the files hold. Both ways at once are refused: nobody could say which is meant.
pub(super) fn read(variables: &mut HashMap<String, String>) -> Result<(), UnreadableEnv> {
    for name in SECRETS {
        let Some(path) = variables.get(&format!("{name}_FILE")).filter(|path| !path.is_empty()) else {
            continue;
        };
        let refused = |why: String| UnreadableEnv::SecretFile(name, why);
        if variables.get(name).is_some_and(|value| !value.trim().is_empty()) {
            return Err(refused(format!("and {name} are both set; leave one of them out")));
        }
        let text = text_of(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
        variables.insert(name.to_owned(), text);
    }
    Ok(())
}

fn text_of(path: &str) -> std::io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > LONGEST {
        return Err(std::io::Error::other("it is larger than any secret"));
    }
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn f14_a_secret_may_stand_in_a_file_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "canary\n").unwrap();
        let path = file.to_str().unwrap();
        let mut variables = with(&[("SECRET_KEY_FILE", path), ("PUBLIC_URL_FILE", path)]);
        read(&mut variables).unwrap();
        assert_eq!(variables.get("SECRET_KEY").map(String::as_str), Some("canary"));
        assert!(!variables.contains_key("PUBLIC_URL"), "no secret");
        for (pairs, words) in [
            (vec![("SECRET_KEY_FILE", "/nowhere/at/all")], "SECRET_KEY_FILE cannot be read"),
            (vec![("SECRET_KEY_FILE", path), ("SECRET_KEY", "other")], "both set"),
        ] {
            let error = read(&mut with(&pairs)).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("canary"), "{error}");
        }
        fs::write(&file, "x".repeat(70_000)).unwrap();
        assert!(read(&mut with(&[("DATABASE_URL_FILE", path)])).is_err());
    }
}
