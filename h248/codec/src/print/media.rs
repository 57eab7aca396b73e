//! The Media descriptor and statistics.

use super::Writer;
use crate::ast::{
    EventBufferControl, LocalControl, Media, MediaStreams, ServiceState, Statistic, StreamMode,
    StreamParms, TerminationState,
};
use crate::token::Token;

impl<const PRETTY: bool> Writer<PRETTY> {
    pub(super) fn media(&mut self, media: &Media) {
        self.token(Token::Media);
        self.optional_block(|writer| {
            if let Some(state) = &media.termination_state {
                writer.termination_state(state);
            }
            match &media.streams {
                MediaStreams::One(parms) => writer.stream_parms(parms),
                MediaStreams::Multiple(streams) => {
                    for stream in streams {
                        if writer.has_parms(&stream.parms) {
                            writer.item();
                            writer.assign(Token::Stream, stream.id);
                            writer.block(|writer| writer.stream_parms(&stream.parms));
                        }
                    }
                }
            }
        });
    }

    fn has_parms(&self, parms: &StreamParms) -> bool {
        parms.local_control.is_some()
            || parms.local.is_some()
            || parms.remote.is_some()
            || (parms.statistics.is_some() && self.version >= 3)
    }

    fn stream_parms(&mut self, parms: &StreamParms) {
        if let Some(control) = &parms.local_control {
            self.item();
            self.local_control(control);
        }
        if let Some(local) = &parms.local {
            self.item();
            self.token(Token::Local);
            self.octets(local);
        }
        if let Some(remote) = &parms.remote {
            self.item();
            self.token(Token::Remote);
            self.octets(remote);
        }
        if let Some(statistics) = &parms.statistics
            && self.version >= 3
        {
            self.item();
            self.statistics(statistics);
        }
    }

    fn local_control(&mut self, control: &LocalControl) {
        self.token(Token::LocalControl);
        let is_empty = *control == LocalControl::default();
        let mode = control.mode.or(is_empty.then_some(StreamMode::Inactive));
        self.block(|writer| {
            if let Some(mode) = mode {
                writer.item();
                writer.assign_token(Token::Mode, mode_token(mode));
            }
            if let Some(is_on) = control.reserved_value {
                writer.item();
                writer.assign_on_off(Token::ReservedValue, is_on);
            }
            if let Some(is_on) = control.reserved_group {
                writer.item();
                writer.assign_on_off(Token::ReservedGroup, is_on);
            }
            for property in &control.properties {
                writer.item();
                writer.property(property);
            }
        });
    }

    fn termination_state(&mut self, state: &TerminationState) {
        if *state == TerminationState::default() {
            return;
        }
        self.item();
        self.token(Token::TerminationState);
        self.block(|writer| {
            if let Some(state) = state.service_states {
                writer.item();
                writer.assign_token(Token::ServiceStates, state_token(state));
            }
            if let Some(buffer) = state.buffer {
                writer.item();
                let value = match buffer {
                    EventBufferControl::Off => Token::Off,
                    EventBufferControl::LockStep => Token::LockStep,
                };
                writer.assign_token(Token::Buffer, value);
            }
            for property in &state.properties {
                writer.item();
                writer.property(property);
            }
        });
    }

    pub(super) fn statistics(&mut self, statistics: &[Statistic]) {
        self.token(Token::Statistics);
        if !statistics.is_empty() {
            self.list(statistics, Self::statistic);
        }
    }

    fn statistic(&mut self, statistic: &Statistic) {
        self.put(&statistic.name);
        match statistic.values.as_slice() {
            [] => {}
            [value] => {
                self.equal();
                self.value(value);
            }
            values => {
                self.equal();
                self.out.push(b'[');
                self.inline(values, Self::value);
                self.out.push(b']');
            }
        }
    }
}

pub(super) fn mode_token(mode: StreamMode) -> Token {
    match mode {
        StreamMode::SendOnly => Token::SendOnly,
        StreamMode::ReceiveOnly => Token::ReceiveOnly,
        StreamMode::SendReceive => Token::SendReceive,
        StreamMode::Inactive => Token::Inactive,
        StreamMode::Loopback => Token::Loopback,
    }
}

pub(super) fn state_token(state: ServiceState) -> Token {
    match state {
        ServiceState::Test => Token::Test,
        ServiceState::OutOfService => Token::OutOfService,
        ServiceState::InService => Token::InService,
    }
}
