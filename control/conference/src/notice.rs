//! What participants that know no chat rooms are told in plain text (RFC 7701 11): that they are in
//! one, who else is, and then who comes and goes.
//!
//! ```text
//! joined            -> the room and who is here, at once
//! roster changed    -> who came and went since, at most once in 5 s
//! taken             -> that generation is known
//! lost              -> told anew, after the same 5 s
//! refused           -> nothing more
//! one notice is under way at a time; what happens meanwhile waits for the next
//! ```
//!
//! Nothing is queued: a notice is made from the roster of the moment it is sent.

use clock::{Duration, Instant};

/// Shortest time between two notices to one participant.
pub const NOTICE_INTERVAL: Duration = Duration::from_secs(5);

/// A notice of which nothing is heard for so long is lost: twice what an MSRP transaction may take, for
/// it waits for the participant's connection first.
pub const NOTICE_LOST_AFTER: Duration = Duration::from_secs(60);

/// Octets of one text of [`Texts`]; what is longer is cut.
pub const TEXT_BYTES_MAX: usize = 512;

/// Octets of the names in one line of a notice; the others are counted.
pub const NAMES_BYTES_MAX: usize = 1_024;

/// Octets of one name.
const NAME_BYTES_MAX: usize = 200;

/// What the focus says, in whatever language. In each, `{room}` stands for the URI of the conference,
/// `{names}` for the names, `{count}` for their number. An empty one is not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// To who has just joined.
    pub room: String,
    /// Who else is here; not said to who is alone.
    pub present: String,
    /// Who came since.
    pub joined: String,
    /// Who went since.
    pub left: String,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            room: "This is the chat room {room}: everybody in it gets what you send.".to_owned(),
            present: "Here now: {names}".to_owned(),
            joined: "Joined: {names}".to_owned(),
            left: "Left: {names}".to_owned(),
        }
    }
}

/// What is new to a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// It has been told nothing yet.
    pub is_first: bool,
    /// The names are those of everybody else, not of who came.
    pub is_whole: bool,
    /// Who came, or is here.
    pub names: Vec<String>,
    /// Who went.
    pub went: Vec<String>,
}

impl Texts {
    /// The lines of a notice; `None` when there is nothing to say.
    #[must_use]
    pub fn notice(&self, room: &str, news: &News) -> Option<String> {
        let whole_or_new = if news.is_whole {
            &self.present
        } else {
            &self.joined
        };
        let lines = [
            (news.is_first, &self.room, &news.names),
            (!news.names.is_empty(), whole_or_new, &news.names),
            (!news.went.is_empty(), &self.left, &news.went),
        ];
        let lines: Vec<_> = lines
            .into_iter()
            .filter(|(is_due, text, _)| *is_due && !text.is_empty())
            .map(|(_, text, names)| line(text, room, names))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\r\n"))
    }
}

/// Each placeholder is looked for in the text alone, never in what was put in.
fn line(text: &str, room: &str, names: &[String]) -> String {
    let mut out = String::new();
    let mut rest = cut(text, TEXT_BYTES_MAX);
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = ["{room}", "{names}", "{count}"];
        let found = known.into_iter().find(|known| rest.starts_with(known));
        match found {
            Some("{room}") => push(&mut out, room),
            Some("{names}") => list(&mut out, names),
            Some(_) => out.push_str(&names.len().to_string()),
            None => out.push('{'),
        }
        rest = &rest[found.map_or(1, str::len)..];
    }
    out.push_str(rest);
    out
}

fn list(out: &mut String, names: &[String]) {
    let begin = out.len();
    for (at, name) in names.iter().enumerate() {
        if out.len() - begin + name.len().min(NAME_BYTES_MAX) > NAMES_BYTES_MAX {
            out.push_str(&format!(", +{}", names.len() - at));
            return;
        }
        if at > 0 {
            out.push_str(", ");
        }
        push(out, cut(name, NAME_BYTES_MAX));
    }
}

/// Names come from outside: no line of theirs may look like one of ours.
fn push(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The participant has it, or there was nothing to say.
    Taken,
    /// It may not have reached the participant.
    Lost,
    /// The participant, or its mixer, takes no notices.
    Refused,
}

impl Outcome {
    /// By the MSRP status that the participant answered or, 408 and 481, that its mixer gave it.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            200..300 => Self::Taken,
            408 | 481 => Self::Lost,
            _ => Self::Refused,
        }
    }
}

/// What follows from the state of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Tell the news since this generation; then call [`Listener::answered`].
    Tell(Option<u64>),
    /// Nothing before this instant or an answer, whatever changes.
    Wait(Instant),
    /// Nothing before a change.
    Idle,
    /// Nothing any more.
    Over,
}

/// A participant that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    known: Option<u64>,
    /// What the notice under way brings, and when it counts as lost.
    in_flight: Option<(u64, Instant)>,
    earliest: Instant,
    is_deaf: bool,
}

impl Listener {
    /// One that joined now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            known: None,
            in_flight: None,
            earliest: now,
            is_deaf: false,
        }
    }

    /// What to do, given the generation of the roster.
    pub fn poll(&mut self, now: Instant, generation: u64) -> Step {
        match self.in_flight {
            Some((_, lost_at)) if now < lost_at => return Step::Wait(lost_at),
            Some(_) => self.answered(Outcome::Lost),
            None => {}
        }
        if self.is_deaf {
            return Step::Over;
        }
        if self.known == Some(generation) {
            return Step::Idle;
        }
        if now < self.earliest {
            return Step::Wait(self.earliest);
        }
        self.in_flight = Some((generation, now + NOTICE_LOST_AFTER));
        self.earliest = now + NOTICE_INTERVAL;
        Step::Tell(self.known)
    }

    /// What became of the notice under way; without one nothing changes.
    pub fn answered(&mut self, outcome: Outcome) {
        let Some((generation, _)) = self.in_flight.take() else {
            return;
        };
        match outcome {
            Outcome::Taken => self.known = Some(generation),
            Outcome::Lost => {}
            Outcome::Refused => self.is_deaf = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn news(names: &[&str], went: &[&str]) -> News {
        let owned = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
        News {
            names: owned(names),
            went: owned(went),
            ..News::default()
        }
    }

    #[test]
    fn a_burst_of_joins_is_one_notice() {
        let mut one = Listener::new(at(0));
        assert_eq!(one.poll(at(0), 7), Step::Tell(None), "at once");
        assert_eq!(one.poll(at(1), 8), Step::Wait(at(60)), "one is under way");
        one.answered(Outcome::Taken);
        assert_eq!(one.poll(at(1), 8), Step::Wait(at(5)));
        assert_eq!(one.poll(at(2), 9), Step::Wait(at(5)));
        assert_eq!(one.poll(at(5), 11), Step::Tell(Some(7)));
        one.answered(Outcome::Taken);
        assert_eq!(one.poll(at(6), 11), Step::Idle);
        assert_eq!(one.poll(at(20), 12), Step::Tell(Some(11)), "at once");
    }

    #[test]
    fn what_was_lost_is_told_again_and_what_was_refused_never() {
        let mut one = Listener::new(at(0));
        one.poll(at(0), 1);
        one.answered(Outcome::Lost);
        assert_eq!(one.poll(at(1), 1), Step::Wait(at(5)));
        assert_eq!(one.poll(at(5), 1), Step::Tell(None));
        assert_eq!(one.poll(at(64), 1), Step::Wait(at(65)));
        assert_eq!(one.poll(at(65), 1), Step::Tell(None), "nothing was heard");
        one.answered(Outcome::Refused);
        assert_eq!(one.poll(at(99), 2), Step::Over);
    }

    #[test]
    fn an_answer_to_nothing_changes_nothing() {
        let mut one = Listener::new(at(0));
        one.answered(Outcome::Refused);
        assert_eq!(one.poll(at(0), 1), Step::Tell(None));
    }

    #[test]
    fn statuses_say_what_became_of_a_notice() {
        for (status, expected) in [
            (200, Outcome::Taken),
            (408, Outcome::Lost),
            (481, Outcome::Lost),
            (413, Outcome::Refused),
            (415, Outcome::Refused),
            (999, Outcome::Refused),
        ] {
            assert_eq!(Outcome::of_status(status), expected, "{status}");
        }
    }

    #[test]
    fn a_notice_is_made_of_the_operators_texts() {
        let texts = Texts {
            room: "Raum {room}".into(),
            present: "{count} da: {names}".into(),
            joined: "+ {names} {nobody}".into(),
            left: "- {names}".into(),
        };
        let said = |news: &News| texts.notice("sip:r@x", news);
        let first = News {
            is_first: true,
            is_whole: true,
            ..news(&["a", "b"], &[])
        };
        assert_eq!(said(&first).as_deref(), Some("Raum sip:r@x\r\n2 da: a, b"));
        let alone = News {
            is_first: true,
            is_whole: true,
            ..News::default()
        };
        assert_eq!(said(&alone).as_deref(), Some("Raum sip:r@x"));
        let both = news(&["c"], &["a"]);
        assert_eq!(said(&both).as_deref(), Some("+ c {nobody}\r\n- a"));
        assert_eq!(said(&News::default()), None);
        let silent = Texts {
            left: String::new(),
            ..texts
        };
        assert_eq!(silent.notice("", &news(&[], &["a"])), None);
    }

    #[test]
    fn names_cannot_say_anything_themselves() {
        let texts = Texts::default();
        let said = texts.notice("r", &news(&["a\r\nLeft: b {names}"], &[]));
        assert_eq!(said.as_deref(), Some("Joined: a  Left: b {names}"));
    }

    #[test]
    fn a_notice_is_bounded_whoever_is_in_the_room() {
        let long = "\u{e9}".repeat(1_000);
        let many: Vec<&str> = core::iter::repeat_n(&*long, 100).collect();
        let texts = Texts {
            joined: format!("{{names}}{}", "\u{e9}".repeat(1_000)),
            ..Texts::default()
        };
        let said = texts.notice("r", &news(&many, &[])).expect("news");
        assert!(
            said.len() <= TEXT_BYTES_MAX + NAMES_BYTES_MAX + 16,
            "{}",
            said.len()
        );
        assert!(said.contains(", +95"), "{said}");
    }
}
