//! Nicknames in a conference that spans shards: its home shard, which knows all who have one there,
//! decides. The request of a participant elsewhere is answered when it has.
//!
//! ```text
//! NICKNAME ─► Ask ─► home: free? then it is kept for the double ─► Granted, or Taken ─► 200, or 425
//! ```
//!
//! After the end of the home shard another one is named, to which the rest tell what nicknames their
//! participants have, and which they keep for those who left. Until it has heard all, it grants none (408).

use clock::{Duration, Instant};
use msrp::StatusCode;

use crate::api::{ConnId, ContextKey, Octets, SessionKey, ShardIndex};
use crate::connection::Frame;
use crate::context::Kept;
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
    /// Prepared for comparison.
    wanted: Box<str>,
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
        (nickname, wanted): (String, Box<str>),
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
            wanted,
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
        let status = match (session, wanted) {
            (Some(session), Some(wanted)) => match self.check_nickname(now, session, &wanted) {
                Ok(()) => {
                    self.keep_nickname(now, session);
                    self.sessions[session.index as usize].nickname = Some(wanted);
                    StatusCode::OK
                }
                Err(refusal) => refusal.status(),
            },
            (Some(_) | None, _) => StatusCode::NICKNAME_TAKEN,
        };
        self.ship(from, |_| Parcel::Nickname {
            session: key,
            status,
        });
    }

    /// The home shard has decided.
    pub(crate) fn nickname_judged(&mut self, now: Instant, key: SessionKey, status: StatusCode) {
        let Some(session) = self.sessions.of_key(key) else {
            return;
        };
        let mut asked = self.asked.iter();
        let Some(at) = asked.position(|asked| asked.session == session) else {
            return;
        };
        let mut asked = self.asked.swap_remove(at);
        if status == StatusCode::OK {
            let nickname = core::mem::take(&mut asked.nickname).into_boxed_str();
            let wanted = core::mem::take(&mut asked.wanted);
            self.take_granted(now, session, Some(wanted), nickname);
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

    /// Another shard decides from here on, perhaps this one.
    pub(crate) fn rehome(&mut self, now: Instant, key: ContextKey, home: ShardIndex) {
        let Some(context) = self.contexts.get_mut(&key) else {
            return;
        };
        if let Some(reach) = &mut context.reach {
            reach.home = Some(home);
            if home == self.config.index {
                let told = core::mem::take(&mut reach.told);
                let others = reach.shards.iter().map(|(shard, _)| *shard);
                reach.awaited = others.filter(|shard| !told.contains(shard)).collect();
            }
        }
        if home != self.config.index {
            self.tell_nicknames(now, key, home);
        }
    }

    /// Tells another shard which nicknames participants here have, or had.
    fn tell_nicknames(&mut self, now: Instant, key: ContextKey, home: ShardIndex) {
        let Some(context) = self.contexts.get(&key) else {
            return;
        };
        let kept = context
            .kept_nicknames
            .iter()
            .filter(|kept| kept.until > now);
        let kept: Vec<Kept> = kept.cloned().collect();
        for session in context.sessions.clone() {
            let entry = &self.sessions[session.index as usize];
            let session = entry.key;
            if let Some(nickname) = entry.nickname.clone() {
                self.ship(home, |shipment| Parcel::Named {
                    session,
                    nickname: shipment.pack([nickname.as_bytes(), &[]]),
                });
            }
        }
        for kept in kept {
            self.ship(home, |shipment| {
                let mut pack = |text: &str| shipment.pack([text.as_bytes(), &[]]);
                Parcel::Kept {
                    context: key,
                    nickname: pack(&kept.nickname),
                    user: kept.user.as_deref().map(&mut pack),
                    rest: kept.until.since(now),
                }
            });
        }
        self.ship(home, |_| Parcel::Told(key));
    }

    /// A participant elsewhere has a nickname.
    pub(crate) fn learn_nickname(&mut self, now: Instant, key: SessionKey, nickname: &[u8]) {
        let nickname = core::str::from_utf8(nickname);
        if let (Some(session), Ok(nickname)) = (self.sessions.of_key(key), nickname) {
            self.keep_nickname(now, session);
            self.sessions[session.index as usize].nickname = Some(nickname.into());
        }
    }

    /// A nickname is kept for somebody who had it.
    pub(crate) fn learn_kept(
        &mut self,
        now: Instant,
        context: ContextKey,
        (nickname, user): (&[u8], Option<&[u8]>),
        rest: Duration,
    ) {
        let text = |octets| core::str::from_utf8(octets).ok().map(Box::from);
        if let (Some(context), Some(nickname)) = (self.contexts.get_mut(&context), text(nickname)) {
            let kept = Kept {
                nickname,
                user: user.and_then(text),
                until: now + rest,
            };
            context.keep_nickname(now, kept);
        }
    }

    /// Another shard has told all of them.
    pub(crate) fn note_told(&mut self, from: ShardIndex, context: ContextKey) {
        let own = self.config.index;
        let context = self.contexts.get_mut(&context);
        let Some(reach) = context.and_then(|context| context.reach.as_mut()) else {
            return;
        };
        if reach.home == Some(own) {
            reach.awaited.retain(|awaited| *awaited != from);
        } else if !reach.told.contains(&from) {
            reach.told.push(from);
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
