//! One recording: its messages in progress, each written where its octets belong.

use core::sync::atomic::Ordering;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use msrp::{Outcome, Reassembly};
use switch::{Recorded, RecordedPart, SessionKey, ShardIndex};

use super::limits::{MESSAGES_MAX, MESSAGES_OPEN_MAX};
use super::path::ending;
use super::{Open, Shared};

/// The file with one line for each message.
const INDEX: &str = "index.jsonl";

/// Why a part of a message was not recorded.
#[derive(Debug)]
pub(super) enum Fault {
    Full,
    /// A message finds no room, but the recording goes on.
    NoRoom,
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[derive(Debug)]
pub(super) struct Recording {
    place: PathBuf,
    index: File,
    /// Messages begun.
    count: u64,
    octets: u64,
    octets_max: u64,
    messages: HashMap<(ShardIndex, u64), Message>,
}

/// A message that has not ended.
#[derive(Debug)]
struct Message {
    name: String,
    file: File,
    sender: SessionKey,
    message_id: String,
    content_type: String,
    ranges: Reassembly,
}

impl Recording {
    /// Makes ready to write into the directory `place`. Numbers go on after those that are there.
    pub(super) fn open(place: &Path, open: &Open) -> io::Result<Self> {
        let mut count = 0;
        for entry in fs::read_dir(place)? {
            if !open.appends {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let name = entry?.file_name();
            let number = name.to_str().and_then(|n| n.split('.').next());
            let number = number.and_then(|n| n.parse().ok());
            count = count.max(number.unwrap_or(0));
        }
        let index = OpenOptions::new()
            .create(true)
            .append(true)
            .open(place.join(INDEX))?;
        Ok(Self {
            place: place.to_owned(),
            index,
            count,
            octets: 0,
            octets_max: open.octets_max,
            messages: HashMap::new(),
        })
    }

    /// Takes a part of a message.
    pub(super) fn take(
        &mut self,
        shard: ShardIndex,
        recorded: Recorded,
        shared: &Shared,
    ) -> Result<(), Fault> {
        let key = (shard, recorded.message);
        match recorded.part {
            RecordedPart::Begin {
                sender,
                message_id,
                content_type,
            } => self.begin(key, sender, &message_id, &content_type),
            RecordedPart::Piece { offset, octets } => {
                // A message whose beginning was lost is lost.
                let Some(message) = self.messages.get_mut(&key) else {
                    return Ok(());
                };
                let length = octets.len() as u64;
                self.octets = self.octets.saturating_add(length);
                if self.octets > self.octets_max {
                    return Err(Fault::Full);
                }
                message.file.write_all_at(&octets, offset)?;
                shared.octets.fetch_add(length, Ordering::Relaxed);
                match message.ranges.add(offset, length) {
                    Outcome::Added { .. } | Outcome::Duplicate => {}
                    // It will count as not complete, which errs on the safe side.
                    Outcome::BeyondTotal | Outcome::TooManyRanges => {}
                }
                Ok(())
            }
            RecordedPart::End {
                octets,
                is_complete,
            } => {
                if let Some(message) = self.messages.remove(&key) {
                    let is_here = message.ranges.contiguous_octets() >= octets;
                    self.end(&message, octets, is_complete && is_here, shared)?;
                }
                Ok(())
            }
        }
    }

    fn begin(
        &mut self,
        key: (ShardIndex, u64),
        sender: SessionKey,
        message_id: &[u8],
        content_type: &[u8],
    ) -> Result<(), Fault> {
        if self.count >= MESSAGES_MAX {
            return Err(Fault::Full);
        }
        if self.messages.len() >= MESSAGES_OPEN_MAX {
            return Err(Fault::NoRoom);
        }
        self.count += 1;
        let content_type = String::from_utf8_lossy(content_type).into_owned();
        let name = format!("{:06}.{}", self.count, ending(&content_type));
        let file = File::create_new(self.place.join(&name))?;
        let message = Message {
            name,
            file,
            sender,
            message_id: String::from_utf8_lossy(message_id).into_owned(),
            content_type,
            ranges: Reassembly::default(),
        };
        self.messages.insert(key, message);
        Ok(())
    }

    fn end(
        &mut self,
        message: &Message,
        octets: u64,
        is_complete: bool,
        shared: &Shared,
    ) -> io::Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let line = serde_json::json!({
            "file": message.name,
            "message-id": message.message_id,
            "content-type": message.content_type,
            "from": format!("msrp/{}", message.sender.termination),
            "stream": message.sender.stream,
            "octets": octets,
            "complete": is_complete,
            "ended": now.map_or(0, |t| t.as_secs()),
        });
        self.index.write_all(format!("{line}\n").as_bytes())?;
        shared.messages.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Ends it; messages in progress are as complete as they are.
    pub(super) fn close(&mut self, shared: &Shared) -> io::Result<()> {
        let messages = core::mem::take(&mut self.messages);
        for message in messages.into_values() {
            let octets = message.ranges.contiguous_octets();
            self.end(&message, octets, false, shared)?;
        }
        Ok(())
    }
}
