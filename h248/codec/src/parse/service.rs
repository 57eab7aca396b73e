//! Services descriptors of ServiceChange.

use super::media::{is_extension, version};
use super::value::{is_name, is_path_word, number, time_stamp};
use super::{Parsed, Parser, Word, added};
use crate::ast::{
    MId, Name, Parm, Profile, ServiceChange, ServiceChangeAddress, ServiceChangeMethod,
    ServiceChangeReplyParms, Value,
};
use crate::error_code::ErrorCode;
use crate::lex::{class, is_all};
use crate::token::Token;

/// What may be missing or present in a Services descriptor while it is read.
#[derive(Default)]
struct Services {
    method: Option<ServiceChangeMethod>,
    reason: Option<Value>,
    delay: Option<u32>,
    incomplete: bool,
    audit: Vec<crate::ast::AuditItem>,
    common: ServiceChangeReplyParms,
    seen: u32,
    seen_audits: u32,
}

/// A Services descriptor that is still to be read.
pub(super) fn unread() -> ServiceChange {
    ServiceChange::new(ServiceChangeMethod::Restart, Value::default())
}

impl<'a> Parser<'a> {
    /// `{ ... }` of a request: Method and Reason are mandatory.
    pub(super) fn service_change(&mut self, change: &mut ServiceChange) -> Parsed<()> {
        let services = self.services(true)?;
        let Some(method) = services.method else {
            return self.fail("Method among the parameters before");
        };
        let Some(reason) = services.reason else {
            return self.fail("Reason among the parameters before");
        };
        let common = services.common;
        *change = ServiceChange {
            method,
            reason,
            delay: services.delay,
            address: common.address,
            mgc_id: common.mgc_id,
            profile: common.profile,
            version: common.version,
            time: common.time,
            audit: services.audit,
            incomplete: services.incomplete,
            extensions: common.extensions,
        };
        Ok(())
    }

    /// `{ ... }` of a reply.
    pub(super) fn service_change_reply(&mut self) -> Parsed<ServiceChangeReplyParms> {
        Ok(self.services(false)?.common)
    }

    fn services(&mut self, is_request: bool) -> Parsed<Services> {
        let mut services = Services::default();
        self.braced(|parser| {
            let word = parser.word("a ServiceChange parameter")?;
            let is_known = parser.common_parm(word, &mut services)?
                || (is_request && parser.request_parm(word, &mut services)?);
            if is_known {
                return Ok(());
            }
            let code = ErrorCode::UNKNOWN_PARAMETER;
            Err(parser.failed(word.at, "a ServiceChange parameter", code))
        })?;
        if services.common.address.is_some() && services.common.mgc_id.is_some() {
            return self.fail("either ServiceChangeAddress or MgcIdToTry before");
        }
        Ok(services)
    }

    /// Parameters of requests and replies.
    fn common_parm(&mut self, word: Word<'a>, services: &mut Services) -> Parsed<bool> {
        let twice = ErrorCode::PROPERTY_TWICE;
        if let Some(time) = time_stamp(word.octets) {
            self.once(&mut services.seen, 0, word, twice)?;
            services.common.time = Some(time);
            return Ok(true);
        }
        if is_extension(word.octets) {
            let extension = added(&mut services.common.extensions, Parm::default);
            extension.name = self.name(word);
            self.property_value(&mut extension.value)?;
            return Ok(true);
        }
        match word.token() {
            Some(Token::ServiceChangeAddress) => {
                self.once(&mut services.seen, 1, word, twice)?;
                services.common.address = Some(self.service_change_address()?);
            }
            Some(Token::MgcIdToTry) => {
                self.once(&mut services.seen, 2, word, twice)?;
                self.equal()?;
                services.common.mgc_id = Some(self.mid()?);
            }
            Some(Token::Profile) => {
                self.once(&mut services.seen, 3, word, twice)?;
                services.common.profile = Some(self.assigned_text("a profile/version", profile)?);
            }
            Some(Token::Version) => {
                self.once(&mut services.seen, 4, word, twice)?;
                let expected = "a version of one or two digits";
                services.common.version = Some(self.assigned(expected, version)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Parameters of requests only.
    fn request_parm(&mut self, word: Word<'a>, services: &mut Services) -> Parsed<bool> {
        let twice = ErrorCode::PROPERTY_TWICE;
        match word.token() {
            Some(Token::Method) => {
                self.once(&mut services.seen, 5, word, twice)?;
                services.method = Some(self.method()?);
            }
            Some(Token::Reason) => {
                self.once(&mut services.seen, 6, word, twice)?;
                self.equal()?;
                services.reason = Some(self.value()?);
            }
            Some(Token::Delay) => {
                self.once(&mut services.seen, 7, word, twice)?;
                services.delay = Some(self.assigned_u32()?);
            }
            Some(Token::ServiceChangeInc) => {
                self.since(3, word)?;
                self.once(&mut services.seen, 8, word, twice)?;
                services.incomplete = true;
            }
            _ => match self.audit_item(word, &mut services.seen_audits)? {
                Some(item) => {
                    self.since(2, word)?;
                    services.audit.push(item);
                }
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    fn method(&mut self) -> Parsed<ServiceChangeMethod> {
        let method = self.assigned_text("a ServiceChange method", |text| {
            match Token::of(text.as_bytes()) {
                Some(Token::Failover) => Some(ServiceChangeMethod::Failover),
                Some(Token::Forced) => Some(ServiceChangeMethod::Forced),
                Some(Token::Graceful) => Some(ServiceChangeMethod::Graceful),
                Some(Token::Restart) => Some(ServiceChangeMethod::Restart),
                Some(Token::Disconnected) => Some(ServiceChangeMethod::Disconnected),
                Some(Token::HandOff) => Some(ServiceChangeMethod::HandOff),
                _ => is_extension(text.as_bytes())
                    .then(|| ServiceChangeMethod::Extension(Name::new(text))),
            }
        });
        if method.is_err() {
            self.failure.code = ErrorCode::UNKNOWN_VALUE;
        }
        method
    }

    /// `= mId`, `= port`, or any other value.
    fn service_change_address(&mut self) -> Parsed<ServiceChangeAddress> {
        self.equal()?;
        match self.next() {
            Some(b'<' | b'[') => return Ok(ServiceChangeAddress::MId(self.mid()?)),
            Some(b'"') => return Ok(ServiceChangeAddress::Value(self.value()?)),
            _ => {}
        }
        let word = self.word("an address, a port or a device name")?;
        if is_all(word.octets, class::DIGIT) {
            return match number(word.octets, 5) {
                Some(port) => Ok(ServiceChangeAddress::Port(port)),
                None => self.fail_at(word.at, "a port number"),
            };
        }
        if word.is(Token::Mtp) && self.next() == Some(b'{') {
            self.cursor.seek(word.at);
            return Ok(ServiceChangeAddress::MId(self.mid()?));
        }
        if is_path_word(word) {
            return Ok(ServiceChangeAddress::MId(MId::Device(self.name(word))));
        }
        Ok(ServiceChangeAddress::Value(Value::plain(
            self.cursor.text_of(word),
        )))
    }
}

/// `NAME/version`.
fn profile(text: &str) -> Option<Profile> {
    let (name, digits) = text.split_once('/')?;
    let version = version(digits.as_bytes())?;
    is_name(name).then(|| Profile {
        name: Name::new(name),
        version,
    })
}
