//! Headless Chromium through WebDriver, dressed as a telephone or a desk.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// The reader's preferences and window.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub scheme: &'static str,
    pub width: u32,
}

/// A browser of its own; ends with the test.
pub struct Chromium {
    client: Client,
    driver: Child,
    _profile: tempfile::TempDir,
}

/// A command of the Chrome DevTools protocol.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.0.to_string()))
    }
}

impl Chromium {
    /// `None`, said aloud, where there is no Chromium; in CI that is a failure.
    pub async fn start(script: bool) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(driver) = driver else {
            assert!(std::env::var_os("CI").is_none(), "chromedriver is missing");
            eprintln!("SKIPPED: chromedriver is not installed");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut capabilities = serde_json::Map::new();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--disable-dev-shm-usage",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let mut options = json!({ "args": arguments });
        if !script {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
        }
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        for _ in 0..100 {
            if let Ok(client) = builder.connect(&format!("http://127.0.0.1:{port}")).await {
                return Some(Self { client, driver, _profile: profile });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("chromedriver did not answer");
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.client.issue_cmd(DevTools(json!({ "cmd": command, "params": parameters }))).await.unwrap()
    }

    pub async fn look(&self, look: Look) {
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": look.scheme }] });
        self.devtools("Emulation.setEmulatedMedia", scheme).await;
        // A telephone's scroll bars take no room.
        let window =
            json!({ "width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": look.width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", window).await;
    }

    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub async fn click(&self, selector: &str) {
        self.client.wait().for_element(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    pub async fn text(&self, selector: &str) -> String {
        let element = self.client.wait().for_element(Locator::Css(selector)).await.unwrap();
        element.text().await.unwrap()
    }

    pub async fn type_into(&self, selector: &str, text: &str) {
        let field = self.client.wait().for_element(Locator::Css(selector)).await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses Tab until what `selector` names has the focus, and sees that this shows; then presses `keys`.
    pub async fn tab_to(&self, selector: &str, keys: &str) {
        const TAB: &str = "\u{e004}";
        self.client.wait().for_element(Locator::Css(selector)).await.unwrap();
        let focused = "const now = document.activeElement, style = getComputedStyle(now);
            return now.matches(arguments[0]) ? (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 ? 'seen' : 'unseen') : 'elsewhere'";
        for _ in 0..80 {
            let state = self.client.execute(focused, vec![json!(selector)]).await.unwrap();
            assert_ne!(state, json!("unseen"), "{selector} has the focus, and nothing shows it");
            if state == json!("seen") {
                return self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
            }
            self.client.active_element().await.unwrap().send_keys(TAB).await.unwrap();
        }
        panic!("{selector} is not reached with the keyboard");
    }

    /// Waits until the one element shows `words`. The page may be replaced while it is read.
    pub async fn wait_for(&self, selector: &str, words: &str) {
        let mut shown = String::new();
        for _ in 0..400 {
            if let Ok(element) = self.client.find(Locator::Css(selector)).await {
                shown = element.text().await.unwrap_or_default();
                if shown.contains(words) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{selector} never showed {words:?} but {shown:?}");
    }

    /// The same on a page that does not follow by itself.
    pub async fn reload_until(&self, selector: &str, words: &str) {
        for _ in 0..100 {
            let found = self.client.find(Locator::Css(selector)).await;
            if let Ok(element) = found
                && element.text().await.unwrap_or_default().contains(words)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.client.refresh().await.unwrap();
        }
        panic!("{selector} never showed {words:?}");
    }

    /// WCAG 2.2 AA as far as a program can tell, and nothing wider than the window.
    pub async fn check(&self, page: &str) {
        self.picture(page).await;
        let axe = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/node_modules/axe-core/axe.min.js");
        let wide = self
            .client
            .execute(
                "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
                vec![],
            )
            .await;
        assert!(wide.unwrap().as_i64().unwrap() <= 0, "{page} is wider than the window");
        let Ok(axe) = std::fs::read_to_string(axe) else {
            assert!(std::env::var_os("CI").is_none(), "axe-core is missing: npm ci in tests/browser");
            eprintln!("SKIPPED: axe-core is not installed (npm ci in tests/browser)");
            return;
        };
        self.client.execute(&axe, vec![]).await.unwrap();
        let run = "const done = arguments[arguments.length - 1];
            axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })
               .then(found => done(found.violations.map(one => one.id + ': ' + one.nodes.map(node => node.target).join(' '))));";
        let violations = self.client.execute_async(run, vec![]).await.unwrap();
        assert_eq!(violations, json!([]), "{page}");
    }

    /// Keeps a picture of the whole page where `SCREENSHOTS` names a folder, for eyes.
    async fn picture(&self, page: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
        let size = self.client.execute(
            "return [innerWidth, matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light']",
            vec![],
        );
        let size = size.await.unwrap();
        let name = format!("{page} {} {}.png", size[0], size[1].as_str().unwrap()).replace([' ', '\''], "-");
        let whole = json!({ "captureBeyondViewport": true });
        let picture = self.devtools("Page.captureScreenshot", whole).await;
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(name), bytes).unwrap();
    }

    /// Where it is.
    pub async fn address(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    pub async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
