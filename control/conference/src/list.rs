//! Lists of whom to invite (RFC 4826 resource lists with the copy control of RFC 5364).

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Media type of a list.
pub const MEDIA_TYPE: &str = "application/resource-lists+xml";

/// Entries of one list.
pub const ENTRIES_MAX: usize = 200;

/// Octets of one list.
const LIST_BYTES_MAX: usize = 64 * 1024;

/// Reads the URIs of a list, each once, in order. What it refers to elsewhere is not fetched.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn read(xml: &[u8]) -> Result<Vec<String>, String> {
    if xml.len() > LIST_BYTES_MAX {
        return Err(format!("longer than {LIST_BYTES_MAX} octets"));
    }
    let xml = core::str::from_utf8(xml).map_err(|e| e.to_string())?;
    let mut reader = Reader::from_str(xml);
    let mut uris: Vec<String> = Vec::new();
    let mut is_list = false;
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Eof => break,
            Event::DocType(_) => return Err("a document type is not allowed".to_owned()),
            Event::Start(element) | Event::Empty(element) => {
                is_list |= element.local_name().as_ref() == "resource-lists";
                if let Some(uri) = entry(&element)?.filter(|uri| !uris.contains(uri)) {
                    if uris.len() >= ENTRIES_MAX {
                        return Err(format!("more than {ENTRIES_MAX} entries"));
                    }
                    uris.push(uri);
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
        Ok(uris)
    } else {
        Err("no resource-lists element".to_owned())
    }
}

fn entry(element: &BytesStart<'_>) -> Result<Option<String>, String> {
    if element.local_name().as_ref() != "entry" {
        return Ok(None);
    }
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        if attribute.key.local_name().as_ref() == "uri" {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            return Ok(Some(value.map_err(|e| e.to_string())?.into_owned()));
        }
    }
    Err("an entry without a uri".to_owned())
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
        assert_eq!(read(list).expect("a list"), expected);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let many = format!(
            "<resource-lists>{}</resource-lists>",
            (0..=ENTRIES_MAX)
                .map(|n| format!("<entry uri=\"sip:{n}@x\"/>"))
                .collect::<String>()
        );
        for text in [
            "",
            "<list/>",
            "<resource-lists><entry/></resource-lists>",
            "<!DOCTYPE a><resource-lists/>",
            "<resource-lists><entry uri='a'></resource-lists>",
            &many,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(&[0xff]).is_err());
    }
}
