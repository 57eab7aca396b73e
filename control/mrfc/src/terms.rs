//! What holds in one conference: its profile, what it accepts, who may do what.

use crate::config::{ConferenceConfig, Config};
use crate::media::{Capabilities, Offer, Unusable};
use conference::Rules;
use conference::notice::Texts;
use h248::ast::{PackageItem, PropertyParm, PropertyValue, Value};

/// How messages pass through a conference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// TS 24.247: what a participant sends goes to the others as it is.
    #[default]
    ThreeGpp,
    /// RFC 7701: Message/CPIM only, with nicknames and private messages.
    Chatroom,
}

/// The terms of one conference, fixed when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) profile: Profile,
    pub(crate) capabilities: Capabilities,
    pub(crate) rules: Rules,
    pub(crate) subject: Option<String>,
    pub(crate) seats_max: usize,
    /// What is told to who knows no chat rooms, if anything.
    pub(crate) notices: Option<Texts>,
    nicknames: bool,
    private_messages: bool,
}

impl Terms {
    pub(crate) fn new(config: &Config, own: Option<&ConferenceConfig>) -> Self {
        let profile = own.and_then(|own| own.profile).unwrap_or(config.profile);
        let (nicknames, private_messages) =
            own.map_or((true, true), |own| (own.nicknames, own.private_messages));
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let mut tokens = Vec::new();
        if nicknames {
            tokens.push("nickname".to_owned());
        }
        if private_messages {
            tokens.push("private-messages".to_owned());
        }
        let mut rules = config.rules.clone();
        if let Some(own) = own.filter(|own| !own.moderators.is_empty()) {
            rules.moderators.clone_from(&own.moderators);
        }
        let given = own.map_or(&[][..], |own| &own.accept_types);
        let accept_types = match profile {
            _ if !given.is_empty() => given.to_vec(),
            Profile::ThreeGpp => config.accept_types.clone(),
            // RFC 7701 5.1: everything in a chat room is wrapped.
            Profile::Chatroom => words(&["message/cpim"]),
        };
        let given = own.map_or(&[][..], |own| &own.accept_wrapped_types);
        let accept_wrapped_types = match profile {
            _ if !given.is_empty() => given.to_vec(),
            Profile::ThreeGpp => Vec::new(),
            Profile::Chatroom => words(&["*"]),
        };
        let is_told = own.and_then(|own| own.notices).or(config.notices);
        let is_told = is_told.unwrap_or(profile == Profile::Chatroom);
        let seats = own.and_then(|own| own.max_participants);
        let seats = seats.unwrap_or(config.max_participants);
        Self {
            profile,
            capabilities: Capabilities {
                accept_types,
                accept_wrapped_types,
                max_size: own.and_then(|own| own.max_size).unwrap_or(config.max_size),
                chatroom: (profile == Profile::Chatroom).then_some(tokens),
            },
            rules,
            subject: own.and_then(|own| own.subject.clone()),
            seats_max: usize::try_from(seats).unwrap_or(usize::MAX),
            notices: is_told.then(|| {
                let general = &config.notice_texts;
                own.map_or_else(|| general.clone(), |own| own.notice_texts.or(general))
            }),
            nicknames,
            private_messages,
        }
    }

    /// Whether a peer that says this can take part: in a chat room everything is wrapped (RFC 7701 5.2).
    pub(crate) fn admit(&self, said: Offer) -> Result<Offer, Unusable> {
        if self.profile == Profile::Chatroom && !said.takes("message/cpim") {
            let text = "a chat room needs message/cpim in a=accept-types";
            return Err(Unusable::new(305, text));
        }
        Ok(said)
    }

    /// What an MRFP must know of a participant of a chat room: the private package `xmrf`. Other
    /// conferences need none of it, so that any MRFP serves them.
    pub(crate) fn properties(&self, room: &str, users: &[String]) -> Vec<PropertyParm> {
        if self.profile == Profile::ThreeGpp {
            return Vec::new();
        }
        let switch = |on: bool| if on { "ON" } else { "OFF" };
        vec![
            property("profile", "chatroom", false),
            property("room", &escaped(room), true),
            property("user", &user_list(users), true),
            property("nicks", switch(self.nicknames), false),
            property("private", switch(self.private_messages), false),
        ]
    }
}

fn property(item: &str, text: &str, quoted: bool) -> PropertyParm {
    PropertyParm {
        name: PackageItem::new("xmrf", item),
        value: PropertyValue::Is(Value {
            text: text.into(),
            quoted,
        }),
    }
}

/// Octets of the property `user` (docs/H248.md).
const USER_BYTES_MAX: usize = 512;

/// The URIs of one participant, apart by blanks: the first, and of the others what fits.
fn user_list(users: &[String]) -> String {
    let mut list = String::new();
    for user in users {
        let one = escaped(user);
        if list.is_empty() {
            list = one;
        } else if list.len() + 1 + one.len() <= USER_BYTES_MAX {
            list.push(' ');
            list.push_str(&one);
        }
    }
    list
}

/// A text as a quoted string of H.248 can hold it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'%' | b'"' | ..b' ' | 0x7f.. => out.push_str(&format!("%{octet:02X}")),
            _ => out.push(char::from(octet)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_room_takes_wrapped_messages_and_says_what_it_allows() {
        let config = Config::default();
        let mut own = ConferenceConfig::new("room");
        own.profile = Some(Profile::Chatroom);
        own.private_messages = false;
        own.max_size = Some(99);
        own.moderators = vec!["sip:m@x".into()];
        let terms = Terms::new(&config, Some(&own));
        assert_eq!(terms.capabilities.accept_types, ["message/cpim"]);
        assert_eq!(terms.capabilities.accept_wrapped_types, ["*"]);
        assert_eq!(terms.capabilities.max_size, 99);
        assert_eq!(terms.capabilities.chatroom, Some(vec!["nickname".into()]));
        assert_eq!(terms.rules.moderators, ["sip:m@x"]);
        let properties = terms.properties("sip:room@x", &["sip:\"a\"@x".into(), "tel:+1".into()]);
        let shown: Vec<_> = properties
            .iter()
            .map(|p| {
                let PropertyValue::Is(value) = &p.value else {
                    panic!("{p:?}");
                };
                format!("{}={}", p.name.item(), value.text)
            })
            .collect();
        let expected = [
            "profile=chatroom",
            "room=sip:room@x",
            "user=sip:%22a%22@x tel:+1",
            "nicks=ON",
            "private=OFF",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_conference_of_3gpp_needs_no_private_package() {
        let terms = Terms::new(&Config::default(), None);
        assert_eq!(terms.capabilities.chatroom, None);
        assert!(terms.properties("sip:c@x", &["sip:a@x".into()]).is_empty());
        assert_eq!(terms.notices, None);
        assert_eq!(terms.seats_max, 200);
    }

    #[test]
    fn who_is_told_what_can_be_said_for_all_and_for_one() {
        #[track_caller]
        fn check(
            general: Option<bool>,
            one: Option<bool>,
            profile: Profile,
            expected: Option<&str>,
        ) {
            let config = Config {
                notices: general,
                ..Config::default()
            };
            let mut own = ConferenceConfig::new("room");
            own.profile = Some(profile);
            own.notices = one;
            own.notice_texts.left = Some("weg: {names}".into());
            let terms = Terms::new(&config, Some(&own));
            let shown = terms.notices.as_ref().map(|texts| &*texts.left);
            assert_eq!(shown, expected);
            let joined = terms.notices.map(|texts| texts.joined);
            assert!(joined.is_none_or(|joined| joined == config.notice_texts.joined));
        }
        let told = Some("weg: {names}");
        check(None, None, Profile::Chatroom, told);
        check(None, None, Profile::ThreeGpp, None);
        check(Some(false), None, Profile::Chatroom, None);
        check(Some(false), Some(true), Profile::ThreeGpp, told);
        check(Some(true), None, Profile::ThreeGpp, told);
        check(None, Some(false), Profile::Chatroom, None);
    }
}
