//! Services descriptors.

use super::Writer;
use crate::ast::{
    MId, Profile, ServiceChange, ServiceChangeAddress, ServiceChangeMethod,
    ServiceChangeReplyParms, TimeStamp,
};
use crate::token::Token;

/// What requests and replies share.
struct Common<'a> {
    address: Option<&'a ServiceChangeAddress>,
    mgc_id: Option<&'a MId>,
    profile: Option<&'a Profile>,
    version: Option<u8>,
    time: Option<&'a TimeStamp>,
}

impl<const PRETTY: bool> Writer<PRETTY> {
    pub(super) fn service_change(&mut self, services: &ServiceChange) {
        self.token(Token::Services);
        self.block(|writer| {
            writer.item();
            writer.method(&services.method);
            writer.item();
            writer.token(Token::Reason);
            writer.equal();
            writer.value(&services.reason);
            if let Some(delay) = services.delay {
                writer.item();
                writer.assign(Token::Delay, delay);
            }
            writer.common(&Common {
                address: services.address.as_ref(),
                mgc_id: services.mgc_id.as_ref(),
                profile: services.profile.as_ref(),
                version: services.version,
                time: services.time.as_ref(),
            });
            for item in &services.audit {
                writer.item();
                writer.audit_item(item);
            }
            if services.incomplete {
                writer.item();
                writer.token(Token::ServiceChangeInc);
            }
            writer.parms(&services.extensions);
        });
    }

    /// The Services descriptor as an item, unless it is empty.
    pub(super) fn service_change_reply(&mut self, services: &ServiceChangeReplyParms) {
        if *services == ServiceChangeReplyParms::default() {
            return;
        }
        self.item();
        self.token(Token::Services);
        self.block(|writer| {
            writer.common(&Common {
                address: services.address.as_ref(),
                mgc_id: services.mgc_id.as_ref(),
                profile: services.profile.as_ref(),
                version: services.version,
                time: services.time.as_ref(),
            });
            writer.parms(&services.extensions);
        });
    }

    fn method(&mut self, method: &ServiceChangeMethod) {
        let token = match method {
            ServiceChangeMethod::Failover => Token::Failover,
            ServiceChangeMethod::Forced => Token::Forced,
            ServiceChangeMethod::Graceful => Token::Graceful,
            ServiceChangeMethod::Restart => Token::Restart,
            ServiceChangeMethod::Disconnected => Token::Disconnected,
            ServiceChangeMethod::HandOff => Token::HandOff,
            ServiceChangeMethod::Extension(name) => return self.assign(Token::Method, name),
        };
        self.assign_token(Token::Method, token);
    }

    /// Address and MgcIdToTry exclude each other (Annex B.2): the latter wins.
    fn common(&mut self, common: &Common<'_>) {
        match (common.mgc_id, common.address) {
            (Some(mgc_id), _) => {
                self.item();
                self.assign(Token::MgcIdToTry, mgc_id);
            }
            (None, Some(address)) => {
                self.item();
                self.service_change_address(address);
            }
            (None, None) => {}
        }
        if let Some(profile) = common.profile {
            self.item();
            self.assign(Token::Profile, &profile.name);
            self.out.push(b'/');
            self.put(profile.version);
        }
        if let Some(version) = common.version {
            self.item();
            self.assign(Token::Version, version);
        }
        if let Some(time) = common.time {
            self.item();
            self.put(time);
        }
    }

    fn service_change_address(&mut self, address: &ServiceChangeAddress) {
        match address {
            ServiceChangeAddress::MId(mid) => self.assign(Token::ServiceChangeAddress, mid),
            ServiceChangeAddress::Port(port) => self.assign(Token::ServiceChangeAddress, port),
            ServiceChangeAddress::Value(value) => {
                self.token(Token::ServiceChangeAddress);
                self.equal();
                self.value(value);
            }
        }
    }
}
