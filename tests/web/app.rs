//! The app under test, and the browsers that visit it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gangway::app::{App, Surroundings};
use gangway::clock::{ManualClock, SharedClock};
use gangway::config::{
    AuthorizeUrlFrom, CloudElementsAccess, Config, Face, Limits, Log, LogFormat, MailchimpApp, PublicUrl,
    Retention,
};
use gangway::entropy::SystemEntropy;
use gangway::seal::SecretKey;
use gangway::simulator::{RegisteredApp, Simulator, SimulatorOptions};
use reqwest::{Client, Method, Response, StatusCode};
use scraper::{Html, Selector};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;

/// Looks at a page before a test gives up: a minute, for machines that are busy with something else.
const PATIENCE: u32 = 2400;
pub const CLIENT_SECRET: &str = "canary-client-secret";

/// A running Gangway with its simulator.
pub struct TestApp {
    pub origin: String,
    pub simulator: String,
    pub clock: Arc<ManualClock>,
    pub config: Config,
    pub sign_in_link: Option<String>,
    client: Client,
    folder: Arc<TempDir>,
    shutdown: CancellationToken,
    running: Option<tokio::task::JoinHandle<()>>,
    simulating: CancellationToken,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts with settings changed.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(ManualClock::starting_at(datetime!(2026-11-23 12:00 UTC)));
        let simulator = Simulator::bind(SimulatorOptions { port: 0, clock: clock.clone() }).unwrap();
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let mut config = config(&origin, &simulator, &folder);
        change(&mut config);
        simulator.register(RegisteredApp {
            name: "Test".to_owned(),
            client_id: config.mailchimp.client_id.clone(),
            client_secret: CLIENT_SECRET.to_owned(),
            redirect_uris: vec![config.public_url.redirect_uri()],
        });
        let (simulating, simulator_origin) = (CancellationToken::new(), simulator.origin());
        tokio::spawn(simulator.run(simulating.clone()));
        let mut app = Self {
            origin,
            simulator: simulator_origin,
            clock,
            config,
            sign_in_link: None,
            client: plain(),
            folder,
            shutdown: CancellationToken::new(),
            running: None,
            simulating,
        };
        app.run_on(listener).await;
        app
    }

    async fn run_on(&mut self, listener: std::net::TcpListener) {
        let clock: SharedClock = self.clock.clone();
        let surroundings = Surroundings { clock, ..Surroundings::default() };
        let app = App::build_on(listener, self.config.clone(), surroundings).await.unwrap();
        self.sign_in_link = app.first_sign_in_link().await.unwrap();
        self.shutdown = CancellationToken::new();
        let shutdown = self.shutdown.clone();
        self.running = Some(tokio::spawn(async move { app.run(shutdown).await.unwrap() }));
    }

    /// Stops as SIGTERM would; answers how long it took.
    pub async fn stop(&mut self) -> Duration {
        let started = std::time::Instant::now();
        self.shutdown.cancel();
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
        started.elapsed()
    }

    /// Starts again on the same address and database.
    pub async fn start_again(&mut self) {
        let address = self.origin.trim_start_matches("http://").to_owned();
        let listener = std::net::TcpListener::bind(address).unwrap();
        self.run_on(listener).await;
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A second connection to the database, for sabotage and for looking behind the curtain.
    pub async fn database(&self) -> sqlx::SqlitePool {
        let path = self.folder().join("data").join("gangway.db");
        sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap()
    }

    /// Sets the simulator's faults.
    pub async fn faults(&self, faults: Value) {
        let answer =
            self.client.post(format!("{}/_sim/faults", self.simulator)).json(&faults).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// What the simulator counted.
    pub async fn ledger(&self) -> Value {
        self.client.get(format!("{}/_sim/ledger", self.simulator)).send().await.unwrap().json().await.unwrap()
    }

    /// A contact is added to the first audience.
    pub async fn add_contact(&self, email: &str) {
        let contact = json!({ "email": email });
        let answer = self
            .client
            .post(format!("{}/_sim/contacts", self.simulator))
            .json(&contact)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// The customer removes the app inside the stand-in Mailchimp.
    pub async fn revoke(&self) {
        let request = self.client.post(format!("{}/_sim/revoke", self.simulator));
        let answer = request.header("Accept", "application/json").send().await.unwrap();
        assert!(!answer.status().is_client_error() && !answer.status().is_server_error());
    }

    pub fn browser(&self) -> Browser {
        Browser::of(&self.origin)
    }

    /// A browser that has connected, with the address of its result.
    pub async fn connected(&self) -> (Browser, String) {
        let browser = self.browser();
        let page = browser.connect().await;
        assert!(browser.headline(&page).await.contains("is connected"));
        (browser, page)
    }

    /// Reads the page until its text holds `words`, while time goes by five seconds at every look.
    pub async fn wait_as_time_passes(&self, browser: &Browser, target: &str, words: &str) -> Page {
        for _ in 0..400 {
            let page = browser.page(target).await;
            if page.text.contains(words) {
                return page;
            }
            self.clock.advance(time::Duration::seconds(5));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{target} never said {words:?}: {}", browser.page(target).await.one("main"));
    }

    /// A browser of the signed-in operator.
    pub async fn operator(&self) -> Browser {
        let browser = self.browser();
        let form = [("password", "a long enough password"), ("password_again", "a long enough password")];
        let link = self.sign_in_link.clone().expect("nobody has signed in before");
        let answer = browser.form(&link, &form).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        browser
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.simulating.cancel();
    }
}

pub fn config(origin: &str, simulator: &Simulator, folder: &TempDir) -> Config {
    Config {
        public_url: PublicUrl::parse(origin).unwrap(),
        listen_addr: "127.0.0.1:0".parse().unwrap(),
        database_url: format!("sqlite://{}", folder.path().join("data").join("gangway.db").display()).into(),
        secret_key: SecretKey::draw(&SystemEntropy::default()),
        secret_key_previous: None,
        mailchimp: MailchimpApp {
            client_id: "123456789012".into(),
            client_secret: CLIENT_SECRET.into(),
            authorize_url: simulator.authorize_url().parse().unwrap(),
        },
        cloud_elements: CloudElementsAccess {
            url: simulator.cloud_elements_url().parse().unwrap(),
            user_secret: simulator.user_secret().into(),
            organization_secret: simulator.organization_secret().into(),
            element_key: "mailchimpv3".into(),
            instance_tags: vec!["test".into()],
            timeout: Duration::from_secs(60),
        },
        authorize_url_from: AuthorizeUrlFrom::Mailchimp,
        admin_password_hash: None,
        connecting: gangway::config::Connecting::default(),
        trusted_proxies: Vec::new(),
        delivery_allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        recovery_window: Duration::from_secs(60),
        retention: Retention::default(),
        rate_limit_per_minute: 0,
        log: Log { format: LogFormat::Text, level: tracing::Level::INFO },
        // What a test changes behind Gangway's back it wants to see at once.
        limits: Limits {
            head_deadline: Duration::from_secs(60),
            lists_kept: Duration::ZERO,
            ..Limits::default()
        },
        face: Face::default(),
        demo: None,
    }
}

/// A client that follows nothing and remembers nothing.
pub fn plain() -> Client {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    // Well before the server ends an idle connection: otherwise a request meets its end, on a busy machine.
    client.pool_idle_timeout(Duration::from_secs(1)).build().unwrap()
}

/// A browser: remembers cookies, sends Origin with what is unsafe, follows nothing by itself.
pub struct Browser {
    client: Client,
    origin: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    /// One that has been nowhere yet.
    pub fn of(origin: &str) -> Self {
        Self { client: plain(), origin: origin.to_owned(), cookies: Mutex::default() }
    }

    fn url(&self, target: &str) -> String {
        if target.starts_with("http") { target.to_owned() } else { format!("{}{target}", self.origin) }
    }

    pub async fn send(&self, method: Method, target: &str, form: Option<&[(&str, &str)]>) -> Response {
        self.try_send(method, target, form).await.unwrap()
    }

    /// The same where Gangway may be gone.
    pub async fn try_send(
        &self,
        method: Method,
        target: &str,
        form: Option<&[(&str, &str)]>,
    ) -> reqwest::Result<Response> {
        let mut request = self.client.request(method.clone(), self.url(target));
        if !method.is_safe() {
            request = request.header("Origin", &self.origin);
        }
        if let Some(cookie) = self.cookie() {
            request = request.header("Cookie", cookie);
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = request.send().await?;
        for set in answer.headers().get_all("set-cookie") {
            let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        Ok(answer)
    }

    /// The Cookie header, if there is anything to send.
    pub fn cookie(&self) -> Option<String> {
        let cookies = self.cookies.lock().unwrap();
        let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Copies another browser's cookies: theft, or a planted session.
    pub fn take_cookies_of(&self, other: &Self) {
        *self.cookies.lock().unwrap() = other.cookies.lock().unwrap().clone();
    }

    pub async fn get(&self, target: &str) -> Response {
        self.send(Method::GET, target, None).await
    }

    pub async fn form(&self, target: &str, form: &[(&str, &str)]) -> Response {
        self.send(Method::POST, target, Some(form)).await
    }

    /// The parsed page at `target`.
    pub async fn page(&self, target: &str) -> Page {
        let answer = self.get(target).await;
        Page { status: answer.status(), text: answer.text().await.unwrap() }
    }

    pub async fn headline(&self, target: &str) -> String {
        self.page(target).await.one("h1")
    }

    /// Clicks Connect; answers where Mailchimp asks.
    pub async fn start(&self) -> String {
        let answer = self.form("/connect", &[]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{:?}", answer.text().await);
        location(&answer)
    }

    /// Decides at Mailchimp; answers the callback's address.
    pub async fn decide(&self, authorize_url: &str, decision: &str) -> String {
        self.decide_as(authorize_url, decision, "0").await
    }

    /// The same with another of the simulated accounts.
    pub async fn decide_as(&self, authorize_url: &str, decision: &str, account: &str) -> String {
        let (page, query) = authorize_url.split_once('?').unwrap();
        let body = format!("{query}&decision={decision}&account={account}");
        let request = self.client.post(page).header("Content-Type", "application/x-www-form-urlencoded");
        location(&request.body(body).send().await.unwrap())
    }

    /// Start, allow, come back; answers the address of the result.
    pub async fn connect(&self) -> String {
        let callback = self.decide(&self.start().await, "allow").await;
        let answer = self.get(&callback).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{:?}", answer.text().await);
        location(&answer)
    }

    /// Reads the page until its text holds `words`.
    pub async fn wait_for(&self, target: &str, words: &str) -> Page {
        for _ in 0..PATIENCE {
            let page = self.page(target).await;
            if page.text.contains(words) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{target} never said {words:?}: {}", self.page(target).await.one("main"));
    }
}

pub fn location(answer: &Response) -> String {
    answer.headers().get("location").expect("a redirect").to_str().unwrap().to_owned()
}

/// The value of a query parameter.
pub fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

pub struct Page {
    pub status: StatusCode,
    pub text: String,
}

impl Page {
    /// The text of the one element that `selector` finds.
    pub fn one(&self, selector: &str) -> String {
        let all = self.all(selector);
        assert_eq!(all.len(), 1, "{selector}: {all:?} in {}", self.text);
        all.into_iter().next().unwrap()
    }

    /// The texts of all elements that `selector` finds.
    pub fn all(&self, selector: &str) -> Vec<String> {
        let html = Html::parse_document(&self.text);
        let texts = |element: scraper::ElementRef<'_>| element.text().collect::<Vec<_>>().join(" ");
        html.select(&Selector::parse(selector).unwrap())
            .map(texts)
            .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// The attribute of every element that `selector` finds.
    pub fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let html = Html::parse_document(&self.text);
        html.select(&Selector::parse(selector).unwrap())
            .filter_map(|element| element.attr(name).map(str::to_owned))
            .collect()
    }

    /// What stands in `code` elements after a label.
    pub fn fact(&self, label: &str) -> String {
        let html = Html::parse_document(&self.text);
        let row = html
            .select(&Selector::parse("dl.facts > div").unwrap())
            .map(|row| {
                row.text().collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .find(|row| row.starts_with(label));
        row.unwrap_or_default().trim_start_matches(label).trim().to_owned()
    }
}
