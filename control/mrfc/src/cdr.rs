//! Call detail records: one line of JSON a leg, written by a thread of its own.

use serde_json::{Map, Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tracing::{error, warn};

/// Records that wait to be written; further ones are lost, and that is logged.
const RECORDS_MAX: usize = 4_096;

/// How long the last records may take to be written: a disk that hangs must not keep the process.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Takes records. When it is dropped, those that it took are written.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// `None` once it is dropped.
    records: Option<SyncSender<String>>,
    /// Closed when the last one is written. Locked by nobody: a task that has it may move.
    is_done: Mutex<Receiver<()>>,
}

/// One leg that is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) conference: String,
    pub(crate) leg: u64,
    pub(crate) call_id: String,
    pub(crate) uri: String,
    /// Whether the focus called.
    pub(crate) is_called: bool,
    pub(crate) icid: Option<String>,
    /// Seconds since 1970.
    pub(crate) began_at: u64,
    pub(crate) joined_at: Option<u64>,
    pub(crate) ended_at: u64,
    pub(crate) cause: &'static str,
    pub(crate) mrfp: Option<String>,
    pub(crate) termination: Option<String>,
    /// As the MRFP named and counted them.
    pub(crate) statistics: Vec<(String, String)>,
}

impl Record {
    fn to_line(&self) -> String {
        let number = |text: &String| text.parse::<u64>().map_or(json!(text), |n| json!(n));
        let counts: Map<_, _> = self
            .statistics
            .iter()
            .map(|(name, value)| (name.clone(), number(value)))
            .collect();
        json!({
            "conference": self.conference,
            "leg": self.leg,
            "call_id": self.call_id,
            "uri": self.uri,
            "direction": if self.is_called { "out" } else { "in" },
            "icid": self.icid,
            "began_at": self.began_at,
            "joined_at": self.joined_at,
            "ended_at": self.ended_at,
            "cause": self.cause,
            "mrfp": self.mrfp,
            "termination": self.termination,
            "statistics": Value::Object(counts),
        })
        .to_string()
    }
}

impl Recorder {
    /// Appends to the file at `path`, which is made if it is not there.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let mut output = Output::open(path)?;
        let (sender, records) = sync_channel::<String>(RECORDS_MAX);
        let (done, is_done) = sync_channel(0);
        std::thread::Builder::new()
            .name("cdr".to_owned())
            .spawn(move || {
                for line in records {
                    if let Err(error) = output.write(&line) {
                        error!(%error, path = %output.path.display(), "call detail record lost");
                    }
                }
                drop::<SyncSender<()>>(done);
            })?;
        Ok(Self {
            records: Some(sender),
            is_done: Mutex::new(is_done),
        })
    }

    /// Hands the lines on, all of them, instead of writing them.
    #[cfg(test)]
    pub(crate) fn to_memory() -> (Self, Receiver<String>) {
        let (sender, records) = sync_channel(RECORDS_MAX);
        let recorder = Self {
            records: Some(sender),
            is_done: Mutex::new(sync_channel(0).1),
        };
        (recorder, records)
    }

    pub(crate) fn put(&self, record: &Record) {
        let sent = self.records.as_ref().map(|r| r.try_send(record.to_line()));
        if let Some(Err(TrySendError::Full(_))) = sent {
            warn!(leg = record.leg, "call detail record lost");
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.records = None;
        let is_done = self
            .is_done
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if is_done.recv_timeout(CLOSE_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            warn!("call detail records lost: the disk takes none");
        }
    }
}

/// The file. Whoever rotates it only has to move it away; a disk that was full is tried again.
#[derive(Debug)]
struct Output {
    path: PathBuf,
    file: File,
    /// The last line may have been written in part.
    is_torn: bool,
}

impl Output {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: append_to(path)?,
            is_torn: false,
        })
    }

    /// Writes a line. A record that nobody can read yet is worth little: each is written at once.
    fn write(&mut self, line: &str) -> io::Result<()> {
        if !self.is_in_place() {
            self.file = append_to(&self.path)?;
            self.is_torn = false;
        }
        let start = if self.is_torn { "\n" } else { "" };
        let written = self.file.write_all(format!("{start}{line}\n").as_bytes());
        self.is_torn = written.is_err();
        written
    }

    /// Whether the path still leads to what is open.
    fn is_in_place(&self) -> bool {
        let (Ok(there), Ok(ours)) = (fs::metadata(&self.path), self.file.metadata()) else {
            return false;
        };
        (there.dev(), there.ino()) == (ours.dev(), ours.ino())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let directory = std::env::temp_dir().join(format!("mrf-cdr-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        let (path, moved) = (directory.join("cdr"), directory.join("cdr.1"));
        let mut output = Output::open(&path).unwrap();
        output.write("one").unwrap();
        fs::rename(&path, &moved).unwrap();
        output.write("two").unwrap();
        output.write("three").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\nthree\n");
        // While it cannot be made, records are lost, and then no longer.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(output.write("four").is_err());
        fs::remove_dir(&path).unwrap();
        output.write("five").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "five\n");
        output.is_torn = true;
        output.write("six").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "five\n\nsix\n");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_it_took_is_written_when_it_is_dropped() {
        let path = std::env::temp_dir().join(format!("mrf-cdr-last-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let recorder = Recorder::open(&path).unwrap();
        for leg in 0..1_000 {
            let record = Record {
                leg,
                ..Record::default()
            };
            recorder.put(&record);
        }
        drop(recorder);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1_000);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_disk_costs_records_and_tears_no_later_line() {
        let mut output = Output {
            path: PathBuf::from("/dev/full"),
            file: append_to(Path::new("/dev/full")).unwrap(),
            is_torn: false,
        };
        assert!(output.write("one").is_err());
        assert!(output.is_torn);
    }

    #[test]
    fn a_record_is_one_line_of_json() {
        let record = Record {
            conference: "conference1".into(),
            leg: 7,
            uri: "sip:\"a\"@x\n".into(),
            cause: "departed",
            statistics: vec![("nt/os".into(), "1234".into()), ("x/y".into(), "z".into())],
            ..Record::default()
        };
        let line = record.to_line();
        assert!(!line.contains('\n'), "{line}");
        let value: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["leg"], 7);
        assert_eq!(value["direction"], "in");
        assert_eq!(value["statistics"]["nt/os"], 1234);
        assert_eq!(value["statistics"]["x/y"], "z");
        assert_eq!(value["icid"], Value::Null);
    }
}
