//! Nicknames in a conference that spans shards: its home shard, which knows all who have one there,
//! decides. The request of a participant elsewhere is answered when it has.
//!
//! ```text
//! NICKNAME ─► Ask ─► home: free? then it is kept for the double ─► Granted, or Taken ─► 200, or 425
//! ```
//!
//! After the end of the home shard each of the others decides by what it knows.

use clock::Instant;
use msrp::StatusCode;

use crate::api::{ConnId, Octets, SessionKey, ShardIndex};
use crate::connection::Frame;
use crate::nickname::prepare;
use crate::refusal::Refusal;
use crate::session::SessionRef;
use crate::shard::Shard;
use crate::shipment::Parcel;

/// A nickname that was asked for at the home shard. At most one per session.
#[derive(Debug)]
pub(crate) struct Asked {
    session: SessionRef,
    conn: ConnId,
    home: ShardIndex,
    tid: Vec<u8>,
    from_path: Vec<u8>,
    nickname: String,
}

impl<B: Octets> Shard<B> {
    /// The other shard that decides about nicknames in the session's conference.
    pub(crate) fn nickname_home(&self, session: SessionRef) -> Option<ShardIndex> {
        let context = self.sessions[session.index as usize].context;
        let reach = self.contexts.get(&context)?.reach.as_deref()?;
        reach.home.filter(|home| *home != self.config.index)
    }

    /// Asks for a nickname; the request waits.
    pub(crate) fn ask_nickname(
        &mut self,
        (conn, session): (ConnId, SessionRef),
        home: ShardIndex,
        nickname: String,
        frame: &mut Frame,
    ) -> Result<(), Refusal> {
        if self.asked.iter().any(|asked| asked.session == session) {
            return Err(Refusal::NicknameAsked);
        }
        let key = self.sessions[session.index as usize].key;
        self.ship(home, |shipment| {
            let nickname = shipment.pack([nickname.as_bytes(), &[]]);
            Parcel::AskNickname {
                session: key,
                nickname,
            }
        });
        frame.is_deferred = true;
        self.asked.push(Asked {
            session,
            conn,
            home,
            tid: frame.tid.clone(),
            from_path: frame.from_path.clone(),
            nickname,
        });
        Ok(())
    }

    /// Decides about a nickname that a participant elsewhere wants.
    pub(crate) fn judge_nickname(
        &mut self,
        now: Instant,
        from: ShardIndex,
        key: SessionKey,
        nickname: &[u8],
    ) {
        let wanted = core::str::from_utf8(nickname).ok().and_then(prepare);
        let session = self.sessions.of_key(key);
        let is_granted = match (session, wanted) {
            (Some(session), Some(wanted)) if !self.is_nickname_taken(now, session, &wanted) => {
                self.keep_nickname(now, session);
                self.sessions[session.index as usize].nickname = Some(wanted);
                true
            }
            (Some(_) | None, _) => false,
        };
        self.ship(from, |_| Parcel::Nickname {
            session: key,
            is_granted,
        });
    }

    /// The home shard has decided.
    pub(crate) fn nickname_judged(&mut self, now: Instant, key: SessionKey, is_granted: bool) {
        let Some(session) = self.sessions.of_key(key) else {
            return;
        };
        let mut asked = self.asked.iter();
        let Some(at) = asked.position(|asked| asked.session == session) else {
            return;
        };
        let asked = self.asked.swap_remove(at);
        let status = if is_granted {
            StatusCode::OK
        } else {
            StatusCode::NICKNAME_TAKEN
        };
        if is_granted && let Some(wanted) = prepare(&asked.nickname) {
            self.take_granted(now, session, Some(wanted), asked.nickname.as_str().into());
        }
        self.answer_asked(&asked, status);
    }

    /// The home shard will not decide any more.
    pub(crate) fn drop_asked(&mut self, home: ShardIndex) {
        let asked = core::mem::take(&mut self.asked);
        let (lost, rest) = asked.into_iter().partition(|asked| asked.home == home);
        self.asked = rest;
        let lost: Vec<Asked> = lost;
        for asked in lost {
            self.answer_asked(&asked, StatusCode::TIMEOUT);
        }
    }

    /// A session that leaves its conference takes what it asked for back.
    pub(crate) fn forget_asked(&mut self, session: SessionRef) {
        self.asked.retain(|asked| asked.session != session);
    }

    fn answer_asked(&mut self, asked: &Asked, status: StatusCode) {
        let frame = Frame {
            tid: asked.tid.clone(),
            from_path: asked.from_path.clone(),
            answers_whole_path: true,
            session: Some(asked.session),
            answer: Some(status),
            ..Frame::default()
        };
        if self.session_at(asked.session).is_some() {
            self.answer(asked.conn, &frame);
        }
    }
}
