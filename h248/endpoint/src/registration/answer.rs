//! Asking one controller, and what its answer makes of it.

use clock::Instant;
use h248::ast::{MId, Name, Profile, ReplyBody, ServiceChangeReplyParms, ServiceChangeResult};

use super::{Asking, Occasion, Registration, State};
use crate::node::{Event, Registered};
use crate::service_change::{plain, request_peer, result_of, root_service_change, time_stamp};
use crate::{Endpoint, Peer, describe, first_error};

/// Unsupported or unknown profile (H.248.18).
const PROFILE_REFUSED: u16 = 461;

/// What a profile is called that is none (H.248.18).
const NO_PROFILE: &str = "NoProfile";

impl Registration {
    /// Sends the ServiceChange that registers, as a message of version 1.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        asking: Asking,
        peer: Peer,
    ) {
        endpoint.set_version(peer, 1);
        let (method, reason) = self.method(asking.mgc);
        let mut services = plain(method, reason);
        services.version = Some(endpoint.config().version_max);
        services.profile = self.profile(asking).cloned();
        services.time = time_stamp(now, endpoint.config().epoch);
        match endpoint.send_request(now, peer, vec![root_service_change(services)]) {
            Ok(id) => self.state = State::Asked(asking, peer, id),
            Err(cause) => self.try_next(now, endpoint, &cause.to_string()),
        }
    }

    /// The profile proposed to a controller.
    fn profile(&self, asking: Asking) -> Option<&Profile> {
        self.config.profile.as_ref().filter(|_| !asking.is_plain)
    }

    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        (asking, peer): (Asking, Peer),
        (mid, body): (&MId, &ReplyBody),
    ) {
        if let Some(refused) = first_error(body) {
            if refused.code == PROFILE_REFUSED && self.profile(asking).is_some() {
                let asking = Asking {
                    until: now + self.config.patience,
                    is_plain: true,
                    ..asking
                };
                return self.ask(now, endpoint, asking, peer);
            }
            let cause = format!("refused with {}", describe(refused));
            self.try_next(now, endpoint, &cause);
            return;
        }
        match result_of(body) {
            Some(ServiceChangeResult::Services(parms)) => match &parms.mgc_id {
                Some(target) => self.redirect(now, endpoint, (asking, peer), target),
                None => self.accept(now, endpoint, (asking, peer), (mid, parms)),
            },
            Some(ServiceChangeResult::Empty) => {
                let parms = ServiceChangeReplyParms::default();
                self.accept(now, endpoint, (asking, peer), (mid, &parms));
            }
            Some(ServiceChangeResult::Error(_)) | None => {
                self.try_next(now, endpoint, "the reply holds no ServiceChange");
            }
        }
    }

    fn accept(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        (asking, peer): (Asking, Peer),
        (mid, parms): (&MId, &ServiceChangeReplyParms),
    ) {
        // Absent means 1: the first reply must carry it (section 11.3).
        let version = parms.version.unwrap_or(1);
        if version == 0 || version > endpoint.config().version_max {
            let cause = format!("answered with version {version}, which was not offered");
            self.try_next(now, endpoint, &cause);
            return;
        }
        let profile = match agreed(self.profile(asking), parms.profile.as_ref()) {
            Ok(profile) => profile,
            Err(other) => {
                let (name, version) = (&other.name, other.version);
                let cause =
                    format!("answered with profile {name}/{version}, which was not offered");
                self.try_next(now, endpoint, &cause);
                return;
            }
        };
        let request_peer = request_peer(peer, parms.address.as_ref());
        endpoint.set_version(peer, version);
        endpoint.set_version(request_peer, version);
        let registered = Registered {
            mid: mid.clone(),
            peer: request_peer,
            version,
            profile,
            method: self.method(asking.mgc).0,
        };
        self.redirects = 0;
        self.rounds = 0;
        // What the next registration will be about, unless the controller hands us over.
        self.occasion = Occasion::Loss(asking.mgc);
        self.state = State::Registered(registered.clone());
        self.event(Event::Registered(registered));
    }
}

/// The profile that an answer settles (H.248.1 section 7.2.8): without a word the one proposed, or a
/// lower version of it, or none. Another one is not ours to follow.
fn agreed<'a>(
    proposed: Option<&Profile>,
    told: Option<&'a Profile>,
) -> Result<Option<Profile>, &'a Profile> {
    match (proposed, told) {
        (proposed, None) => Ok(proposed.cloned()),
        (_, Some(told)) if told.name == Name::new(NO_PROFILE) => Ok(None),
        (Some(proposed), Some(told))
            if told.name == proposed.name && told.version <= proposed.version =>
        {
            Ok(Some(told.clone()))
        }
        (_, Some(other)) => Err(other),
    }
}
