//! The host's face: its name, colour, support address and privacy notice on every page, and harmless whatever they say.

use gangway::config::{Config, Face};
use gangway::entropy::SystemEntropy;
use gangway::seal::SecretKey;
use reqwest::StatusCode;

use crate::app::{TestApp, plain};

fn with(settings: &[(&str, &str)]) -> Face {
    let key = SecretKey::draw(&SystemEntropy::default()).expose();
    let mut variables: std::collections::HashMap<String, String> = [
        ("PUBLIC_URL", "https://connect.example.com"),
        ("SECRET_KEY", &key),
        ("MAILCHIMP_CLIENT_ID", "1"),
        ("MAILCHIMP_CLIENT_SECRET", "s"),
        ("CLOUD_ELEMENTS_USER_SECRET", "s"),
        ("CLOUD_ELEMENTS_ORGANIZATION_SECRET", "s"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    variables.extend(settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    Config::from_variables(&variables).unwrap().face
}

#[tokio::test(flavor = "multi_thread")]
async fn e01_the_hosts_face_is_on_every_page_and_harmless_whatever_it_says() {
    let hostile = "\"><script>alert(1)</script>";
    let app = TestApp::with(|config| {
        config.face = with(&[
            ("HOST_NAME", hostile),
            ("ACCENT_COLOR", "#c2185b"),
            ("SUPPORT_ADDRESS", "help@shop.example"),
            ("PRIVACY_URL", "https://shop.example/privacy?a=1&b=%22"),
        ]);
    })
    .await;
    let operator = app.operator().await;
    let (customer, result) = app.connected().await;
    let mut seen = Vec::new();
    for path in
        ["/", &result, &format!("{result}/disconnect"), "/nothing/here", "/oauth/callback?code=x&state=y"]
    {
        let page = customer.page(path).await;
        let links = page.attributes("footer a, main a", "href");
        assert!(links.iter().any(|link| link.starts_with("mailto:help@shop.example")), "{path}: {links:?}");
        assert!(links.contains(&"https://shop.example/privacy?a=1&b=%22".to_owned()), "{path}: {links:?}");
        seen.push(page);
    }
    let lost = &seen[3];
    assert_eq!(lost.status, StatusCode::NOT_FOUND);
    let reference = lost.fact("Reference");
    let asks =
        lost.attributes("main a", "href").into_iter().find(|link| link.starts_with("mailto:")).unwrap();
    assert!(asks.contains(&reference), "{asks} names {reference}");
    for path in ["/admin/instances", "/admin/events", "/admin/doctor", "/admin/sign-in"] {
        seen.push(operator.page(path).await);
    }
    for page in &seen {
        assert!(!page.text.contains("<script>alert"), "{}", page.text);
        assert!(page.text.contains("alert(1)"), "its name is there, as text");
    }
    let sheet = seen[0].attributes("link[rel=stylesheet]", "href").remove(0);
    let sheet = plain().get(format!("{}{sheet}", app.origin)).send().await.unwrap();
    assert_eq!(sheet.headers()["content-type"], "text/css; charset=utf-8");
    assert!(
        sheet.text().await.unwrap().to_lowercase().contains("#c2185b"),
        "its colour, where it can be read"
    );
}
