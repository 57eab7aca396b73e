//! Reading a document: what it does not know is skipped.

use super::{DEPARTURES, Document, Endpoint, JOININGS, STATES, STATUSES, User, meaning};
use crate::xml::attributes;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Octets of a document that is read.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Users of a document that is read.
const USERS_MAX: usize = 10_000;

impl Document {
    /// Reads a document; what it does not know is skipped. No DTD and no entity of its own is
    /// followed.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn read(xml: &[u8]) -> Result<Self, String> {
        if xml.len() > DOCUMENT_BYTES_MAX {
            return Err(format!("longer than {DOCUMENT_BYTES_MAX} octets"));
        }
        let xml = core::str::from_utf8(xml).map_err(|e| e.to_string())?;
        let mut reader = Reader::from_str(xml);
        let mut reading = Reading::default();
        loop {
            match reader.read_event().map_err(|e| e.to_string())? {
                Event::Eof => break,
                Event::DocType(_) => return Err("a document type is not allowed".to_owned()),
                Event::Start(element) => reading.open(&element)?,
                Event::Empty(element) => {
                    reading.open(&element)?;
                    reading.close();
                }
                Event::End(_) => reading.close(),
                Event::Text(text) => {
                    reading.text.push_str(&text.xml10_content());
                }
                Event::GeneralRef(entity) => {
                    let text = format!("&{};", &*entity);
                    let text = quick_xml::escape::unescape(&text).map_err(|e| e.to_string())?;
                    reading.text.push_str(&text);
                }
                Event::CData(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
        if !reading.is_seen {
            return Err("no conference-info element".to_owned());
        }
        Ok(reading.document)
    }
}

/// A document being read.
#[derive(Default)]
struct Reading {
    document: Document,
    /// Local names of the open elements.
    path: Vec<String>,
    text: String,
    is_seen: bool,
}

impl Reading {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        let name = element.local_name().as_ref().to_owned();
        let attributes = attributes(element)?;
        let take = |key: &str| {
            attributes
                .iter()
                .find(|(k, _)| k == key)
                .map(|(_, v)| v.clone())
        };
        let state = take("state").and_then(|word| meaning(&STATES, &word));
        let state = state.unwrap_or_default();
        let entity = take("entity").unwrap_or_default();
        match (self.path.last().map(String::as_str), name.as_str()) {
            (None, "conference-info") => {
                self.is_seen = true;
                self.document.entity = entity;
                self.document.state = state;
                let version = take("version").and_then(|v| v.trim().parse().ok());
                self.document.version = version.ok_or("no version")?;
            }
            (Some("users"), "user") => {
                if self.document.users.len() >= USERS_MAX {
                    return Err(format!("more than {USERS_MAX} users"));
                }
                self.document.users.push(User {
                    entity,
                    state,
                    nickname: take("nickname"),
                    ..User::default()
                });
            }
            (Some("user"), "endpoint") => {
                if let Some(user) = self.document.users.last_mut() {
                    user.endpoints.push(Endpoint {
                        entity,
                        ..Endpoint::default()
                    });
                }
            }
            _ => {}
        }
        self.path.push(name);
        self.text.clear();
        Ok(())
    }

    fn close(&mut self) {
        let Some(name) = self.path.pop() else {
            return;
        };
        let text = core::mem::take(&mut self.text).trim().to_owned();
        let parent = self.path.last().map(String::as_str);
        match (parent, name.as_str()) {
            (Some("conference-state"), "user-count") => {
                self.document.user_count = text.parse().ok();
            }
            (Some("conference-state"), "locked") => {
                self.document.is_locked = matches!(text.as_str(), "true" | "1");
            }
            _ => {}
        }
        let Some(user) = self.document.users.last_mut() else {
            return;
        };
        match (parent, name.as_str(), user.endpoints.last_mut()) {
            (Some("user"), "display-text", _) => user.display = Some(text),
            (Some("roles"), "entry", _) => user.is_moderator |= text == "moderator",
            (Some("endpoint"), "status", Some(endpoint)) => {
                endpoint.status = meaning(&STATUSES, &text).unwrap_or_default();
            }
            (Some("endpoint"), "joining-method", Some(endpoint)) => {
                endpoint.joining = meaning(&JOININGS, &text);
            }
            (Some("endpoint"), "disconnection-method", Some(endpoint)) => {
                endpoint.departure = meaning(&DEPARTURES, &text);
            }
            (Some("sip"), name, Some(endpoint)) => {
                let dialog = endpoint.dialog.get_or_insert_default();
                match name {
                    "call-id" => dialog.call_id = text,
                    "from-tag" => dialog.from_tag = text,
                    "to-tag" => dialog.to_tag = text,
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
