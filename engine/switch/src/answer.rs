//! Answers to requests, and the frame they answer.

use msrp::{ByteRange, FailureReport, Head, Method, Start, StatusCode};

use crate::api::{ConnId, Octets};
use crate::connection::Frame;
use crate::session::SessionRef;
use crate::shard::Shard;

impl<B: Octets> Shard<B> {
    /// The REPORT about a message that came again, when all recipients have had it already. When
    /// they have not, the one about the first time is still to come.
    pub(crate) fn report_repeat(&mut self, conn: ConnId, frame: &Frame) {
        let repeats = frame.repeats.filter(|r| r.reports_success);
        let session = frame.session.and_then(|s| self.session_at(s));
        let (Some(repeats), Some(session)) = (repeats, session) else {
            return;
        };
        let range = ByteRange::whole(repeats.octets);
        let (to, id) = (&frame.from_path, &frame.message_id);
        self.send_report(conn, session, to, id, range, StatusCode::OK);
    }

    /// Writes the response to a request: to the leftmost From-Path URI for SEND, to all of them
    /// for other methods (RFC 4975 7.2).
    pub(crate) fn answer(&mut self, conn: ConnId, frame: &Frame) {
        let Some(status) = frame.answer else { return };
        let to = if frame.answers_whole_path {
            frame.from_path.as_slice()
        } else {
            first_uri(&frame.from_path)
        };
        let own = self.answering_session(conn, frame);
        // The path is taken out for the moment: the whole shard is needed to queue a frame.
        let own = own.map(|s| {
            let path = &mut self.sessions[s.index as usize].config.local_path;
            (s, core::mem::take(path))
        });
        let from = own.as_ref().map_or(first_uri(&frame.to_path), |(_, p)| p);
        if !from.is_empty() {
            self.queue_frame(conn, frame.session, |out| {
                msrp::write::response(out, &frame.tid, status, to, from);
            });
        }
        if let Some((session, path)) = own {
            self.sessions[session.index as usize].config.local_path = path;
        }
    }

    /// Whose path a response comes from: that of the session asked for or, when the head is too
    /// broken to tell, of one that the connection carries. Without either the To-Path is sent back.
    fn answering_session(&self, conn: ConnId, frame: &Frame) -> Option<SessionRef> {
        if let Some(session) = frame.session {
            return self.session_at(session);
        }
        let connection = self.conns.get(conn)?;
        let carried = connection.sessions.first().filter(|_| frame.is_faulty)?;
        self.session_at(*carried)
    }
}

/// The leftmost URI of a path.
fn first_uri(path: &[u8]) -> &[u8] {
    path.split(|&c| c == b' ').next().unwrap_or_default()
}

/// The To-Path's URI when it holds exactly one, as it must at an endpoint (RFC 4975 7.3).
pub(crate) fn sole_uri<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    let mut uris = head.to_path.split(|&c| c == b' ').filter(|u| !u.is_empty());
    let uri = uris.next()?;
    uris.next().is_none().then_some(uri)
}

impl Frame {
    /// Starts over with another request, allocations kept.
    pub(crate) fn begin(&mut self, head: &Head<'_>) {
        for (kept, text) in [
            (&mut self.tid, head.transaction_id),
            (&mut self.from_path, head.from_path),
            (&mut self.to_path, head.to_path),
            (&mut self.message_id, head.message_id.unwrap_or_default()),
        ] {
            kept.clear();
            kept.extend_from_slice(text);
        }
        self.held.clear();
        self.bodiless = None;
        self.answer = None;
        self.failure_report = head.failure_report;
        self.answers_whole_path = !matches!(head.start, Start::Request(Method::Send));
        self.is_faulty = head.fault.is_some();
        self.is_deferred = false;
        self.session = None;
        self.chunk = None;
        self.repeats = None;
    }

    /// 200, or silence when the sender does not want it (RFC 4975 7.2).
    pub(crate) fn success_answer(&self) -> Option<StatusCode> {
        match self.failure_report {
            FailureReport::Yes => Some(StatusCode::OK),
            FailureReport::Partial | FailureReport::No => None,
        }
    }
}
