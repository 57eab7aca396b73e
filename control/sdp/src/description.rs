//! A session description and its media lines.

use sdp_types::{Connection, Session};

use crate::Choice;
use crate::limits::{ALTERNATIVES_MAX, MEDIA_LINES_MAX, TEXT_BYTES_MAX};
use crate::message::{MessageError, MessageMedia};
use crate::normalise;

/// One parsed session description.
#[derive(Clone, Debug)]
pub struct Description {
    session: Session,
    ports_to_choose: Vec<bool>,
    source: Vec<u8>,
}

/// An `m=` line of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaLine<'a> {
    /// Position among the `m=` lines, from 0.
    pub index: usize,
    /// `message`, `audio`, …
    pub kind: &'a str,
    /// Port; 0 = refused.
    pub port: Choice<u16>,
    /// `TCP/MSRP`, `RTP/AVP`, …
    pub proto: &'a str,
    /// Format list as written.
    pub format: &'a str,
}

impl Description {
    /// Parses one session description.
    ///
    /// Forgiven: any line end, blanks around lines, missing `v=`, `o=`, `s=`, `t=`, order of lines
    /// within a section, `$` in `c=`, `m=` and `a=path` (H.248), an `m=` line without format.
    ///
    /// # Errors
    ///
    /// [`ParseError`]: the peer's fault, a 488 in SIP or a 474 in H.248.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        check_length(text)?;
        Self::from_lines(normalise::lines(text))
    }

    /// Parses the session descriptions of an H.248 Local or Remote, most preferred first; each
    /// further one starts with `v=` (H.248.1 section 7.1.8).
    ///
    /// # Errors
    ///
    /// As [`Self::parse`]; one bad alternative spoils all.
    pub fn parse_alternatives(text: &[u8]) -> Result<Vec<Self>, ParseError> {
        check_length(text)?;
        let lines: Vec<&[u8]> = normalise::lines(text).collect();
        let mut rest = lines.as_slice();
        let mut all = Vec::new();
        while !rest.is_empty() {
            if all.len() == ALTERNATIVES_MAX {
                return Err(ParseError::TooManyAlternatives);
            }
            let count = 1 + rest[1..]
                .iter()
                .take_while(|l| !l.starts_with(b"v="))
                .count();
            let (first, others) = rest.split_at(count);
            all.push(Self::from_lines(first.iter().copied())?);
            rest = others;
        }
        Ok(all)
    }

    fn from_lines<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Self, ParseError> {
        let mut source = Vec::with_capacity(normalise::TEXT_OCTETS);
        let normalised = normalise::normalise(lines.inspect(|line| {
            source.extend_from_slice(line);
            source.extend_from_slice(b"\r\n");
        }));
        if normalised.ports_to_choose.len() > MEDIA_LINES_MAX {
            return Err(ParseError::TooManyMedia);
        }
        if normalised.text.is_empty() {
            return Err(ParseError::Empty);
        }
        let session = Session::parse(&normalised.text).map_err(|e| fault(&e))?;
        Ok(Self {
            session,
            ports_to_choose: normalised.ports_to_choose,
            source,
        })
    }

    /// Every `m=` line in order.
    pub fn media(&self) -> impl Iterator<Item = MediaLine<'_>> {
        self.session
            .medias
            .iter()
            .enumerate()
            .map(|(index, media)| MediaLine {
                index,
                kind: &media.media,
                port: self.port(index),
                proto: &media.proto,
                format: &media.fmt,
            })
    }

    /// The first `m=message` line over MSRP that is not refused (port 0), with all that applies
    /// to it.
    ///
    /// # Errors
    ///
    /// [`MessageError`] says what is missing or malformed.
    pub fn message(&self) -> Result<MessageMedia, MessageError> {
        MessageMedia::find(self)
    }

    /// The whole description, for what has no helper here.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The text as it came, with CRLF line ends and without blanks around lines.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    pub(crate) fn port(&self, index: usize) -> Choice<u16> {
        if self.ports_to_choose.get(index).copied().unwrap_or(false) {
            return Choice::Choose;
        }
        Choice::Given(self.session.medias[index].port)
    }

    /// The `c=` line that applies to a media line.
    pub(crate) fn connection(&self, index: usize) -> Option<&Connection> {
        self.session.medias[index]
            .connections
            .first()
            .or(self.session.connection.as_ref())
    }

    /// An attribute of the media line, else of the session.
    pub(crate) fn attribute(&self, index: usize, name: &str) -> Option<&str> {
        let of_media = value_of(&self.session.medias[index].attributes, name);
        of_media.or_else(|| value_of(&self.session.attributes, name))
    }

    /// All values of an attribute: those of the media line or, when it has none, of the session.
    pub(crate) fn attributes(&self, index: usize, name: &str) -> impl Iterator<Item = &str> {
        let of_media = &self.session.medias[index].attributes;
        let has_own = value_of(of_media, name).is_some();
        let attributes = if has_own {
            of_media
        } else {
            &self.session.attributes
        };
        let named = move |a: &&sdp_types::Attribute| a.attribute.trim().eq_ignore_ascii_case(name);
        attributes
            .iter()
            .filter(named)
            .map(|a| a.value.as_deref().unwrap_or_default().trim())
    }

    /// An attribute of the media line only.
    pub(crate) fn media_attribute(&self, index: usize, name: &str) -> Option<&str> {
        value_of(&self.session.medias[index].attributes, name)
    }
}

/// The value of an attribute: empty for a flag.
fn value_of<'a>(attributes: &'a [sdp_types::Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|a| a.attribute.trim().eq_ignore_ascii_case(name))
        .map(|a| a.value.as_deref().unwrap_or_default().trim())
}

fn check_length(text: &[u8]) -> Result<(), ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        Err(ParseError::TooLong)
    } else {
        Ok(())
    }
}

fn fault(error: &sdp_types::ParserError) -> ParseError {
    ParseError::Syntax(error.to_string())
}

/// Why a text is no session description: the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No line in it.
    #[error("empty session description")]
    Empty,
    /// Against RFC 4566; the text names the line.
    #[error("{0}")]
    Syntax(String),
    /// Longer than [`TEXT_BYTES_MAX`].
    #[error("session description longer than {TEXT_BYTES_MAX} octets")]
    TooLong,
    /// More `m=` lines than [`MEDIA_LINES_MAX`].
    #[error("more than {MEDIA_LINES_MAX} m= lines")]
    TooManyMedia,
    /// More alternatives than [`ALTERNATIVES_MAX`].
    #[error("more than {ALTERNATIVES_MAX} alternative session descriptions")]
    TooManyAlternatives,
}
