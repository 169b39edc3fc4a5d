//! The binary itself: its commands, its settings, its files.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use crate::app::plain;

fn gangway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gangway"));
    command.args(arguments).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it and reads its lines up to the one that says it is ready.
fn ready(mut command: Command) -> (Running, Vec<String>) {
    let mut child = command.spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().is_some_and(|line| line.starts_with("Gangway is ready at ")) {
            break;
        }
    }
    (Running(child), lines)
}

#[test]
fn f12_serve_without_settings_tells_all_of_them_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let output = gangway(&["serve"]).current_dir(&folder).output().unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    for variable in [
        "PUBLIC_URL",
        "SECRET_KEY",
        "MAILCHIMP_CLIENT_ID",
        "MAILCHIMP_CLIENT_SECRET",
        "CLOUD_ELEMENTS_USER_SECRET",
        "CLOUD_ELEMENTS_ORGANIZATION_SECRET",
    ] {
        assert!(told.contains(variable), "{variable} in {told}");
    }
    assert!(told.contains("fix:"));
}

/// The kernel gives what belongs to a process that leaves no core to root.
#[test]
fn f14_no_core_is_left_and_the_environment_is_for_root_alone() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let mut command = gangway(&["simulator", "--port", "0"]);
    command.current_dir("/").uid(NOBODY).gid(NOBODY);
    let Ok(mut child) = command.spawn() else {
        eprintln!("SKIPPED: only root can start a process as somebody else");
        return;
    };
    // It has begun once it says something.
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let environment = std::fs::metadata(format!("/proc/{}/environ", child.id())).map(|file| file.uid());
    drop(Running(child));
    assert_eq!(environment.unwrap(), 0, "{line}");
}

#[test]
fn keygen_prints_a_key_and_nothing_else() {
    let one = gangway(&["keygen"]).output().unwrap().stdout;
    let two = gangway(&["keygen"]).output().unwrap().stdout;
    assert_ne!(one, two);
    gangway::seal::SecretKey::parse(std::str::from_utf8(&one).unwrap()).unwrap();
}

#[test]
fn exit_codes_are_the_documented_ones_and_every_shell_is_helped() {
    let help = gangway(&["--help"]).output().unwrap();
    let told = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && told.contains("Exit codes: 0 done; 1 it did not work"), "{told}");
    let commands =
        told.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let printed = gangway(&["completions", shell]).output().unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        for command in commands.iter().filter(|command| **command != "help") {
            assert!(printed.contains(command), "{command} for {shell}");
        }
    }
    for wrong in [&["nothing-of-ours"][..], &["demo", "--port", "x"], &["completions", "cmd"]] {
        assert_eq!(gangway(wrong).output().unwrap().status.code(), Some(2), "{wrong:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    for fails in ["serve", "doctor", "reconcile"] {
        assert_eq!(
            gangway(&[fails]).current_dir(&folder).output().unwrap().status.code(),
            Some(1),
            "{fails}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_needs_nothing_and_serve_runs_against_the_same_other_side() {
    let (_demo, lines) = ready(gangway(&["demo", "--port", "0", "--simulator-port", "0"]));
    let home = lines.last().unwrap().trim_start_matches("Gangway is ready at ").to_owned();
    assert_eq!(plain().get(&home).send().await.unwrap().status(), 200);
    assert!(lines.iter().any(|line| line.contains("/admin/first-sign-in/")), "{lines:?}");
    let control =
        lines.iter().find_map(|line| line.split_once("Simulated MailChimp and Cloud Elements: ")).unwrap().1;
    assert_eq!(plain().get(control).send().await.unwrap().status(), 200);
}

#[test]
fn f13_files_are_for_their_owner_alone_and_a_second_process_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let arguments = ["demo", "--port", "0", "--simulator-port", "0", "--data-dir", data.to_str().unwrap()];
    let (_first, lines) = ready(gangway(&arguments));
    assert!(lines.last().unwrap().starts_with("Gangway is ready"));
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    for file in std::fs::read_dir(&data).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
    let second = gangway(&arguments).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8(second.stderr).unwrap().contains("another Gangway is running"));
}

#[test]
fn c18_the_wrong_key_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let arguments = ["demo", "--port", "0", "--simulator-port", "0", "--data-dir", data.to_str().unwrap()];
    drop(ready(gangway(&arguments)));
    let key = gangway(&["keygen"]).output().unwrap().stdout;
    std::fs::write(data.join("secret-key"), key).unwrap();
    let output = gangway(&arguments).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("SECRET_KEY is not the key"));
}

/// What holds a stop up does so every time; a busy machine does not. So the best of a few tries counts.
#[test]
fn sigterm_stops_it_within_a_second_and_well() {
    let took = (0..5).map(|_| {
        let (mut demo, _) = ready(gangway(&["demo", "--port", "0", "--simulator-port", "0"]));
        let started = std::time::Instant::now();
        Command::new("kill").arg(demo.0.id().to_string()).status().unwrap();
        assert!(demo.0.wait().unwrap().success());
        started.elapsed()
    });
    assert!(took.into_iter().any(|took| took.as_millis() < 1000));
}

/// A command with settings that reach nobody, on a database of its own.
fn with_settings(folder: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = gangway(arguments);
    command.current_dir(folder);
    for (name, value) in [
        ("PUBLIC_URL", "http://127.0.0.1:1"),
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("SECRET_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("MAILCHIMP_CLIENT_ID", "1"),
        ("MAILCHIMP_CLIENT_SECRET", "canary-secret"),
        ("CLOUD_ELEMENTS_USER_SECRET", "canary-user"),
        ("CLOUD_ELEMENTS_ORGANIZATION_SECRET", "canary-organization"),
        ("CLOUD_ELEMENTS_URL", "http://127.0.0.1:1"),
    ] {
        command.env(name, value);
    }
    command
}

#[test]
fn api_keys_are_made_listed_and_revoked_before_the_first_start_and_beside_a_gangway_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = with_settings(folder.path(), &[&["api-key"], arguments].concat()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (well, key, words) = run(&["create", "--name", "first", "--scope", "read", "--expires-in", "90d"]);
    assert!(well, "{words}");
    assert_eq!(key.lines().count(), 1, "the key and nothing else: {key}");
    assert!(key.starts_with("gangway_") && words.contains("first") && !words.contains(key.trim()));
    let file = folder.path().join("data/gangway.db");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (_serving, lines) = ready(with_settings(folder.path(), &["serve"]));
    assert!(lines.last().unwrap().starts_with("Gangway is ready"));
    let (well, second, _) = run(&["create", "--name", "second"]);
    assert!(well && second != key);
    let (well, nothing, words) = run(&["create", "--name", "second"]);
    assert!(!well && nothing.is_empty() && words.contains("there is a key named"), "{words}");
    for wrong in [&["--name", ""][..], &["--name", "a\nb"], &["--name", "x", "--expires-in", "soon"], &[]] {
        assert!(!run(&[&["create"], wrong].concat()).0, "{wrong:?}");
    }
    assert!(run(&["revoke", "first"]).0);
    assert!(!run(&["revoke", "first"]).0);
    let (_, told, words) = run(&["revoke", second.trim()]);
    assert!(!(told + &words).contains(second.trim()), "a key that was pasted is not repeated");
    let (_, table, _) = run(&["list"]);
    assert!(table.contains("revoked") && table.contains("active") && !table.contains("gangway_"), "{table}");
    let (_, json, _) = run(&["list", "--json"]);
    let keys: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&keys[0]["name"], &keys[0]["scope"]), (&"second".into(), &"write".into()), "{keys}");
    assert_eq!((&keys[1]["state"], &keys[1]["scope"]), (&"revoked".into(), &"read".into()));
    assert!(keys[1]["expires_at"].as_str().unwrap().ends_with('Z') && keys[0]["expires_at"].is_null());
}

#[test]
fn invites_are_made_listed_and_taken_back_beside_a_gangway_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = with_settings(folder.path(), &[&["invite"], arguments].concat()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (_serving, lines) = ready(with_settings(folder.path(), &["serve"]));
    let address = lines.last().unwrap().rsplit(' ').next().unwrap().to_owned();
    let (code, link, words) =
        run(&["create", "--customer", "Ada", "--ttl", "2d", "--tag", "eu", "--tag", "vip"]);
    assert_eq!((code, link.lines().count()), (Some(0), 1), "{words}");
    assert!(link.starts_with(&format!("{address}/invites/")) && words.contains("for Ada"), "{link}");
    for (wrong, code) in [
        (&["--customer", ""][..], 1),
        (&["--customer", "Ada", "--ttl", "1m"], 1),
        (&["--customer", "Ada", "--ttl", "soon"], 2),
        (&["--customer", "Ada", "--uses", "0"], 1),
        (&["--customer", "Ada", "--return-url", "https://evil.example"], 1),
        (&[], 2),
    ] {
        assert_eq!(run(&[&["create"], wrong].concat()).0, Some(code), "{wrong:?}");
    }
    let (_, made, _) = run(&["create", "--customer", "Eve", "--any-number", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert!(made["uses"].is_null() && made["url"].as_str().unwrap().contains("/invites/"));
    let (_, json, _) = run(&["list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&list[1]["state"], &list[1]["tags"]), (&"created".into(), &serde_json::json!(["eu", "vip"])));
    let id = list[1]["id"].as_str().unwrap();
    assert_eq!(
        (run(&["revoke", id]).0, run(&["revoke", id]).0, run(&["revoke", "x"]).0),
        (Some(0), Some(1), Some(2))
    );
    let (_, table, _) = run(&["list"]);
    assert!(
        table.contains("revoked") && table.contains("created") && !table.contains("/invites/"),
        "{table}"
    );
}

#[test]
fn a_copy_that_cannot_be_made_or_gone_back_to_is_one_clear_sentence_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.db"), "a text").unwrap();
    let postgres = "postgres://gangway:canary-password@127.0.0.1:1/gangway";
    for (arguments, database, words) in [
        (&["backup", "copy.db"][..], "sqlite://data/gangway.db", "there is no database at data/gangway.db"),
        (&["backup", "copy.db"], postgres, "pg_dump --format=custom --file=copy.db --host=127.0.0.1"),
        (&["restore", "copy.db"], postgres, "pg_restore --clean --if-exists --host=127.0.0.1"),
        (&["restore", "--check", "missing.db"], "sqlite://data/gangway.db", "missing.db cannot be read"),
        (&["restore", "text.db"], "sqlite://data/gangway.db", "text.db is not a SQLite database"),
    ] {
        let mut command = with_settings(folder.path(), arguments);
        let output = command.env("DATABASE_URL", database).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{arguments:?}");
        assert!(told.contains(words) && !told.contains("canary"), "{told}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
