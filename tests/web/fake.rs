//! A Cloud Elements that answers as it is told: any status, any body, late, cut, in drips, or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What to answer a `POST /instances` with.
#[derive(Clone)]
pub enum Script {
    /// Status line and body.
    Answer(&'static str, String),
    /// A redirect to this address.
    Redirect(String),
    /// Nothing, and the connection ends.
    Cut,
    /// Nothing, and the connection stays.
    Never,
    /// The first one hangs until it is told; the others connect at once.
    HoldTheFirst(Arc<Notify>),
    /// One byte a while.
    Drip,
    /// A body without end.
    Endless,
}

/// The fake, listening.
pub struct Fake {
    pub url: String,
    /// Requests of any kind that arrived.
    pub requests: Arc<AtomicUsize>,
    /// Creates that arrived.
    pub creates: Arc<AtomicUsize>,
    /// Bytes of endless bodies that were taken.
    pub taken: Arc<AtomicUsize>,
}

impl Fake {
    /// Answers creates by `script` and everything else with an empty list's 404.
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/elements/api-v2", listener.local_addr().unwrap());
        let fake = Self { url, requests: Arc::default(), creates: Arc::default(), taken: Arc::default() };
        let (requests, creates, taken) = (fake.requests.clone(), fake.creates.clone(), fake.taken.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, requests, creates, taken) =
                    (script.clone(), requests.clone(), creates.clone(), taken.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, script, (&requests, &creates, &taken)).await;
                });
            }
        });
        fake
    }

    pub fn creates(&self) -> usize {
        self.creates.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Script,
    (requests, creates, taken): (&AtomicUsize, &AtomicUsize, &AtomicUsize),
) -> std::io::Result<()> {
    let Some(request) = read(&mut stream).await? else { return Ok(()) };
    requests.fetch_add(1, Ordering::SeqCst);
    let answer = |status: &str, extra: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: application/json\r\nConnection: close\r\n{extra}\r\n{body}",
            body.len()
        )
    };
    if !request.starts_with(b"POST ") {
        let body = r#"{"requestId":"r","message":"No instances found"}"#;
        return stream.write_all(answer("404 Not Found", "", body).as_bytes()).await;
    }
    let number = creates.fetch_add(1, Ordering::SeqCst);
    match script {
        Script::Answer(status, body) => stream.write_all(answer(status, "", &body).as_bytes()).await,
        Script::Redirect(target) => {
            stream.write_all(answer("302 Found", &format!("Location: {target}\r\n"), "").as_bytes()).await
        }
        Script::Cut => Ok(()),
        Script::Never => {
            tokio::time::sleep(Duration::from_secs(120)).await;
            Ok(())
        }
        Script::HoldTheFirst(go_on) => {
            if number == 0 {
                go_on.notified().await;
            }
            let body = format!(r#"{{"id":{},"token":"t"}}"#, number + 1);
            stream.write_all(answer("200 OK", "", &body).as_bytes()).await
        }
        Script::Drip => {
            for byte in answer("200 OK", "", &"x".repeat(5000)).bytes() {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        }
        Script::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await?;
            loop {
                stream.write_all(&vec![b'x'; 65536]).await?;
                taken.fetch_add(65536, Ordering::SeqCst);
            }
        }
    }
}

/// One request; `None` where the connection ends before it is whole.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !whole(&request) {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(None);
        }
        request.extend_from_slice(&chunk[..read]);
    }
    Ok(Some(request))
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
