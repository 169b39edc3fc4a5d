//! The variables of the environment, of `.env` behind it, and of the files that secrets come from.

use std::collections::HashMap;

use super::secret_files;

/// Why settings cannot be read. Never repeats a line of it: most hold secrets.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableEnv {
    /// A line of it is no setting.
    #[error(
        ".env cannot be read {0}. Write NAME=value, one a line; a value with blanks, # or $ within single quotes"
    )]
    Line(String),
    /// The file itself.
    #[error(".env cannot be read: {0}")]
    File(String),
    /// The file of a secret.
    #[error("{0}_FILE {1}")]
    SecretFile(&'static str, String),
}

/// The environment, with `.env` behind it, and secrets from the files that they name. What is no UTF-8 is no setting of ours.
pub fn variables() -> Result<HashMap<String, String>, UnreadableEnv> {
    let mut variables = match dotenvy::dotenv_iter() {
        Ok(lines) => lines_of(lines)?,
        Err(error) if error.not_found() => HashMap::new(),
        Err(dotenvy::Error::Io(error)) => return Err(UnreadableEnv::File(error.to_string())),
        Err(_) => return Err(UnreadableEnv::Line("from its first line on".to_owned())),
    };
    let told = std::env::vars_os();
    variables
        .extend(told.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))));
    secret_files::read(&mut variables)?;
    Ok(variables)
}

pub(super) fn lines_of(
    lines: impl Iterator<Item = dotenvy::Result<(String, String)>>,
) -> Result<HashMap<String, String>, UnreadableEnv> {
    let mut variables = HashMap::new();
    let mut place = "from its first line on".to_owned();
    for line in lines {
        let Ok((name, value)) = line else { return Err(UnreadableEnv::Line(place)) };
        place = format!("after the line of {name}");
        variables.insert(name, value);
    }
    Ok(variables)
}
