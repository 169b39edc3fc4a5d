//! The score that Mozilla's HTTP Observatory would give our headers, computed from what the app answers. The rules
//! are those of its scoring document (version 4): from 100 down for what is missing; what is better than asked for
//! counts only from 90 on.

use gangway::config::PublicUrl;
use reqwest::header::HeaderMap;

use crate::app::{TestApp, plain};

/// What an answer shows of itself.
struct Answer {
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_ascii_lowercase()).unwrap_or_default()
    }

    /// The sources of one directive of the policy, or of `default-src` where it is not named and falls back to it.
    fn sources(&self, directive: &str) -> Vec<String> {
        let policy = self.header("content-security-policy");
        let named = |wanted: &str| {
            policy.split(';').map(str::trim).find_map(|part| {
                let (name, sources) = part.split_once(' ')?;
                (name == wanted).then(|| sources.split(' ').map(str::to_owned).collect::<Vec<_>>())
            })
        };
        let falls_back = directive.ends_with("-src");
        named(directive).or_else(|| falls_back.then(|| named("default-src")).flatten()).unwrap_or_default()
    }

    /// Of each rule how much it takes, and how much it gives.
    fn rules(&self) -> Vec<(&'static str, i32)> {
        vec![
            ("content-security-policy", self.policy()),
            ("cookies", self.cookies()),
            ("cross-origin sharing", if self.header("access-control-allow-origin") == "*" { -50 } else { 0 }),
            ("referrer policy", self.referrer_policy()),
            ("strict transport security", self.strict_transport_security()),
            ("subresource integrity", self.foreign_scripts()),
            ("content type options", if self.header("x-content-type-options") == "nosniff" { 0 } else { -5 }),
            ("framing", self.framing()),
            ("cross-origin resource policy", self.resource_policy()),
        ]
    }

    fn score(&self) -> i32 {
        let (taken, given): (Vec<i32>, Vec<i32>) =
            self.rules().into_iter().map(|(_, value)| value).partition(|value| *value < 0);
        let base = 100 + taken.iter().sum::<i32>();
        if base >= 90 { base + given.iter().sum::<i32>() } else { base }
    }

    fn policy(&self) -> i32 {
        let unsafe_in = |directive: &str| {
            self.sources(directive).iter().any(|source| {
                ["'unsafe-inline'", "'unsafe-eval'", "data:", "http:", "https:", "*"]
                    .contains(&source.as_str())
            })
        };
        match () {
            () if self.header("content-security-policy").is_empty() => -25,
            () if unsafe_in("script-src") || unsafe_in("object-src") => -20,
            () if unsafe_in("style-src") => 0,
            () if self.sources("default-src") == ["'none'"] => 10,
            () => 5,
        }
    }

    fn cookies(&self) -> i32 {
        let all: Vec<String> = self
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|value| value.to_str().unwrap().to_ascii_lowercase())
            .collect();
        let every =
            |flag: &str| all.iter().all(|cookie| cookie.split(';').any(|part| part.trim().starts_with(flag)));
        match () {
            () if all.is_empty() => 0,
            () if !every("secure") => -40,
            () if !every("httponly") => -30,
            () if every("samesite") => 5,
            () => 0,
        }
    }

    fn referrer_policy(&self) -> i32 {
        match self.header("referrer-policy").as_str() {
            "no-referrer" | "same-origin" | "strict-origin" | "strict-origin-when-cross-origin" => 5,
            "" => 0,
            _ => -5,
        }
    }

    fn strict_transport_security(&self) -> i32 {
        const HALF_A_YEAR: u64 = 15_768_000;
        let header = self.header("strict-transport-security");
        let age =
            header.split(';').find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<u64>().ok());
        match age {
            None => -20,
            Some(age) if age < HALF_A_YEAR => -10,
            Some(_) if header.contains("preload") => 5,
            Some(_) => 0,
        }
    }

    fn foreign_scripts(&self) -> i32 {
        let foreign = self.body.split("<script").skip(1).any(|script| {
            script.split('>').next().is_some_and(|tag| tag.contains("src=\"http") || tag.contains("src=\"//"))
        });
        if foreign { -50 } else { 0 }
    }

    fn framing(&self) -> i32 {
        match () {
            () if self.sources("frame-ancestors") == ["'none'"] => 5,
            () if ["deny", "sameorigin"].contains(&self.header("x-frame-options").as_str()) => 0,
            () => -20,
        }
    }

    fn resource_policy(&self) -> i32 {
        match self.header("cross-origin-resource-policy").as_str() {
            "same-origin" | "same-site" => 10,
            "" => 0,
            _ => -5,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_scores_115_at_least() {
    let app = TestApp::with(|config| {
        config.public_url = PublicUrl::parse("https://connect.example.com").unwrap();
    })
    .await;
    let get = |path: &str| plain().get(format!("{}{path}", app.origin));
    let start = plain().post(format!("{}/connect", app.origin)).header("Sec-Fetch-Site", "same-origin");
    for request in [
        get("/"),
        start,
        get("/admin/sign-in"),
        get("/admin"),
        get("/instances/nobodys"),
        get("/api/v1/openapi.json"),
        get("/api/v1/events"),
        get("/healthz"),
    ] {
        let answer = request.send().await.unwrap();
        let (url, headers) = (answer.url().path().to_owned(), answer.headers().clone());
        let answer = Answer { headers, body: answer.text().await.unwrap() };
        println!("{url}: {}", answer.score());
        assert!(answer.score() >= 115, "{url}: {:?}", answer.rules());
    }
    let bare = Answer { headers: HeaderMap::new(), body: String::new() };
    assert_eq!(bare.score(), 100 - 25 - 20 - 5 - 20, "and what has no header scores as the document says");
}
