//! Where customers may be sent after connecting.

use url::Url;

/// `RETURN_URLS`: where customers may be sent afterwards. A URL fits where scheme, host and port are the same and its
/// path is that one or below it.
#[derive(Debug, Clone, Default)]
pub struct ReturnUrls(pub Vec<Url>);

impl ReturnUrls {
    /// Whether a browser may be sent to `url`.
    pub fn allow(&self, url: &str) -> bool {
        // A parser is lenient where browsers are: what it would mend is not what was allowed.
        let Ok(parsed) = Url::parse(url) else { return false };
        let plain = parsed.as_str() == url || parsed.as_str() == format!("{url}/");
        let bare = parsed.username().is_empty() && parsed.password().is_none();
        plain && bare && self.0.iter().any(|allowed| is_below(&parsed, allowed))
    }
}

fn is_below(url: &Url, allowed: &Url) -> bool {
    let base = allowed.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(base);
    url.origin() == allowed.origin() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f01_nobody_is_sent_where_the_setting_does_not_lead() {
        let allowed = ReturnUrls(
            ["https://app.example", "https://other.example/done"].map(|url| Url::parse(url).unwrap()).into(),
        );
        for url in [
            "https://app.example",
            "https://app.example/",
            "https://app.example/a?b=c",
            "https://other.example/done",
            "https://other.example/done/x",
        ] {
            assert!(allowed.allow(url), "{url}");
        }
        for url in [
            "http://app.example/",
            "https://app.example.evil.example/",
            "https://app.example@evil.example/",
            "https://user@app.example/",
            "https://app.example:8443/",
            "//app.example/",
            "/\\app.example",
            "https:app.example",
            "https:\\\\app.example",
            "https://app.example\\@evil.example",
            "https://app.example\t.evil.example/",
            " https://app.example/",
            "https://APP.example/",
            "https://app.example/../x",
            "https://other.example/",
            "https://other.example/done2",
            "https://other.example/done/../x",
            "https://other.example/done/%2e%2e/x",
            "javascript:alert(1)",
            "data:text/html,x",
            "",
        ] {
            assert!(!allowed.allow(url), "{url:?}");
        }
        assert!(!ReturnUrls::default().allow("https://app.example/"));
    }
}
