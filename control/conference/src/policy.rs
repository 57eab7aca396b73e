//! Which conferences exist and which may be made.

use std::collections::HashSet;

/// The rules that hold before a conference is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Host parts served, in lower case; empty: any.
    pub domains: Vec<String>,
    /// Provisioned names.
    pub names: HashSet<String>,
    /// Whether a join may make a conference.
    pub create_on_join: bool,
    /// Conferences that may exist at once.
    pub conferences_max: usize,
}

/// Why a URI names no conference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownConference {
    /// Another domain's.
    Domain,
    /// No such name, or none at all.
    Name,
    /// It could be made, but too many exist.
    Full,
}

impl Policy {
    /// Whether a conference may be made for `host`, given the number that exist.
    ///
    /// # Errors
    ///
    /// The domain is not ours, or there are too many.
    pub fn make(&self, host: &str, count: usize) -> Result<(), UnknownConference> {
        if !self.serves(host) {
            Err(UnknownConference::Domain)
        } else if count >= self.conferences_max {
            Err(UnknownConference::Full)
        } else {
            Ok(())
        }
    }

    fn serves(&self, host: &str) -> bool {
        let is_ours = |domain: &String| domain.eq_ignore_ascii_case(host);
        self.domains.is_empty() || self.domains.iter().any(is_ours)
    }

    /// Whether `user`@`host` names a conference that exists or may be made, given the number
    /// that exist and whether this one does. Hosts compare without regard to case, users as
    /// written (RFC 3261 19.1.4).
    ///
    /// # Errors
    ///
    /// Says which part is unknown.
    pub fn locate(
        &self,
        user: Option<&str>,
        host: &str,
        exists: impl FnOnce(&str) -> bool,
        count: usize,
    ) -> Result<(), UnknownConference> {
        if !self.serves(host) {
            return Err(UnknownConference::Domain);
        }
        let user = user
            .filter(|u| !u.is_empty())
            .ok_or(UnknownConference::Name)?;
        if exists(user) {
            return Ok(());
        }
        if !self.names.contains(user) && !self.create_on_join {
            return Err(UnknownConference::Name);
        }
        if count < self.conferences_max {
            Ok(())
        } else {
            Err(UnknownConference::Full)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_located_by_domain_then_name() {
        let closed = Policy {
            domains: vec!["home2.net".into()],
            names: HashSet::from(["conference1".into()]),
            create_on_join: false,
            conferences_max: 1,
        };
        let open = Policy {
            create_on_join: true,
            ..closed.clone()
        };
        let check = |policy: &Policy, user, host, count, expected| {
            assert_eq!(
                policy.locate(user, host, |_| false, count),
                expected,
                "{user:?}@{host}"
            );
        };
        check(&closed, Some("conference1"), "HOME2.net", 0, Ok(()));
        check(
            &closed,
            Some("Conference1"),
            "home2.net",
            0,
            Err(UnknownConference::Name),
        );
        check(
            &closed,
            Some("conference1"),
            "home1.net",
            0,
            Err(UnknownConference::Domain),
        );
        check(&closed, None, "home2.net", 0, Err(UnknownConference::Name));
        check(&open, Some("any"), "home2.net", 0, Ok(()));
        check(
            &open,
            Some(""),
            "home2.net",
            0,
            Err(UnknownConference::Name),
        );
        check(
            &open,
            Some("any"),
            "home2.net",
            1,
            Err(UnknownConference::Full),
        );
        assert_eq!(
            closed.locate(Some("x"), "home2.net", |_| true, 9),
            Ok(()),
            "it exists"
        );
    }
}
