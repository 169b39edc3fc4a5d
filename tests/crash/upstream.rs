//! A Cloud Elements over HTTP whose every answer a seed decides: makes the instance or not, and answers
//! well, badly, or not at all. Each seed has a world of its own under its path.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What exists in one seed's world.
pub struct World {
    random: StdRng,
    /// Whether anything still goes wrong.
    pub faulty: bool,
    /// Instances that exist, by id.
    pub instances: BTreeMap<i64, Value>,
    /// How often each code was spent.
    pub codes: HashMap<String, u32>,
    last_id: i64,
}

/// The server.
#[derive(Clone)]
pub struct Upstream {
    pub origin: String,
    /// Connections that are being served.
    open: Arc<AtomicUsize>,
    worlds: Arc<Mutex<HashMap<u64, World>>>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let upstream = Self { origin, open: Arc::default(), worlds: Arc::default() };
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                serving.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = serving.serve(stream).await;
                    serving.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        upstream
    }

    /// A fresh world for `seed`; answers the base of its API.
    pub fn world(&self, seed: u64) -> String {
        let world = World {
            random: StdRng::seed_from_u64(seed),
            faulty: true,
            instances: BTreeMap::new(),
            codes: HashMap::new(),
            last_id: 0,
        };
        self.worlds.lock().unwrap().insert(seed, world);
        format!("{}/{seed}", self.origin)
    }

    /// Waits until everything that a process which has ended had sent is dealt with: on injected time an hour
    /// may pass before this server gets to it, and no lookup can know of that. Connections are taken in the order
    /// in which they come, so once one of ours is, all of theirs are.
    pub fn deal_with_what_was_sent(&self) {
        let mut ours = std::net::TcpStream::connect(self.origin.trim_start_matches("http://")).unwrap();
        ours.write_all(b"GET /0 HTTP/1.1\r\n\r\n").unwrap();
        ours.read_exact(&mut [0]).unwrap();
        while self.open.load(Ordering::SeqCst) > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn with<T>(&self, seed: u64, act: impl FnOnce(&mut World) -> T) -> T {
        act(self.worlds.lock().unwrap().get_mut(&seed).expect("a world"))
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        loop {
            let Some(length) = whole(&request) else {
                let mut chunk = [0; 4096];
                match stream.read(&mut chunk).await? {
                    0 => return Ok(()),
                    read => request.extend_from_slice(&chunk[..read]),
                }
                continue;
            };
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            request.drain(..length);
            let Some((status, body)) = self.answer(&text) else { return Ok(()) };
            let answer = format!(
                "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    /// Status and body; `None` cuts the connection.
    fn answer(&self, request: &str) -> Option<(u16, String)> {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut words = head.split_whitespace();
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut parts = path.trim_start_matches('/').split('/');
        let seed = parts.next().unwrap().parse().unwrap();
        if path == "/0" {
            return Some(missing());
        }
        let id = parts.nth(1).and_then(|id| id.parse::<i64>().ok());
        self.with(seed, |world| match (method, id) {
            ("POST", _) => world.create(&serde_json::from_str(body).unwrap()),
            ("GET", None) => Some(world.list(query)),
            (_, Some(id)) if world.instances.contains_key(&id) => {
                Some((200, world.instances[&id].to_string()))
            }
            _ => Some(missing()),
        })
    }
}

fn missing() -> (u16, String) {
    (404, json!({ "requestId": "r", "message": "No instances found" }).to_string())
}

impl World {
    fn create(&mut self, body: &Value) -> Option<(u16, String)> {
        let code = body["providerData"]["code"].as_str().unwrap().to_owned();
        *self.codes.entry(code).or_default() += 1;
        let fate = if self.faulty { self.random.random_range(0..12) } else { 0 };
        // Some failures come before the instance is made, some after.
        let refused =
            json!({ "requestId": "r", "message": "no", "providerMessage": "invalid_grant" }).to_string();
        match fate {
            8 => return Some((400, refused)),
            9 => return Some((503, "<h1>unavailable</h1>".into())),
            10 => return None,
            _ => {}
        }
        self.last_id += 1;
        let instance = json!({ "id": self.last_id, "token": format!("token-{}", self.last_id), "name": body["name"],
            "tags": body["tags"], "element": body["element"], "configuration": body["configuration"], "eventsEnabled": true });
        self.instances.insert(self.last_id, instance.clone());
        match fate {
            4 => Some((500, json!({ "requestId": "r", "message": "Internal error" }).to_string())),
            5 => Some((200, json!({ "id": self.last_id }).to_string())),
            6 => None,
            7 => Some((200, "garbage".into())),
            11 => Some((409, json!({ "requestId": "r", "message": "exists" }).to_string())),
            _ => Some((200, instance.to_string())),
        }
    }

    fn list(&mut self, query: &str) -> (u16, String) {
        if self.faulty && self.random.random_range(0..4) == 0 {
            return (502, String::new());
        }
        let wanted: HashMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let carries = |instance: &&Value| {
            let tags = instance["tags"].as_array().unwrap();
            wanted.get("tags[]").is_none_or(|tag| tags.contains(&json!(tag)))
                && wanted.get("searchText").is_none_or(|name| instance["name"] == json!(name))
        };
        let found: Vec<&Value> = self.instances.values().filter(carries).collect();
        if found.is_empty() { missing() } else { (200, json!(found).to_string()) }
    }
}

/// The length of the first request, if it is all there.
fn whole(request: &[u8]) -> Option<usize> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let whole = end + length.unwrap_or(0);
    (request.len() >= whole).then_some(whole)
}
