//! Lists of whom to invite (RFC 4826 resource lists with the copy control of RFC 5364).

use crate::xml::attributes;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Media type of a list.
pub const MEDIA_TYPE: &str = "application/resource-lists+xml";

/// Entries of one list.
pub const ENTRIES_MAX: usize = 200;

/// Octets of one list.
const LIST_BYTES_MAX: usize = 64 * 1024;

/// Namespace of the copy control.
const COPY_CONTROL: &str = "urn:ietf:params:xml:ns:copycontrol";

/// Who stands for those that are not to be named.
const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// Whether the others may know that somebody was invited, and how (RFC 5364 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copy {
    /// A principal recipient.
    To,
    /// One that gets a copy.
    Cc,
    /// Nobody is told: what is not marked is taken for this, too.
    #[default]
    Bcc,
}

/// One entry of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Whom to invite.
    pub uri: String,
    /// Who may know.
    pub copy: Copy,
    /// Others may know that somebody was invited, and not who.
    pub is_anonymized: bool,
}

/// What those who are invited may know of the list (RFC 5364 5): a list again. None: nothing.
#[must_use]
pub fn history<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Option<String> {
    let mut shown: Vec<(&str, Copy, usize)> = Vec::new();
    for entry in entries {
        if entry.copy == Copy::Bcc {
            continue;
        }
        if !entry.is_anonymized {
            shown.push((&entry.uri, entry.copy, 1));
            continue;
        }
        // Those without a name are one entry with their number.
        let is_it =
            |(uri, copy, _): &&mut (&str, Copy, usize)| *uri == ANONYMOUS && *copy == entry.copy;
        match shown.iter_mut().find(is_it) {
            Some((_, _, count)) => *count += 1,
            None => shown.push((ANONYMOUS, entry.copy, 1)),
        }
    }
    if shown.is_empty() {
        return None;
    }
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\" xmlns:cp=\"{COPY_CONTROL}\"><list>"
    );
    for (uri, copy, count) in shown {
        let copy = if copy == Copy::To { "to" } else { "cc" };
        let uri = quick_xml::escape::escape(uri);
        let count = match count {
            1 => String::new(),
            several => format!(" cp:count=\"{several}\""),
        };
        text.push_str(&format!(
            "<entry uri=\"{uri}\" cp:copyControl=\"{copy}\"{count}/>"
        ));
    }
    text.push_str("</list></resource-lists>");
    Some(text)
}

/// Reads the entries of a list, each URI once, in order. What it refers to elsewhere is not fetched.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn read(xml: &[u8]) -> Result<Vec<Entry>, String> {
    if xml.len() > LIST_BYTES_MAX {
        return Err(format!("longer than {LIST_BYTES_MAX} octets"));
    }
    let xml = core::str::from_utf8(xml).map_err(|e| e.to_string())?;
    let mut reader = Reader::from_str(xml);
    let mut entries: Vec<Entry> = Vec::new();
    let mut is_list = false;
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Eof => break,
            Event::DocType(_) => return Err("a document type is not allowed".to_owned()),
            Event::Start(element) | Event::Empty(element) => {
                is_list |= element.local_name().as_ref() == "resource-lists";
                let is_new = |new: &Entry| entries.iter().all(|known| known.uri != new.uri);
                if let Some(entry) = entry(&element)?.filter(is_new) {
                    if entries.len() >= ENTRIES_MAX {
                        return Err(format!("more than {ENTRIES_MAX} entries"));
                    }
                    entries.push(entry);
                }
            }
            Event::End(_)
            | Event::Text(_)
            | Event::GeneralRef(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_) => {}
        }
    }
    if is_list {
        Ok(entries)
    } else {
        Err("no resource-lists element".to_owned())
    }
}

fn entry(element: &BytesStart<'_>) -> Result<Option<Entry>, String> {
    if element.local_name().as_ref() != "entry" {
        return Ok(None);
    }
    let mut entry = Entry::default();
    for (name, value) in attributes(element)? {
        match name.as_str() {
            "uri" => entry.uri = value,
            "copyControl" => {
                entry.copy = match value.as_str() {
                    "to" => Copy::To,
                    "cc" => Copy::Cc,
                    _ => Copy::Bcc,
                }
            }
            "anonymize" => entry.is_anonymized = matches!(value.as_str(), "true" | "1"),
            _ => {}
        }
    }
    if entry.uri.is_empty() {
        return Err("an entry without a uri".to_owned());
    }
    Ok(Some(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_everybody_once() {
        let list = b"<?xml version=\"1.0\"?><resource-lists \
            xmlns=\"urn:ietf:params:xml:ns:resource-lists\" \
            xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\"><list>\
            <entry uri=\"sip:bill@example.com\" cp:copyControl=\"to\"/>\
            <entry uri=\"sip:joe@example.org?a=b&amp;c=d\"><display-name>Joe</display-name></entry>\
            <entry uri=\"sip:bill@example.com\" cp:copyControl=\"bcc\"/></list></resource-lists>";
        let expected = ["sip:bill@example.com", "sip:joe@example.org?a=b&c=d"];
        let read = read(list).expect("a list");
        let uris: Vec<_> = read.iter().map(|entry| entry.uri.as_str()).collect();
        assert_eq!(uris, expected);
        assert_eq!([read[0].copy, read[1].copy], [Copy::To, Copy::Bcc]);
    }

    #[test]
    fn who_is_invited_learns_of_those_who_may_be_known() {
        let entry = |attributes: &str| format!("<entry {attributes}/>");
        let list = |entries: &[&str]| {
            let entries: String = entries.iter().map(|e| entry(e)).collect();
            read(format!("<resource-lists><list>{entries}</list></resource-lists>").as_bytes())
        };
        let read_list = list(&[
            "uri='sip:a@x?b&amp;c' cp:copyControl='to'",
            "uri='sip:b@x' cp:copyControl='cc' cp:anonymize='true'",
            "uri='sip:c@x' cp:copyControl='bcc'",
            "uri='sip:d@x' cp:copyControl='cc' cp:anonymize='1'",
            "uri='sip:e@x'",
        ]);
        let history_of = |entries: &[Entry]| history(entries);
        let shown = history_of(&read_list.expect("a list")).expect("some");
        let (_, entries) = shown.split_once("<list>").expect("a list");
        assert_eq!(
            entries,
            "<entry uri=\"sip:a@x?b&amp;c\" cp:copyControl=\"to\"/>\
             <entry uri=\"sip:anonymous@anonymous.invalid\" cp:copyControl=\"cc\" cp:count=\"2\"/>\
             </list></resource-lists>"
        );
        assert_eq!(read(shown.as_bytes()).expect("a list").len(), 2);
        let hidden = list(&["uri='sip:c@x' cp:copyControl='bcc'"]);
        assert_eq!(history_of(&hidden.expect("a list")), None);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let many = format!(
            "<resource-lists>{}</resource-lists>",
            (0..=ENTRIES_MAX)
                .map(|n| format!("<entry uri=\"sip:{n}@x\"/>"))
                .collect::<String>()
        );
        let attributes: String = (0..100).map(|n| format!("a{n}='' ")).collect();
        let strange = format!("<resource-lists><entry uri='a' {attributes}/></resource-lists>");
        for text in [
            "",
            "<list/>",
            "<resource-lists><entry/></resource-lists>",
            "<!DOCTYPE a><resource-lists/>",
            "<resource-lists><entry uri='a'></resource-lists>",
            &many,
            &strange,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(&[0xff]).is_err());
    }
}
