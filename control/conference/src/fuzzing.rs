//! Body of a fuzz target, also run as a unit test.

use crate::info::Document;
use crate::list;

/// Reads a list of whom to invite and a document of the conference event package: what is written of what was
/// read is read alike.
pub fn documents(data: &[u8]) {
    if let Ok(entries) = list::read(data)
        && let Some(history) = list::history(&entries)
    {
        let shown = list::read(history.as_bytes()).expect("what we write can be read");
        assert!(shown.len() <= entries.len());
        assert!(shown.iter().all(|entry| entry.copy != list::Copy::Bcc));
    }
    if let Ok(document) = Document::read(data) {
        let read = Document::read(document.to_xml().as_bytes());
        let read = read.expect("what we write can be read");
        assert_eq!(read.version, document.version);
        if document.state != crate::info::State::Deleted {
            assert_eq!(read.users.len(), document.users.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_written_as_they_were_read() {
        documents(
            b"<resource-lists><list><entry uri='sip:a@x?b&amp;c' copyControl='to'/>\
              <entry uri='sip:b@x' copyControl='cc' anonymize='1'/></list></resource-lists>",
        );
        documents(
            b"<conference-info entity='sip:c@x' version='3'><users><user entity='sip:a&#10;&lt;'>\
              <display-text>&#1;\"&amp;</display-text><endpoint entity='e'><status>on-hold</status></endpoint>\
              </user></users></conference-info>",
        );
        documents(b"<conference-info version='4294967295' state='deleted'><users><user/></users></conference-info>");
        documents(&[0xff]);
    }
}
