//! `mrf chat`: a participant in the terminal.
//!
//! What others say goes to standard output, one line each; everything else goes to standard error.

mod command;
mod files;
mod lines;
mod render;
mod roster;

use core::time::Duration;
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail};
use conference::info::{Document, MEDIA_TYPE};
use sip::{Answer, Event as SipEvent, Method};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::cli::ChatArgs;
use crate::cpim::{self, Content, Envelope};
use crate::limits::{ANSWER_WITHIN, BYE_WITHIN, GOODBYE_WITHIN, UNANSWERED_MAX};
use crate::logging;
use crate::msrp_client::{Credentials, Event, Message, Nickname, Outgoing};
use crate::participant::{Caller, Joined, Target};
use crate::values::LogFormat;
use command::Typed;
use roster::Roster;

/// Takes part in a conference until the user, or the conference, ends it.
///
/// # Errors
///
/// When joining fails, the connection is lost, or a message was not delivered.
pub fn run(args: ChatArgs) -> anyhow::Result<()> {
    let _log =
        logging::start(LogFormat::Text, logging::OF_CLIENTS, 0).map_err(|error| anyhow!(error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(talk(args))
}

async fn talk(args: ChatArgs) -> anyhow::Result<()> {
    let is_secure = args.is_secure();
    let name = args.name.unwrap_or_else(own_name);
    let target = Target::resolve(&args.uri, args.via.as_ref()).await?;
    let session = msrp::session_id(rand::random());
    let session = String::from_utf8_lossy(session.as_bytes()).into_owned();
    let from = |local: core::net::SocketAddr| format!("sip:{name}@{local}");
    let caller = Caller::bind(&target, args.tls_ca.clone(), from, &session).await?;
    let mut caller = caller.knowing_rooms();
    if is_secure {
        caller = caller.secured(Credentials::new(args.tls_ca)?);
    }
    // Nobody answers for half a minute where the address is wrong.
    eprintln!("calling {} by {}", target.uri, target.via);
    let outcome = caller.invite(&target, Vec::new()).await?;
    let response = &outcome.response;
    // Made here: every real one says whom it is for.
    if response.headers.to().is_none() {
        let why = match response.code {
            408 => "no answer",
            _ => "no connection",
        };
        bail!("{} cannot be reached by {}: {why}", target.uri, target.via);
    }
    if !(200..300).contains(&response.code) {
        let warning = response.headers.get("Warning").unwrap_or_default();
        bail!(
            "{} refused the call: {} {} {warning}",
            target.uri,
            response.code,
            response.reason
        );
    }
    let from = caller.from().to_owned();
    let joined = caller.accept(&outcome).await?.connect(false).await?;
    let chat = Chat {
        form: Form::of(&joined.media.accept_types)?,
        max_bytes: joined.media.max_size,
        joined,
        name,
        from,
        to: target.uri,
        save: args.save,
        waiting: HashMap::new(),
        failures: 0,
        lost: None,
        roster: Roster::default(),
    };
    chat.run().await
}

/// The name of the system's user, if it can be one here.
fn own_name() -> String {
    let name = std::env::var("USER").ok();
    name.filter(|name| user_name(name).is_ok())
        .unwrap_or_else(|| "guest".to_owned())
}

/// A name that can stand in a URI and on a line.
pub(crate) fn user_name(name: &str) -> Result<String, &'static str> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || !name.chars().all(is_legal) {
        return Err("expected letters, digits, `.`, `_` or `-`");
    }
    Ok(name.to_owned())
}

/// A Message-ID.
fn fresh_id() -> String {
    let id = msrp::message_id(rand::random());
    String::from_utf8_lossy(id.as_bytes()).into_owned()
}

/// How a line is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// In `message/cpim`, so that others see who speaks.
    Wrapped,
    /// As `text/plain`.
    Plain,
}

impl Form {
    /// The best form that the conference takes.
    fn of(accept_types: &[String]) -> anyhow::Result<Self> {
        let takes = |names: &[&str]| {
            let is = |accepted: &String| names.iter().any(|n| accepted.eq_ignore_ascii_case(n));
            accept_types.iter().any(is)
        };
        if takes(&["*", "message/*", "message/cpim"]) {
            Ok(Self::Wrapped)
        } else if takes(&["text/*", "text/plain"]) {
            Ok(Self::Plain)
        } else {
            bail!("the conference takes neither message/cpim nor text/plain")
        }
    }
}

struct Chat {
    joined: Joined,
    form: Form,
    /// Octets of the largest message the conference takes.
    max_bytes: Option<u64>,
    name: String,
    from: String,
    to: String,
    /// Where files are put that come.
    save: Option<PathBuf>,
    /// Messages without their answer, by Message-ID.
    waiting: HashMap<String, Waiting>,
    failures: usize,
    /// Why the connection is gone, and until when a BYE may explain it.
    lost: Option<(String, Instant)>,
    roster: Roster,
}

/// Something that was sent.
struct Waiting {
    /// When it counts as lost.
    until: Instant,
    /// What to say when it failed.
    failure: &'static str,
}

enum Next {
    Go,
    Leave,
    /// The other side left; there is no dialog any more.
    Over,
}

impl Chat {
    async fn run(mut self) -> anyhow::Result<()> {
        self.bind().await?;
        eprintln!(
            "in {} as {}; /quit leaves, /help tells more",
            self.to, self.name
        );
        self.watch().await;
        let mut lines = lines::of_stdin();
        let end = self.converse(&mut lines).await;
        let is_over = matches!(end, Ok(Next::Over));
        if !is_over {
            let is_lost = end.is_err();
            let bye = self.joined.sip.bye(self.joined.dialog);
            match timeout(GOODBYE_WITHIN, bye).await {
                Ok(outcome) if !is_lost => drop(outcome?),
                Err(_) if !is_lost => eprintln!("nobody answered the goodbye"),
                Ok(_) | Err(_) => {}
            }
        }
        end?;
        match self.failures {
            0 => Ok(()),
            count => bail!("{count} not delivered"),
        }
    }

    /// A SEND without body binds the connection to the session (RFC 4975 section 5.4); once it is
    /// answered, nothing that others say is missed.
    async fn bind(&mut self) -> anyhow::Result<()> {
        self.send(Outgoing::default()).await?;
        while !self.waiting.is_empty() {
            let deadline = self.deadline();
            tokio::select! {
                event = self.joined.msrp.next_event(), if self.lost.is_none() => self.heard(event),
                () = sleep_until(deadline) => self.give_up()?,
            };
        }
        match self.failures {
            0 => Ok(()),
            _ => bail!("the conference did not take the MSRP connection"),
        }
    }

    /// Asks who takes part, and to be told of changes; a conference that does not tell says so, and
    /// that is all.
    async fn watch(&self) {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![
            field("Event", "conference"),
            field("Accept", MEDIA_TYPE),
            field("Expires", "86400"),
        ];
        let (dialog, handle) = (self.joined.dialog, self.joined.sip.handle());
        handle
            .request(dialog, Method::Subscribe, headers, Vec::new())
            .await;
    }

    /// A NOTIFY: the code to answer it with.
    fn notified(&mut self, body: &[u8], state: &str) -> u16 {
        let Ok(document) = Document::read(body) else {
            return 400;
        };
        for line in self.roster.take(&document) {
            eprintln!("* {line}");
        }
        // Where the conference is over, the call is about to be, too.
        if state.starts_with("terminated") && !state.contains("noresource") {
            let state = render::plain(state);
            eprintln!("* from here on nobody tells who comes and goes ({state})");
        }
        200
    }

    async fn converse(&mut self, lines: &mut mpsc::Receiver<String>) -> anyhow::Result<Next> {
        let mut is_leaving = false;
        // Whoever leaves by ^C says goodbye, too; a second one ends it at once.
        let mut interrupt = signal(SignalKind::interrupt())?;
        while !(is_leaving && self.waiting.is_empty()) {
            let is_open = self.lost.is_none();
            let may_type = !is_leaving && is_open && self.waiting.len() < UNANSWERED_MAX;
            let deadline = self.deadline();
            let next = tokio::select! {
                line = lines.recv(), if may_type => self.typed(line).await?,
                event = self.joined.msrp.next_event(), if is_open => self.heard(event),
                event = self.joined.sip.next_event() => self.signalled(event).await?,
                () = sleep_until(deadline) => self.give_up()?,
                _ = interrupt.recv() => if is_leaving { return Ok(Next::Leave) } else { Next::Leave },
            };
            match next {
                Next::Go => {}
                Next::Leave => is_leaving = true,
                Next::Over => return Ok(Next::Over),
            }
        }
        Ok(Next::Leave)
    }

    async fn typed(&mut self, line: Option<String>) -> anyhow::Result<Next> {
        let Some(line) = line else {
            return Ok(Next::Leave);
        };
        match command::read(line.trim_end()) {
            Ok(Typed::Nothing) => {}
            Ok(Typed::Quit) => return Ok(Next::Leave),
            Ok(Typed::Help) => eprint!("{}", command::HELP),
            Ok(Typed::Who) => {
                let nobody_told = || "the conference does not tell who is here".to_owned();
                eprintln!("* {}", self.roster.all().unwrap_or_else(nobody_told));
            }
            Ok(Typed::Text(text)) => self.say(&self.to.clone(), Content::Text(text)).await?,
            Ok(Typed::Private { name, text }) => self.whisper(name, text).await?,
            Ok(Typed::Nickname(name)) => self.ask_nickname(name).await?,
            Ok(Typed::File(path)) => match files::read(path) {
                Ok(file) => {
                    let content = Content::File {
                        name: &file.name,
                        media_type: file.media_type,
                        octets: &file.octets,
                    };
                    self.say(&self.to.clone(), content).await?;
                }
                Err(error) => self.refuse(&format!("{path}: {error}")),
            },
            Err(why) => eprintln!("{why}"),
        }
        Ok(Next::Go)
    }

    /// Something that was asked for and cannot be sent.
    fn refuse(&mut self, why: &str) {
        self.failures += 1;
        eprintln!("not sent: {why}");
    }

    /// Whether the room grants this (RFC 7701 8).
    fn room_grants(&self, token: &str) -> bool {
        let tokens = self.joined.media.chatroom.iter().flatten();
        tokens.into_iter().any(|t| t.eq_ignore_ascii_case(token))
    }

    async fn whisper(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        if !self.room_grants("private-messages") {
            self.refuse("the conference has no private messages");
            return Ok(());
        }
        let Some(uri) = self.roster.uri_of(name).map(str::to_owned) else {
            self.refuse(&format!("nobody, or more than one, is called {name}"));
            return Ok(());
        };
        self.say(&uri, Content::Text(text)).await
    }

    async fn ask_nickname(&mut self, name: &str) -> anyhow::Result<()> {
        if !self.room_grants("nickname") {
            self.refuse("the conference has no nicknames");
            return Ok(());
        }
        let asked = Nickname {
            name: name.to_owned(),
            message_id: fresh_id(),
        };
        self.await_answer(asked.message_id.clone(), "nickname not granted");
        Ok(self.joined.msrp.ask_nickname(asked).await?)
    }

    async fn say(&mut self, to: &str, content: Content<'_>) -> anyhow::Result<()> {
        let (content_type, body) = match (self.form, content) {
            (Form::Wrapped, content) => ("message/cpim", self.wrap(to, content)),
            (Form::Plain, Content::Text(text)) => ("text/plain", text.as_bytes().to_vec()),
            (Form::Plain, Content::File { .. }) => {
                self.refuse("the conference takes text/plain alone, which has no place for a file");
                return Ok(());
            }
        };
        let limit = self.max_bytes.unwrap_or(u64::MAX);
        if body.len() as u64 > limit {
            let octets = body.len();
            self.refuse(&format!("{octets} octets, the conference takes {limit}"));
            return Ok(());
        }
        self.send(Outgoing {
            content_type: Some(content_type.to_owned()),
            body,
            ..Outgoing::default()
        })
        .await
    }

    fn wrap(&self, to: &str, content: Content<'_>) -> Vec<u8> {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let envelope = Envelope {
            name: &self.name,
            from: &self.from,
            to,
            since_epoch: since_epoch.unwrap_or(Duration::ZERO),
        };
        cpim::wrap(&envelope, content)
    }

    fn await_answer(&mut self, message_id: String, failure: &'static str) {
        let until = Instant::now() + ANSWER_WITHIN;
        self.waiting.insert(message_id, Waiting { until, failure });
    }

    async fn send(&mut self, mut message: Outgoing) -> anyhow::Result<()> {
        let id = fresh_id();
        message.message_id = Some(id.clone());
        self.joined.msrp.send(message).await?;
        self.await_answer(id, "not delivered");
        Ok(())
    }

    fn heard(&mut self, event: Option<Event>) -> Next {
        match event {
            Some(Event::Message(message)) => self.show(&message),
            Some(Event::Answered {
                message_id,
                is_last,
                status,
                comment,
            }) => {
                if status != msrp::StatusCode::OK {
                    self.failed(&message_id, &format!("{status} {comment}"));
                } else if is_last {
                    self.waiting.remove(&message_id);
                }
            }
            Some(Event::Reported { message_id, status }) => {
                if status != msrp::StatusCode::OK {
                    self.failed(&message_id, &format!("report {status} {}", status.phrase()));
                }
            }
            Some(Event::Received(_) | Event::Sent(_)) => {}
            Some(Event::Closed(why)) => self.lost = Some((why, Instant::now() + BYE_WITHIN)),
            None => self.lost = Some(("no reason".to_owned(), Instant::now())),
        }
        Next::Go
    }

    fn show(&self, message: &Message) {
        let message = render::open(message);
        let mut saved = None;
        if let Some(directory) = self.save.as_ref().filter(|_| !render::is_text(&message)) {
            match files::save(directory, &message) {
                Ok(path) => saved = Some(path.display().to_string()),
                Err(error) => eprintln!("not saved: {}: {error}", directory.display()),
            }
        }
        let mut stdout = std::io::stdout().lock();
        let text = render::message(&message, &self.from, saved.as_deref());
        // Whoever closed the pipe wants to read no more.
        let _ = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
    }

    /// When to [`Self::give_up`] something.
    fn deadline(&self) -> Instant {
        let lost = self.lost.as_ref().map(|(_, until)| *until);
        let next = self.waiting.values().map(|waiting| waiting.until);
        let next = next.chain(lost).min();
        // Nothing to give up: come back now and then.
        next.unwrap_or_else(|| Instant::now() + ANSWER_WITHIN)
    }

    fn failed(&mut self, message_id: &str, why: &str) {
        let waiting = self.waiting.remove(message_id);
        self.failures += 1;
        let failure = waiting.map_or("not delivered", |waiting| waiting.failure);
        eprintln!("{failure}: {}", render::plain(why.trim()));
    }

    /// Messages whose answer did not come in time; a connection whose end no BYE explained.
    fn give_up(&mut self) -> anyhow::Result<Next> {
        let now = Instant::now();
        if let Some((why, _)) = self.lost.as_ref().filter(|(_, until)| *until <= now) {
            bail!("the MSRP connection is gone: {why}");
        }
        let is_late = |(_, waiting): &(&String, &Waiting)| waiting.until <= now;
        let late: Vec<_> = self
            .waiting
            .iter()
            .filter(is_late)
            .map(|(id, _)| id.clone())
            .collect();
        for id in late {
            self.failed(&id, "no answer");
        }
        Ok(Next::Go)
    }

    async fn signalled(&mut self, event: Option<SipEvent>) -> anyhow::Result<Next> {
        match event {
            Some(SipEvent::Bye { .. }) => {
                eprintln!("the conference ended the call");
                return Ok(Next::Over);
            }
            Some(SipEvent::Request { txn, request, .. }) => {
                // Nothing can be changed about this session; OPTIONS only asks who we are.
                let code = if request.method == Method::Options {
                    200
                } else if request.method == Method::Notify {
                    let state = request.headers.get("Subscription-State");
                    self.notified(&request.body, state.unwrap_or_default())
                } else {
                    488
                };
                self.joined.sip.respond(txn, Answer::new(code)).await;
            }
            Some(SipEvent::Invite { txn, .. }) => {
                self.joined.sip.respond(txn, Answer::new(486)).await;
            }
            Some(
                SipEvent::Acked { .. }
                | SipEvent::Cancelled { .. }
                | SipEvent::AckTimeout { .. }
                | SipEvent::PrackTimeout { .. }
                | SipEvent::Response { .. },
            ) => {}
            None => bail!("the SIP side stopped"),
        }
        Ok(Next::Go)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapped_form_is_preferred_where_it_is_taken() {
        let form = |types: &[&str]| {
            let types: Vec<_> = types.iter().map(|t| (*t).to_owned()).collect();
            Form::of(&types).ok()
        };
        assert_eq!(form(&["text/plain", "message/CPIM"]), Some(Form::Wrapped));
        assert_eq!(form(&["*"]), Some(Form::Wrapped));
        assert_eq!(form(&["text/plain", "text/html"]), Some(Form::Plain));
        assert_eq!(form(&["image/png"]), None);
        assert_eq!(form(&[]), None);
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(user_name("ann-1").as_deref(), Ok("ann-1"));
        assert!(user_name("a b").is_err());
        assert!(user_name("").is_err());
    }
}
