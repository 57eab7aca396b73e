//! The controller's side of the control association: which gateways are ours.
//!
//! ```text
//! ServiceChange ROOT Restart|Disconnected|Failover|HandOff -> Registered (again)
//!                    Graceful -> Leaving      Forced -> Lost
//! silent for `keep_alive` -> AuditValue ROOT; unanswered `keep_alive_misses_max` times -> Lost
//! ```

use std::collections::{HashMap, VecDeque};

use clock::Instant;
use h248::ast::{
    ErrorDescriptor, MId, Profile, ServiceChange, ServiceChangeMethod, ServiceChangeReplyParms,
    ServiceChangeResult, TransactionId,
};

use crate::limits::ASSOCIATIONS_MAX;
use crate::node::{Event, LostReason, NodeOutput, Registered};
use crate::service_change::{
    UNAUTHORIZED, of_root, request_peer, root_audit, root_reply, time_stamp,
};
use crate::{AssociationConfig, Endpoint, FailReason, Peer, Request, error};

/// The gateways associated with a controller.
#[derive(Debug)]
pub struct Associations {
    config: AssociationConfig,
    gateways: HashMap<MId, Gateway>,
    /// Keep-alive audits under way.
    audits: HashMap<TransactionId, MId>,
    outputs: VecDeque<NodeOutput>,
}

#[derive(Debug)]
struct Gateway {
    registered: Registered,
    /// When to audit, or to count the last audit as missed.
    check_at: Option<Instant>,
    is_audit_awaited: bool,
    misses: u32,
}

impl Associations {
    /// No gateways yet.
    #[must_use]
    pub fn new(config: AssociationConfig) -> Self {
        Self {
            config,
            gateways: HashMap::new(),
            audits: HashMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The gateway of this name.
    #[must_use]
    pub fn get(&self, mid: &MId) -> Option<&Registered> {
        self.gateways.get(mid).map(|g| &g.registered)
    }

    /// All gateways.
    pub fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.gateways.values().map(|g| &g.registered)
    }

    /// When there is something to do without an input.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.gateways.values().filter_map(|g| g.check_at).min()
    }

    pub(crate) fn poll(&mut self) -> Option<NodeOutput> {
        self.outputs.pop_front()
    }

    /// Decides about a request of a gateway; `None` if it was dealt with.
    pub(crate) fn handle_request(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        request: Request,
    ) -> Option<Request> {
        let Some(services) = of_root(&request) else {
            self.touch(now, &request.mid);
            if self.gateways.contains_key(&request.mid) || self.config.accept_unregistered {
                return Some(request);
            }
            let error = error(UNAUTHORIZED, "Command Received from unauthorized entity");
            endpoint.refuse(request.key, error);
            return None;
        };
        match &services.method {
            ServiceChangeMethod::Graceful => self.note_leaving(now, endpoint, &request, services),
            ServiceChangeMethod::Forced => {
                endpoint.reply(now, request.key, root_reply(ServiceChangeResult::Empty));
                self.lose(&request.mid, LostReason::OutOfService);
            }
            ServiceChangeMethod::Restart
            | ServiceChangeMethod::Failover
            | ServiceChangeMethod::Disconnected
            | ServiceChangeMethod::HandOff
            | ServiceChangeMethod::Extension(_) => {
                let result = self.register(now, endpoint, &request, services);
                endpoint.reply(now, request.key, root_reply(result));
            }
        }
        None
    }

    /// Returns whether the reply was to a keep-alive audit.
    pub(crate) fn handle_reply(&mut self, now: Instant, id: TransactionId, mid: &MId) -> bool {
        self.touch(now, mid);
        self.audits.remove(&id).is_some()
    }

    /// Returns whether the request was a keep-alive audit; the next deadline counts it.
    pub(crate) fn handle_failed(&mut self, id: TransactionId, reason: &FailReason) -> bool {
        let Some(mid) = self.audits.remove(&id) else {
            return false;
        };
        if matches!(reason, FailReason::ErrorMessage(error) if error.code == 406) {
            self.lose(&mid, LostReason::VersionRefused);
        }
        true
    }

    pub(crate) fn handle_transport_failure(&mut self, peer: Peer) {
        let at_peer = self.iter().filter(|r| r.peer == peer);
        let mids: Vec<MId> = at_peer.map(|r| r.mid.clone()).collect();
        for mid in mids {
            self.lose(&mid, LostReason::Transport);
        }
    }

    pub(crate) fn handle_deadline(&mut self, now: Instant, endpoint: &mut Endpoint) {
        let is_due = |g: &Gateway| g.check_at.is_some_and(|at| at <= now);
        let due = self.gateways.iter().filter(|(_, g)| is_due(g));
        let mids: Vec<MId> = due.map(|(mid, _)| mid.clone()).collect();
        for mid in mids {
            self.check(now, endpoint, mid);
        }
    }

    fn check(&mut self, now: Instant, endpoint: &mut Endpoint, mid: MId) {
        let Some(gateway) = self.gateways.get_mut(&mid) else {
            return;
        };
        if gateway.is_audit_awaited {
            gateway.misses += 1;
        }
        let peer = gateway.registered.peer;
        if gateway.misses >= self.config.keep_alive_misses_max {
            self.lose(&mid, LostReason::Silent);
            endpoint.handle_transport_failure(now, peer);
            self.outputs.push_back(NodeOutput::Close(peer));
            return;
        }
        gateway.is_audit_awaited = true;
        gateway.check_at = self.config.keep_alive.map(|after| now + after);
        let is_under_way = self.audits.values().any(|audited| *audited == mid);
        if !is_under_way && let Ok(id) = endpoint.send_request(now, peer, vec![root_audit()]) {
            self.audits.insert(id, mid);
        }
    }

    /// A sign of life.
    fn touch(&mut self, now: Instant, mid: &MId) {
        let keep_alive = self.config.keep_alive;
        if let Some(gateway) = self.gateways.get_mut(mid) {
            gateway.check_at = keep_alive.map(|after| now + after);
            gateway.is_audit_awaited = false;
            gateway.misses = 0;
        }
    }

    fn register(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        request: &Request,
        services: &ServiceChange,
    ) -> ServiceChangeResult {
        if let Some(refusal) = self.refusal(&request.mid, services) {
            return ServiceChangeResult::Error(refusal);
        }
        let mut parms = ServiceChangeReplyParms {
            time: time_stamp(now, endpoint.config().epoch),
            ..ServiceChangeReplyParms::default()
        };
        if let Some(target) = &self.config.redirect {
            parms.mgc_id = Some(target.clone());
            return ServiceChangeResult::Services(Box::new(parms));
        }
        // Absent means 1; a lower one than offered is an offer to speak that (section 11.3).
        let offered = services.version.unwrap_or(1);
        let version = offered.clamp(1, endpoint.config().version_max);
        parms.version = Some(version);
        let profile = self.profile(services);
        parms.profile.clone_from(&profile);
        let peer = request_peer(request.peer, services.address.as_ref());
        endpoint.set_version(request.peer, version);
        endpoint.set_version(peer, version);
        let registered = Registered {
            mid: request.mid.clone(),
            peer,
            version,
            profile,
            method: services.method.clone(),
        };
        self.associate(now, endpoint, registered);
        ServiceChangeResult::Services(Box::new(parms))
    }

    /// The profile that a gateway is told: what it proposed, in no higher version than ours.
    fn profile(&self, services: &ServiceChange) -> Option<Profile> {
        let mut profile = services.profile.clone()?;
        let mut known = self.config.profiles.iter();
        if let Some(ours) = known.find(|ours| ours.name == profile.name) {
            profile.version = profile.version.min(ours.version);
        }
        Some(profile)
    }

    fn refusal(&self, mid: &MId, services: &ServiceChange) -> Option<ErrorDescriptor> {
        let known = &self.config.profiles;
        let is_unknown = |profile: &Profile| {
            !known.is_empty() && !known.iter().any(|ours| ours.name == profile.name)
        };
        if services.profile.as_ref().is_some_and(is_unknown) {
            return Some(error(461, "Unsupported or Unknown Profile"));
        }
        if self.gateways.len() >= ASSOCIATIONS_MAX && !self.gateways.contains_key(mid) {
            return Some(error(510, "Insufficient resources"));
        }
        None
    }

    fn associate(&mut self, now: Instant, endpoint: &mut Endpoint, registered: Registered) {
        let mid = registered.mid.clone();
        let peer = registered.peer;
        let gateway = Gateway {
            registered: registered.clone(),
            check_at: self.config.keep_alive.map(|after| now + after),
            is_audit_awaited: false,
            misses: 0,
        };
        let before = self.gateways.insert(mid, gateway);
        if let Some(before) = before.filter(|b| b.registered.peer != peer) {
            let old = before.registered.peer;
            endpoint.handle_transport_failure(now, old);
            self.outputs.push_back(NodeOutput::Close(old));
        }
        self.event(Event::Registered(registered));
    }

    fn note_leaving(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        request: &Request,
        services: &ServiceChange,
    ) {
        endpoint.reply(now, request.key, root_reply(ServiceChangeResult::Empty));
        self.touch(now, &request.mid);
        if self.gateways.contains_key(&request.mid) {
            self.event(Event::Leaving {
                mid: request.mid.clone(),
                delay_s: services.delay.unwrap_or(0),
            });
        }
    }

    fn lose(&mut self, mid: &MId, reason: LostReason) {
        if let Some(gateway) = self.gateways.remove(mid) {
            let peer = gateway.registered.peer;
            let mid = mid.clone();
            self.event(Event::Lost { mid, peer, reason });
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(NodeOutput::Event(Box::new(event)));
    }
}
