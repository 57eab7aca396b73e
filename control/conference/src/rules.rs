//! Who may ask the focus for what.

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhoMay {
    /// Also those that take no part.
    Anyone,
    /// Those that take part.
    Participants,
    /// Those that the conference names as moderators.
    Moderators,
    /// Nobody.
    Nobody,
}

/// What somebody is to a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It takes no part.
    Stranger,
    /// It takes part.
    Participant,
    /// It is named as a moderator, whether it takes part or not.
    Moderator,
}

impl WhoMay {
    /// Whether somebody of this standing may.
    #[must_use]
    pub fn allows(self, who: Standing) -> bool {
        match self {
            Self::Anyone => true,
            Self::Participants => who >= Standing::Participant,
            Self::Moderators => who == Standing::Moderator,
            Self::Nobody => false,
        }
    }
}

/// The rules of one conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Who may have the focus call somebody.
    pub invite: WhoMay,
    /// Who may have the focus remove somebody, or everybody.
    pub remove: WhoMay,
    /// Who may watch who takes part.
    pub watch: WhoMay,
    /// URIs of the moderators. With none, everybody who takes part is one.
    pub moderators: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            invite: WhoMay::Participants,
            remove: WhoMay::Moderators,
            watch: WhoMay::Anyone,
            moderators: Vec::new(),
        }
    }
}

impl Rules {
    /// The standing of `uri`. URIs compare without regard to case in scheme and host only, which
    /// `is_same` knows.
    pub fn standing(
        &self,
        uri: &str,
        is_participant: bool,
        is_same: impl Fn(&str, &str) -> bool,
    ) -> Standing {
        let is_moderator = self.moderators.iter().any(|m| is_same(m, uri));
        match (is_moderator, is_participant) {
            (true, _) => Standing::Moderator,
            (false, true) if self.moderators.is_empty() => Standing::Moderator,
            (false, true) => Standing::Participant,
            (false, false) => Standing::Stranger,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conference_without_moderators_is_governed_by_all_who_take_part() {
        let same = |a: &str, b: &str| a == b;
        let free = Rules::default();
        assert_eq!(free.standing("sip:a@x", true, same), Standing::Moderator);
        assert_eq!(free.standing("sip:a@x", false, same), Standing::Stranger);
        let led = Rules {
            moderators: vec!["sip:m@x".into()],
            ..Rules::default()
        };
        assert_eq!(led.standing("sip:a@x", true, same), Standing::Participant);
        assert_eq!(led.standing("sip:m@x", false, same), Standing::Moderator);
    }

    #[test]
    fn a_rule_lets_its_own_and_higher_standings_in() {
        use Standing::{Moderator, Participant, Stranger};
        for (rule, expected) in [
            (WhoMay::Anyone, [true, true, true]),
            (WhoMay::Participants, [false, true, true]),
            (WhoMay::Moderators, [false, false, true]),
            (WhoMay::Nobody, [false, false, false]),
        ] {
            let may = [Stranger, Participant, Moderator].map(|who| rule.allows(who));
            assert_eq!(may, expected, "{rule:?}");
        }
    }
}
