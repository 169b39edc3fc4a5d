//! A program that uses the JSON API: every answer it gets is looked up in the document that describes the API.

use std::collections::{BTreeMap, BTreeSet};

use gangway::api_key::ApiKeySecret;
use gangway::app::{Surroundings, sealer};
use gangway::clock::Clock as _;
use gangway::entropy::{SystemEntropy, fresh_id};
use gangway::storage::{Act, ApiKeyRow, Scope, Storage, TokenHash};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use time::OffsetDateTime;

use crate::app::{TestApp, plain};
use crate::events::Connected;

/// A Gangway with an instance, and programs that use it.
pub struct Api {
    pub one: Connected,
    pub write: String,
    pub read: String,
    pub document: Value,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub fn items(&self) -> &[Value] {
        self.json["items"].as_array().unwrap()
    }
}

/// The database as a command has it.
pub async fn beside(app: &TestApp) -> Storage {
    let sealer = sealer(&app.config, &Surroundings::default());
    Storage::open_beside(&app.config.database_url, sealer).await.unwrap()
}

/// What the command line writes into the trail.
pub fn by_hand(app: &TestApp, act: &str) -> Act {
    let (who, act) = ("command line".to_owned(), act.to_owned());
    Act { at: app.clock.now(), who, act, subject: None, address: None, reference: None }
}

/// A fresh key.
pub async fn key(app: &TestApp, name: &str, scope: Scope, expires_at: Option<OffsetDateTime>) -> String {
    let entropy = SystemEntropy::default();
    let row = ApiKeyRow {
        id: fresh_id(&*app.clock, &entropy),
        name: name.to_owned(),
        scope,
        created_at: app.clock.now(),
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    let key = ApiKeySecret::draw(&entropy);
    let storage = beside(app).await;
    assert!(
        storage.add_api_key(&row, TokenHash::of(key.expose()), by_hand(app, "api_key.create")).await.unwrap()
    );
    storage.close().await;
    key.expose().to_owned()
}

impl Api {
    pub async fn start() -> Self {
        Self::of(TestApp::start().await).await
    }

    pub async fn of(app: TestApp) -> Self {
        let write = key(&app, "write", Scope::Write, None).await;
        let read = key(&app, "read", Scope::Read, None).await;
        let document = plain().get(format!("{}/api/v1/openapi.json", app.origin)).send().await.unwrap();
        let document = document.json().await.unwrap();
        Self { one: Connected::of(app).await, write, read, document }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.one.client.request(method, format!("{}{path}", self.one.app.origin))
    }

    /// Sends it, and looks its answer up in the document.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let (method, path) = (request.method().as_str().to_lowercase(), request.url().path().to_owned());
        let answer = self.one.client.execute(request).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        let answer = Answer { status, headers, json };
        let media = answer.header("content-type").to_owned();
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("set-cookie"), "", "{path}");
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(media, "application/problem+json", "{path}: {text}");
            assert_eq!(answer.json["status"], status.as_u16());
            assert!(answer.json["code"].is_string() && answer.json["title"].is_string(), "{text}");
            assert_eq!(answer.json["reference"].as_str().unwrap().len(), 9);
        }
        if let Some(operation) = self.operation(&method, &path) {
            let documented = &operation["responses"][status.as_str()];
            assert!(documented.is_object(), "{method} {path}: {status} is not in the document: {text}");
            if status != StatusCode::NO_CONTENT {
                let content = &documented["content"][media.as_str()];
                assert!(content.is_object(), "{method} {path}: {media} is not in the document");
                self.fits(&content["schema"], &answer.json, &path);
            }
        }
        answer
    }

    /// The operation of the document that `path` belongs to.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let like = |template: &str| {
            template.split('/').count() == path.split('/').count()
                && template.split('/').zip(path.split('/')).all(|(of, is)| of == is || of.starts_with('{'))
        };
        let paths = self.document["paths"].as_object().unwrap();
        let found =
            paths.get(path).or_else(|| paths.iter().find(|(template, _)| like(template)).map(|(_, p)| p));
        found?.get(method)
    }

    /// Whether `json` has what the schema requires, and nothing else.
    fn fits(&self, schema: &Value, json: &Value, path: &str) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.fits(self.document.pointer(name.trim_start_matches('#')).unwrap(), json, path);
        }
        let Some(object) = json.as_object() else {
            for item in json.as_array().into_iter().flatten() {
                self.fits(&schema["items"], item, path);
            }
            return;
        };
        let mut known = BTreeMap::new();
        let mut required = BTreeSet::new();
        self.gather(schema, &mut known, &mut required);
        if known.is_empty() {
            return;
        }
        for name in required {
            assert!(object.contains_key(&name), "{path}: {name} is required: {json}");
        }
        for (name, value) in object {
            let schema = known.get(name).unwrap_or_else(|| panic!("{path}: {name} is not in the document"));
            self.fits(schema, value, path);
        }
    }

    fn gather(&self, schema: &Value, known: &mut BTreeMap<String, Value>, required: &mut BTreeSet<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.gather(
                self.document.pointer(name.trim_start_matches('#')).unwrap(),
                known,
                required,
            );
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.gather(part, known, required);
        }
        known.extend(schema["properties"].as_object().cloned().into_iter().flatten());
        let names = schema["required"].as_array().into_iter().flatten();
        required.extend(names.map(|name| name.as_str().unwrap().to_owned()));
    }

    /// GET with the key for reading.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(&self.read)).await
    }

    /// POST with the key for writing.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).bearer_auth(&self.write).json(body)).await
    }
}
