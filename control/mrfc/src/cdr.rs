//! Call detail records: one line of JSON a leg, written by a thread of its own.

use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use tracing::{error, warn};

/// Records that wait to be written; further ones are lost, and that is logged.
const RECORDS_MAX: usize = 4_096;

/// Takes records.
#[derive(Debug)]
pub(crate) struct Recorder(SyncSender<String>);

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
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let (sender, records) = sync_channel::<String>(RECORDS_MAX);
        std::thread::Builder::new()
            .name("cdr".to_owned())
            .spawn(move || write(file, records.iter()))?;
        Ok(Self(sender))
    }

    pub(crate) fn put(&self, record: &Record) {
        match self.0.try_send(record.to_line()) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => warn!(leg = record.leg, "call detail record lost"),
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

fn write(file: File, records: impl Iterator<Item = String>) {
    let mut file = BufWriter::new(file);
    for line in records {
        // A record that nobody can read yet is worth little: each is written at once.
        if let Err(error) = writeln!(file, "{line}").and_then(|()| file.flush()) {
            return error!(%error, "call detail records cannot be written any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
