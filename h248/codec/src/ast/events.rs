//! Events, signals and digit maps.

use super::{Name, PackageItem, Parm, Text, TimeStamp};

/// `Events[=id{...}]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Request id, `None` for the bare form or `*` (`request_any`).
    pub request_id: Option<u32>,
    /// `Events=*`.
    pub request_any: bool,
    /// Events armed.
    pub events: Vec<EventSpec>,
}

/// One event with its parameters, in Events, EventBuffer or an embedded list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// Which event.
    pub name: PackageItem,
    /// `Stream=id`.
    pub stream: Option<u16>,
    /// `KeepActive`.
    pub keep_active: bool,
    /// `Embed{...}`.
    pub embed: Option<Box<Embed>>,
    /// `DigitMap=...`.
    pub digit_map: Option<Box<DigitMap>>,
    /// v3 notification behaviour.
    pub notify: Option<NotifyBehaviour>,
    /// v3 `ResetEventsDescriptor`.
    pub reset_events: bool,
    /// Other parameters: `name value`.
    pub parms: Vec<Parm>,
}

/// `Embed{[Signals{..}][,Events=..{..}]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Embed {
    /// Signals to start.
    pub signals: Option<Vec<SignalItem>>,
    /// Events to arm.
    pub events: Option<Events>,
}

/// v3 notification behaviour of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyBehaviour {
    /// `ImmediateNotify`.
    Immediate,
    /// `NeverNotify`.
    Never,
    /// `RegulatedNotify[{Embed{..}}]`.
    Regulated(Option<Box<Embed>>),
}

/// One entry of a Signals descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalItem {
    /// A single signal.
    Signal(Signal),
    /// `SignalList=id{...}`.
    List {
        /// List id.
        id: u16,
        /// Played in order.
        signals: Vec<Signal>,
    },
}

/// A signal with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Which signal.
    pub name: PackageItem,
    /// `Stream=id`.
    pub stream: Option<u16>,
    /// `SignalType`.
    pub kind: Option<SignalType>,
    /// `Duration` in hundredths of a second.
    pub duration: Option<u16>,
    /// `NotifyCompletion={..}`.
    pub notify_completion: Vec<CompletionReason>,
    /// `KeepActive`.
    pub keep_active: bool,
    /// v3 `SPADirection`.
    pub direction: Option<SignalDirection>,
    /// v3 `SPARequestID`.
    pub request_id: Option<u32>,
    /// v3 `Intersignal` delay, hundredths of a second.
    pub intersignal: Option<u16>,
    /// Other parameters.
    pub parms: Vec<Parm>,
}

/// `SignalType` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum SignalType {
    OnOff,
    TimeOut,
    Brief,
}

/// `NotifyCompletion` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum CompletionReason {
    TimeOut,
    InterruptByEvent,
    InterruptByNewSignals,
    OtherReason,
    Iteration,
}

/// v3 `SPADirection` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum SignalDirection {
    External,
    Internal,
    Both,
}

/// `DigitMap=name[{value}]` or `DigitMap={value}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigitMap {
    /// Name, when written.
    pub name: Option<Name>,
    /// The text between the braces, when written.
    pub value: Option<Text>,
}

/// `ObservedEvents=id{...}`; without events only in a Notify that carries an Error alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedEvents {
    /// The RequestID of the Events descriptor that asked.
    pub request_id: u32,
    /// In order of observation.
    pub events: Vec<ObservedEvent>,
}

/// One observed event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedEvent {
    /// When, if the sender says so.
    pub time: Option<TimeStamp>,
    /// Which event.
    pub name: PackageItem,
    /// `Stream=id`.
    pub stream: Option<u16>,
    /// Other parameters.
    pub parms: Vec<Parm>,
}
