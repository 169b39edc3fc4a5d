//! What a power cut would have left of a folder. `power.c`, preloaded into a Gangway, keeps a journal of what it
//! did to the files there and of the syncs that came back; from a beginning of that journal a folder is made in
//! which everything synced is there and of the rest whatever chance decides: writes are lost, half done, or
//! overtaken by later ones; files that were made are missing, and files that were removed are back.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::RngExt;
use rand::rngs::StdRng;
use tempfile::TempDir;

/// Half done is a write at such a border.
const SECTOR: u64 = 512;

/// The library; `None`, said aloud, without a C compiler.
pub fn library(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("power.c"), folder.join("power.so"));
    std::fs::write(&source, include_str!("power.c")).unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").status();
    let built = built.is_ok_and(|status| status.success());
    if !built {
        eprintln!("SKIPPED: no C compiler for the library that records what is written");
    }
    built.then_some(library)
}

/// What becomes of what was not synced.
pub enum Unsynced<'a> {
    Kept,
    Lost,
    Chance(&'a mut StdRng),
}

impl Unsynced<'_> {
    /// How much of one write, from `start` to `end`, is there; `None` for nothing.
    fn of(&mut self, start: u64, end: u64) -> Option<u64> {
        match self {
            Self::Kept => Some(end),
            Self::Lost => None,
            Self::Chance(random) => match random.random_range(0..8) {
                0..4 => Some(end),
                4..7 => None,
                _ => Some(random.random_range(start..=end) / SECTOR * SECTOR).filter(|torn| *torn > start),
            },
        }
    }

    /// How many of so many changes to the folder are there: they are not reordered.
    fn of_names(&mut self, changes: usize) -> usize {
        match self {
            Self::Kept => changes,
            Self::Lost => 0,
            Self::Chance(random) => random.random_range(0..=changes),
        }
    }
}

enum Change {
    Write(u64, Range<usize>),
    Truncate(u64),
}

/// A file from when it was made, whatever its name names later.
#[derive(Default)]
struct File {
    changes: Vec<(u64, Change)>,
    synced: u64,
}

/// What the folder names, as a beginning of the journal tells it.
#[derive(Default)]
struct Folder {
    files: Vec<File>,
    now: HashMap<String, usize>,
    changes: Vec<(u64, String, Option<usize>)>,
    synced: u64,
}

/// A journal as it was when the process ended.
pub struct Journal(Vec<u8>);

/// The four numbers at the start of a record.
const HEAD: usize = 32;

impl Journal {
    pub fn read(path: &Path) -> Self {
        Self(std::fs::read(path).unwrap())
    }

    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// How many writes to a file of this name are in it.
    pub fn writes_to(&self, name: &str) -> usize {
        let folder = self.folder(self.len());
        folder.now.get(name).map_or(0, |file| folder.files[*file].changes.len())
    }

    fn number(&self, at: usize) -> usize {
        usize::try_from(u64::from_ne_bytes(self.0[at..at + 8].try_into().unwrap())).unwrap()
    }

    /// What the records tell that end before `cut`.
    fn folder(&self, cut: u64) -> Folder {
        let (mut folder, mut at) = (Folder::default(), 0);
        let cut = usize::try_from(cut).unwrap().min(self.0.len());
        while at + HEAD <= cut {
            let [kind, name, offset, length] = [0, 8, 16, 24].map(|field| self.number(at + field));
            let (name, bytes) = (at + HEAD..at + HEAD + name, at + HEAD + name..at + HEAD + name + length);
            if bytes.end > cut {
                break;
            }
            let name = String::from_utf8(self.0[name].to_vec()).unwrap();
            let next = bytes.end;
            folder.record(at as u64, u8::try_from(kind).unwrap(), name, (offset as u64, bytes));
            at = next;
        }
        folder
    }

    /// Makes the folder that a power cut leaves behind when the journal is `cut` bytes long.
    pub fn image(&self, cut: u64, unsynced: &mut Unsynced<'_>) -> TempDir {
        let folder = self.folder(cut);
        let safe = folder.changes.iter().filter(|(at, ..)| *at < folder.synced).count();
        let there = safe + unsynced.of_names(folder.changes.len() - safe);
        let mut names = BTreeMap::new();
        for (_, name, file) in &folder.changes[..there] {
            match file {
                Some(file) => names.insert(name, *file),
                None => names.remove(name),
            };
        }
        let image = tempfile::tempdir().unwrap();
        for (name, file) in names {
            let bytes = self.content(&folder.files[file], unsynced);
            std::fs::write(image.path().join(name), bytes).unwrap();
        }
        image
    }

    fn content(&self, file: &File, unsynced: &mut Unsynced<'_>) -> Vec<u8> {
        let mut content = Vec::new();
        for (at, change) in &file.changes {
            let (start, end) = match change {
                Change::Write(offset, bytes) => (*offset, *offset + bytes.len() as u64),
                Change::Truncate(length) => (*length, *length),
            };
            let there = if *at < file.synced { Some(end) } else { unsynced.of(start, end) };
            let Some(end) = there.map(|end| usize::try_from(end).unwrap()) else { continue };
            let start = usize::try_from(start).unwrap();
            match change {
                Change::Truncate(_) => content.resize(end, 0),
                Change::Write(_, bytes) => {
                    content.resize(content.len().max(end), 0);
                    content[start..end].copy_from_slice(&self.0[bytes.start..][..end - start]);
                }
            }
        }
        content
    }
}

impl Folder {
    fn record(&mut self, at: u64, kind: u8, name: String, (offset, bytes): (u64, Range<usize>)) {
        match kind {
            b'C' => {
                self.files.push(File::default());
                self.now.insert(name.clone(), self.files.len() - 1);
                self.changes.push((at, name, Some(self.files.len() - 1)));
            }
            b'U' => {
                self.now.remove(&name);
                self.changes.push((at, name, None));
            }
            b'S' if name.is_empty() => self.synced = self.synced.max(offset),
            b'S' => self.file(&name).synced = self.file(&name).synced.max(offset),
            b'W' => self.file(&name).changes.push((at, Change::Write(offset, bytes))),
            b'T' => self.file(&name).changes.push((at, Change::Truncate(offset))),
            other => panic!("a record of an unknown kind: {other}"),
        }
    }

    fn file(&mut self, name: &str) -> &mut File {
        &mut self.files[self.now[name]]
    }
}
