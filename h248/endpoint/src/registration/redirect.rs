//! Another controller, named by one: MgcIdToTry in a reply, or a HandOff.

use core::net::SocketAddr;

use clock::Instant;
use h248::ast::MId;

use super::{Asking, Occasion, Registration, State};
use crate::limits::REDIRECTS_MAX;
use crate::node::{Event, LostReason, NodeOutput};
use crate::service_change::{PORT_TEXT, address_of};
use crate::{Endpoint, Peer, TransportAddr};

impl Registration {
    pub(super) fn redirect(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        (asking, peer): (Asking, Peer),
        target: &MId,
    ) {
        self.redirects += 1;
        if self.redirects > REDIRECTS_MAX {
            self.try_next(now, endpoint, "redirected too often");
            return;
        }
        if self.is_known_or_named(target) {
            self.close(now, endpoint, peer);
            self.go_to(now, target, asking.mgc);
        } else {
            let cause = format!("redirected to {target}, which is no address and no name");
            self.try_next(now, endpoint, &cause);
        }
    }

    /// Whether there is a way to find out where `target` is.
    fn is_known_or_named(&self, target: &MId) -> bool {
        let is_named = matches!(target, MId::Ip { .. } | MId::Domain { .. });
        is_named || self.config.mgc_names.iter().any(|(mid, _)| mid == target)
    }

    /// Connects to the controller of this name, over the transport of the one that named it; the
    /// domain name of a controller that the configuration does not know is looked up first.
    fn go_to(&mut self, now: Instant, target: &MId, like: TransportAddr) {
        if let Some(mgc) = self.resolve(target, like) {
            return self.connect(now, mgc);
        }
        let until = now + self.config.patience;
        self.state = State::Resolving(
            Asking {
                mgc: like,
                until,
                is_plain: false,
            },
            target.clone(),
        );
        if let MId::Domain { name, port } = target {
            self.outputs.push_back(NodeOutput::Resolve {
                name: name.to_string(),
                port: port.unwrap_or(PORT_TEXT),
            });
        }
    }

    /// An address asked for with `Resolve` is there; `None`: it could not be found.
    pub(crate) fn handle_resolved(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        name: &str,
        addr: Option<SocketAddr>,
    ) {
        let State::Resolving(asking, MId::Domain { name: awaited, .. }) = &self.state else {
            return;
        };
        if *awaited != *name {
            return;
        }
        let kind = asking.mgc.kind();
        match addr {
            Some(addr) => self.connect(now, TransportAddr::new(kind, addr)),
            None => {
                let cause = format!("redirected to {name}, whose address cannot be found");
                self.try_next(now, endpoint, &cause);
            }
        }
    }

    fn resolve(&self, target: &MId, like: TransportAddr) -> Option<TransportAddr> {
        let named = self.config.mgc_names.iter().find(|(mid, _)| mid == target);
        named
            .map(|(_, mgc)| *mgc)
            .or_else(|| address_of(target, like.kind()))
    }

    /// The controller's requests still get their replies; new ones come from the new controller.
    pub(super) fn hand_off(&mut self, now: Instant, from: Peer, target: Option<MId>) {
        let State::Registered(was) = &self.state else {
            return;
        };
        let mid = was.mid.clone();
        self.event(Event::Lost {
            mid,
            peer: from,
            reason: LostReason::HandedOff,
        });
        self.occasion = Occasion::HandOff;
        let like = TransportAddr::new(from.transport.kind, from.addr);
        match target.filter(|target| self.is_known_or_named(target)) {
            Some(target) => self.go_to(now, &target, like),
            None => self.try_next_after(now),
        }
    }
}
