//! Finding where a head ends, without judging its fields.

use memchr::memchr;

use crate::deframe::{Fatal, Flag};
use crate::end_mark::{EndMark, Match};
use crate::head::Start;
use crate::limits::Limits;
use crate::start_line::{self, MAGIC};

/// Is told what a scan finds, in order.
pub(crate) trait Sink<'a> {
    /// The start line, `bytes` long with its CRLF, at once when it is whole.
    fn start(&mut self, bytes: usize, transaction_id: &'a [u8], start: Start<'a>);
    /// Each header line, without its CRLF.
    fn line(&mut self, index: usize, line: &'a [u8]);
}

/// For scans that are to be repeated when the head is whole.
pub(crate) struct Unheard;

impl<'a> Sink<'a> for Unheard {
    fn start(&mut self, _: usize, _: &'a [u8], _: Start<'a>) {}
    fn line(&mut self, _: usize, _: &'a [u8]) {}
}

/// A scan that can pause at any octet.
///
/// `line_at ≤ seek ≤ octets seen`.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadScan {
    /// Where the current line begins; 0 until the start line is complete.
    line_at: u32,
    /// Everything between `line_at` and here is known to hold no CRLF.
    seek: u32,
    headers: u16,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// The head goes on beyond the octets given.
    More,
    /// A blank line follows the first `head_bytes` octets.
    Blank { head_bytes: usize },
    /// An end-line follows the first `head_bytes` octets and ends at `frame_bytes`.
    EndLine {
        head_bytes: usize,
        frame_bytes: usize,
        flag: Flag,
    },
}

impl HeadScan {
    /// Scans on over `text`, which always begins at the start line.
    pub(crate) fn run<'a>(
        &mut self,
        text: &'a [u8],
        mark: &mut EndMark,
        limits: &Limits,
        sink: &mut impl Sink<'a>,
    ) -> Result<Scanned, Fatal> {
        if self.line_at == 0 {
            let Some(line) = complete_start_line(text, limits)? else {
                return Ok(Scanned::More);
            };
            let (transaction_id, start) = start_line::parse(line)?;
            *mark = EndMark::new(transaction_id);
            sink.start(line.len() + 2, transaction_id, start);
            self.next_line_at(line.len() + 2);
        }
        let head_bytes_max = usize::try_from(limits.head_bytes_max).unwrap_or(usize::MAX);
        let too_long = Fatal::HeadTooLong {
            limit_bytes: limits.head_bytes_max,
        };
        while let Some(line_end) = self.seek_line_end(text) {
            let head_bytes = as_index(self.line_at);
            let line = &text[head_bytes..line_end];
            match line {
                [b'\r', b'\n'] => return Ok(Scanned::Blank { head_bytes }),
                [b'-', ..] => {
                    if let Match::Complete { flag, .. } = mark.judge_bare(line) {
                        return Ok(Scanned::EndLine {
                            head_bytes,
                            frame_bytes: line_end,
                            flag,
                        });
                    }
                }
                _ => {}
            }
            if line_end > head_bytes_max {
                return Err(too_long);
            }
            if self.headers == limits.headers_max {
                return Err(Fatal::TooManyHeaders {
                    limit: limits.headers_max,
                });
            }
            sink.line(usize::from(self.headers), &line[..line.len() - 2]);
            self.headers += 1;
            self.next_line_at(line_end);
        }
        // Too long for a header line, and too long to become an end-line.
        let line_bytes = text.len() - as_index(self.line_at);
        if text.len() > head_bytes_max && line_bytes > mark.octets().len() + 3 {
            return Err(too_long);
        }
        Ok(Scanned::More)
    }

    /// Where the current line ends, past its CRLF. A bare LF does not end a line.
    fn seek_line_end(&mut self, text: &[u8]) -> Option<usize> {
        while let Some(found) = memchr(b'\n', &text[as_index(self.seek)..]) {
            let at = as_index(self.seek) + found;
            if at > as_index(self.line_at) && text[at - 1] == b'\r' {
                return Some(at + 1);
            }
            self.seek = as_position(at + 1);
        }
        None
    }

    fn next_line_at(&mut self, at: usize) {
        self.line_at = as_position(at);
        self.seek = self.line_at;
    }
}

/// The start line without its CRLF, once it is there.
fn complete_start_line<'a>(text: &'a [u8], limits: &Limits) -> Result<Option<&'a [u8]>, Fatal> {
    let common = text.len().min(MAGIC.len());
    if text[..common] != MAGIC[..common] {
        return Err(Fatal::NotMsrp);
    }
    let limit = usize::try_from(limits.start_line_bytes_max).unwrap_or(usize::MAX);
    let window = limit.saturating_add(2);
    match memchr(b'\n', &text[..text.len().min(window)]) {
        Some(at) => match text[..at].split_last() {
            Some((b'\r', line)) => Ok(Some(line)),
            _ => Err(Fatal::BareLineFeed),
        },
        None if text.len() >= window => Err(Fatal::StartLineTooLong {
            limit_bytes: limits.start_line_bytes_max,
        }),
        None => Ok(None),
    }
}

fn as_index(position: u32) -> usize {
    usize::try_from(position).expect("a head position fits in memory")
}

/// Positions never pass the head limit by more than one line scanned in place.
fn as_position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
