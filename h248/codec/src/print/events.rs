//! Events, signals, observed events and digit maps.

use super::Writer;
use crate::ast::{
    CompletionReason, DigitMap, Embed, EventSpec, Events, NotifyBehaviour, ObservedEvent,
    ObservedEvents, Parm, Signal, SignalDirection, SignalItem, SignalType,
};
use crate::token::Token;

/// A RequestID that is `*` when it is the highest number.
pub(super) struct RequestId(pub(super) u32);

impl<const PRETTY: bool> Writer<PRETTY> {
    pub(super) fn events(&mut self, events: &Events) {
        self.token(Token::Events);
        if events.events.is_empty() {
            return;
        }
        self.equal();
        match events.request_id {
            Some(id) if !events.request_any => self.put(id),
            Some(_) | None => self.raw("*"),
        }
        self.list(&events.events, Self::event_spec);
    }

    pub(super) fn event_spec(&mut self, event: &EventSpec) {
        self.put(&event.name);
        self.optional_block(|writer| {
            if let Some(stream) = event.stream {
                writer.item();
                writer.assign(Token::Stream, stream);
            }
            if event.keep_active {
                writer.item();
                writer.token(Token::KeepActive);
            }
            if let Some(embed) = &event.embed {
                writer.item();
                writer.embed(embed);
            }
            if let Some(map) = &event.digit_map {
                writer.item();
                writer.digit_map(map);
            }
            if let Some(notify) = &event.notify
                && writer.version >= 3
            {
                writer.item();
                writer.notify_behaviour(notify);
            }
            if event.reset_events && writer.version >= 3 {
                writer.item();
                writer.token(Token::ResetEvents);
            }
            writer.parms(&event.parms);
        });
    }

    pub(super) fn parms(&mut self, parms: &[Parm]) {
        for parm in parms {
            self.item();
            self.parm(parm);
        }
    }

    pub(super) fn parm(&mut self, parm: &Parm) {
        self.put(&parm.name);
        self.property_value(&parm.value);
    }

    fn notify_behaviour(&mut self, notify: &NotifyBehaviour) {
        match notify {
            NotifyBehaviour::Immediate => self.token(Token::ImmediateNotify),
            NotifyBehaviour::Never => self.token(Token::NeverNotify),
            NotifyBehaviour::Regulated(None) => self.token(Token::RegulatedNotify),
            NotifyBehaviour::Regulated(Some(embed)) => {
                self.token(Token::RegulatedNotify);
                self.block(|writer| {
                    writer.item();
                    writer.embed(embed);
                });
            }
        }
    }

    fn embed(&mut self, embed: &Embed) {
        self.token(Token::Embed);
        self.block(|writer| {
            if let Some(signals) = &embed.signals {
                writer.item();
                writer.signals(signals);
            }
            if let Some(events) = &embed.events {
                writer.item();
                writer.events(events);
            }
        });
    }

    pub(super) fn digit_map(&mut self, map: &DigitMap) {
        self.token(Token::DigitMap);
        if map.name.is_some() || map.value.is_some() {
            self.equal();
        }
        if let Some(name) = &map.name {
            self.put(name);
        }
        if let Some(value) = &map.value {
            self.out.push(b'{');
            self.raw(value);
            self.out.push(b'}');
        }
    }

    pub(super) fn signals(&mut self, signals: &[SignalItem]) {
        self.token(Token::Signals);
        if !signals.is_empty() {
            self.list(signals, Self::signal_item);
        }
    }

    fn signal_item(&mut self, item: &SignalItem) {
        match item {
            SignalItem::Signal(signal) => self.signal(signal),
            SignalItem::List { id, signals } => {
                self.assign(Token::SignalList, id);
                self.list(signals, Self::signal);
            }
        }
    }

    pub(super) fn signal(&mut self, signal: &Signal) {
        self.put(&signal.name);
        self.optional_block(|writer| {
            if let Some(stream) = signal.stream {
                writer.item();
                writer.assign(Token::Stream, stream);
            }
            if let Some(kind) = signal.kind {
                writer.item();
                let value = match kind {
                    SignalType::OnOff => Token::OnOff,
                    SignalType::TimeOut => Token::TimeOut,
                    SignalType::Brief => Token::Brief,
                };
                writer.assign_token(Token::SignalType, value);
            }
            if let Some(duration) = signal.duration {
                writer.item();
                writer.assign(Token::Duration, duration);
            }
            if !signal.notify_completion.is_empty() {
                writer.item();
                writer.token(Token::NotifyCompletion);
                writer.equal();
                writer.inline_braces(&signal.notify_completion, Self::completion_reason);
            }
            if signal.keep_active {
                writer.item();
                writer.token(Token::KeepActive);
            }
            writer.signal_v3(signal);
            writer.parms(&signal.parms);
        });
    }

    fn signal_v3(&mut self, signal: &Signal) {
        if let Some(direction) = signal.direction {
            self.item();
            let value = match direction {
                SignalDirection::External => Token::External,
                SignalDirection::Internal => Token::Internal,
                SignalDirection::Both => Token::Both,
            };
            self.assign_token(Token::SpaDirection, value);
        }
        if let Some(id) = signal.request_id {
            self.item();
            self.assign(Token::SpaRequestId, RequestId(id));
        }
        if let Some(delay) = signal.intersignal {
            self.item();
            self.assign(Token::Intersignal, delay);
        }
    }

    fn completion_reason(&mut self, reason: &CompletionReason) {
        match reason {
            CompletionReason::TimeOut => self.token(Token::TimeOut),
            CompletionReason::InterruptByEvent => self.token(Token::IntByEvent),
            CompletionReason::InterruptByNewSignals => self.token(Token::IntBySigDescr),
            CompletionReason::OtherReason => self.token(Token::OtherReason),
            // Erlang/OTP does not know the long form.
            CompletionReason::Iteration => self.raw(Token::Iteration.short()),
        }
    }

    pub(super) fn observed_events(&mut self, observed: &ObservedEvents) {
        self.assign(Token::ObservedEvents, RequestId(observed.request_id));
        self.list(&observed.events, Self::observed_event);
    }

    fn observed_event(&mut self, event: &ObservedEvent) {
        if let Some(time) = &event.time {
            self.put(time);
            self.out.push(b':');
        }
        self.put(&event.name);
        self.optional_block(|writer| {
            if let Some(stream) = event.stream {
                writer.item();
                writer.assign(Token::Stream, stream);
            }
            writer.parms(&event.parms);
        });
    }
}
