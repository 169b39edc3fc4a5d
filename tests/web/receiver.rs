//! The operator's own application, where notifications are passed on to: it fails in every way it is told, and
//! remembers what it was sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// 204 after so many milliseconds.
    Good(u64),
    /// With this status, and these lines of header.
    Says(u16, &'static str),
    /// Reads the request and is silent.
    Hangs,
    /// Reads the request and hangs up.
    HangsUp,
    /// Does not even read.
    Resets,
    /// In no protocol.
    Babbles,
    /// 200, and a body without end.
    NeverEnds,
    /// A byte of the answer's head now and then.
    Drips,
    /// More header than anybody takes.
    Boasts,
}

/// What arrived: the lines of its head by name in small letters, and its body.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// One that listens.
pub struct Receiver {
    pub url: String,
    mood: Arc<Mutex<Mood>>,
    received: Arc<Mutex<Vec<Received>>>,
    /// The most at once so far.
    most: Arc<AtomicUsize>,
}

impl Receiver {
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let receiver =
            Self { url, mood: Arc::new(Mutex::new(mood)), received: Arc::default(), most: Arc::default() };
        let shared = (receiver.mood.clone(), receiver.received.clone(), receiver.most.clone());
        tokio::spawn(async move {
            let at_once = Arc::new(AtomicUsize::new(0));
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, at_once) = (shared.clone(), at_once.clone());
                tokio::spawn(async move {
                    shared.2.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let _ = serve(stream, &shared.0, &shared.1).await;
                    at_once.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        receiver
    }

    pub fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// What arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until so many have arrived.
    pub async fn until(&self, count: usize) -> Vec<Received> {
        for _ in 0..4800 {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("only {} of {count} arrived", self.received().len());
    }

    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    mood: &Mutex<Mood>,
    received: &Mutex<Vec<Received>>,
) -> std::io::Result<()> {
    if *mood.lock().unwrap() == Mood::Resets {
        return Ok(());
    }
    let Some(request) = read(&mut stream).await? else { return Ok(()) };
    received.lock().unwrap().push(request);
    let mood = *mood.lock().unwrap();
    match mood {
        Mood::Good(milliseconds) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await
        }
        Mood::Says(status, lines) => {
            let answer =
                format!("HTTP/1.1 {status} So\r\n{lines}Connection: close\r\nContent-Length: 4\r\n\r\n<so>");
            stream.write_all(answer.as_bytes()).await
        }
        Mood::Hangs => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(())
        }
        Mood::HangsUp | Mood::Resets => Ok(()),
        Mood::Babbles => stream.write_all(b"220 mail.example ESMTP\r\n").await,
        Mood::NeverEnds => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(b"4\r\nmore\r\n").await?;
            }
        }
        Mood::Drips => {
            for byte in b"HTTP/1.1 200 OK\r\n".iter().cycle() {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        }
        Mood::Boasts => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(b"X-Boast: yes\r\n").await?;
            }
        }
    }
}

/// One request; nothing where the connection ends before it does.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Received>> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 8192]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let headers: HashMap<String, String> =
                lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
            let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return Ok(Some(Received { headers, body: bytes[end + 4..].to_vec() }));
            }
        }
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
}
