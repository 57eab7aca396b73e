//! A shard that is no more: what was on it is out of service, and the controller is told so
//! (ServiceChange Forced, 904), context by context; the controller then subtracts it (H.248.1
//! section 7.2.8).

use std::collections::{BTreeSet, VecDeque};

use h248::ast::{
    ActionRequest, Command, CommandRequest, ContextId, ContextProperties, ServiceChange,
    ServiceChangeMethod, ServiceState, TerminationId, Value,
};
use switch::ShardIndex;

use super::core::Core;
use super::fault::Fault;

/// Stands for a whole context where others are terminations; none of them has this number.
pub(super) const CONTEXT: u32 = u32::MAX;

/// Shards that are no more, and what is left to be told of them.
#[derive(Debug, Default)]
pub(super) struct Lost {
    shards: BTreeSet<ShardIndex>,
    /// Contexts whose loss is still to be told: one after the other.
    contexts: VecDeque<u32>,
    is_telling: bool,
}

impl Core {
    pub(super) fn is_lost(&self, shard: ShardIndex) -> bool {
        self.lost.shards.contains(&shard)
    }

    /// Nothing can be changed on a termination whose shard is no more.
    pub(super) fn check_alive(&self, shard: ShardIndex) -> Result<(), Fault> {
        if self.is_lost(shard) {
            Err(Fault::OutOfService)
        } else {
            Ok(())
        }
    }

    /// Takes all terminations of a shard that is no more out of service, and puts nothing there
    /// again.
    pub(super) fn lose_shard(&mut self, shard: ShardIndex) {
        if !self.lost.shards.insert(shard) {
            return;
        }
        self.orders.retain(|(to, _)| *to != shard);
        let mut contexts = BTreeSet::new();
        let mut terminations = Vec::new();
        for termination in self.terminations.values_mut() {
            if termination.shard == shard {
                termination.settings.service_state = ServiceState::OutOfService;
                termination.settings.quotas.clear();
                contexts.insert(termination.context);
                terminations.push(termination.number);
            }
        }
        for number in terminations {
            self.forget_look(number);
        }
        self.lost.contexts.extend(contexts);
    }

    /// The next loss to tell the controller; one at a time.
    pub(super) fn next_loss(&mut self) -> Option<ActionRequest> {
        if self.lost.is_telling {
            return None;
        }
        let number = loop {
            let number = self.lost.contexts.pop_front()?;
            if self.contexts.contains_key(&number) {
                break number;
            }
        };
        self.lost.is_telling = true;
        let command = Command::ServiceChange {
            terminations: TerminationId::All.into(),
            services: malfunction(),
        };
        Some(ActionRequest {
            context: ContextId::Id(number),
            properties: ContextProperties::default(),
            audit: None,
            commands: vec![CommandRequest {
                optional: false,
                wildcard_response: false,
                command,
            }],
        })
    }

    /// The controller knows of the last loss told. If nobody answered, there is nobody to tell:
    /// the next controller audits what there is.
    pub(super) fn told_loss(&mut self, is_answered: bool) {
        self.lost.is_telling = false;
        if !is_answered {
            self.lost.contexts.clear();
        }
    }
}

fn malfunction() -> ServiceChange {
    ServiceChange {
        method: ServiceChangeMethod::Forced,
        reason: Value {
            text: "904 Termination malfunctioning".into(),
            quoted: true,
        },
        delay: None,
        address: None,
        mgc_id: None,
        profile: None,
        version: None,
        time: None,
        audit: Vec::new(),
        incomplete: false,
        extensions: Vec::new(),
    }
}
