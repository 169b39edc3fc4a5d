//! `gangway demo` on free ports.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// The address of an application that takes whatever is passed on to it.
pub fn receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/in", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let head: Vec<String> =
                (&mut stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let length = head
                .iter()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or_default()];
            stream.read_exact(&mut body).unwrap();
            stream
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
        }
    });
    address
}

/// A running demo; ends with the test.
pub struct Demo {
    pub home: String,
    pub control: String,
    pub sign_in_link: String,
    process: Child,
}

impl Demo {
    pub fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gangway"));
        command.args(["demo", "--port", "0", "--simulator-port", "0"]).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut told = Vec::new();
        for line in lines {
            let ready = line.starts_with("Gangway is ready");
            told.push(line);
            if ready {
                break;
            }
        }
        let after = |words: &str| {
            let line = told.iter().find(|line| line.starts_with(words));
            line.unwrap_or_else(|| panic!("{words:?} in {told:?}"))
                .split("http")
                .last()
                .map(|rest| format!("http{rest}"))
                .unwrap()
        };
        Self {
            home: after("Gangway is ready at"),
            control: after("Simulated MailChimp"),
            sign_in_link: after("Admin sign-in"),
            process,
        }
    }

    async fn control(&self, path: &str, body: &str) {
        let request = reqwest::Client::new().post(format!("{}{path}", self.control));
        let answer =
            request.header("Content-Type", "application/json").body(body.to_owned()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    pub async fn add_contact(&self) {
        self.control("contacts", r#"{"email":"mira@reader.example"}"#).await;
    }

    /// The customer removes the app inside the stand-in Mailchimp.
    pub async fn revoke(&self) {
        self.control("revoke", "").await;
    }

    /// Cloud Elements delivers nothing any more until it is asked to.
    pub async fn give_up(&self) {
        self.control("give-up", "").await;
    }

    pub async fn faults(&self, faults: &str) {
        self.control("faults", faults).await;
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
