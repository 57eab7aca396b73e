//! Audits of ROOT.

use h248::ast::{
    AuditDescriptor, AuditItem, AuditToken, Descriptor, Events, Media, MediaAudit, MediaAuditItem,
    MediaStreams, ServiceState, TerminationState,
};

use super::named::is_other;
use super::told::{active, events_and_signals, every_item};
use super::{Audit, capability, media};
use crate::gateway::core::{Core, Service};
use crate::gateway::fault::Fault;
use crate::gateway::package::{self, Place, plain};

impl Core {
    /// What an Audit descriptor asks of ROOT.
    pub(in crate::gateway) fn root_items(
        &self,
        asked: &AuditDescriptor,
        audit: Audit,
    ) -> Result<Vec<Descriptor>, Fault> {
        let state = || match audit {
            Audit::Value => self.root_state(),
            Audit::Capability => capability::root_state(&self.config),
        };
        let events = match audit {
            Audit::Value => self.root_events.clone(),
            Audit::Capability => capability::events(true, &self.config),
        };
        let mut items = Vec::new();
        for entry in &asked.items {
            items.push(match entry {
                AuditItem::Whole(AuditToken::Media) => of_root(state()),
                AuditItem::Media(MediaAudit {
                    termination_state: Some(wanted),
                    streams,
                    one_stream: None,
                }) if streams.is_empty() => {
                    media::check_items(wanted, Place::Root, &self.config)?;
                    of_root(media::narrowed_state(
                        &state(),
                        wanted,
                        Place::Root,
                        &self.config,
                    ))
                }
                AuditItem::Media(_) | AuditItem::Statistics(_) | AuditItem::DigitMap(_) => {
                    return Err(Fault::AuditedUnknown("item of ROOT".to_owned()));
                }
                AuditItem::Events { request_id, .. }
                    if audit == Audit::Value && is_other(*request_id, &events) =>
                {
                    self.check_entry(entry)?;
                    Descriptor::Events(Events::default())
                }
                AuditItem::Whole(AuditToken::ObservedEvents) if audit == Audit::Capability => {
                    active(&self.root_events)
                }
                AuditItem::Packages(list) => {
                    self.check_entry(entry)?;
                    items.push(self.common(entry, &events, &[]));
                    let names = every_item(list);
                    items.extend(self.root_properties_of(&names));
                    items.extend(events_and_signals(&events, &[], &names));
                    continue;
                }
                AuditItem::Whole(_)
                | AuditItem::Events { .. }
                | AuditItem::EventBuffer(_)
                | AuditItem::Signals(_) => {
                    self.check_entry(entry)?;
                    self.common(entry, &events, &[])
                }
            });
        }
        Ok(items)
    }

    /// The properties of ROOT that have one of these names.
    fn root_properties_of(&self, names: &[h248::ast::PackageItem]) -> Option<Descriptor> {
        let wanted = names.iter().cloned();
        let wanted: Vec<_> = wanted.map(|n| MediaAuditItem::Property(n, None)).collect();
        let state = media::narrowed_state(&self.root_state(), &wanted, Place::Root, &self.config);
        (!state.properties.is_empty()).then(|| of_root(state))
    }

    fn root_state(&self) -> TerminationState {
        let limits = &self.config.limits;
        let fixed = [
            ("maxNumberOfContexts", limits.contexts_max),
            (
                "maxTerminationsPerContext",
                limits.terminations_per_context_max,
            ),
        ];
        let fixed =
            fixed.map(|(name, max)| package::property(("root", name), plain(max.to_string())));
        let mut properties = fixed.to_vec();
        properties.extend(package::with_defaults(
            &self.root_properties,
            Place::Root,
            &self.config,
        ));
        let state = match self.service {
            Service::In => ServiceState::InService,
            // Until the last termination is gone.
            Service::Draining if !self.terminations.is_empty() => ServiceState::InService,
            Service::Draining | Service::Out => ServiceState::OutOfService,
        };
        TerminationState {
            service_states: Some(state),
            buffer: None,
            properties,
        }
    }
}

fn of_root(state: TerminationState) -> Descriptor {
    Descriptor::Media(Media {
        termination_state: Some(state),
        streams: MediaStreams::default(),
    })
}
