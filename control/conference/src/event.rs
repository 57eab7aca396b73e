//! What a conference is told and what it asks for. Plain data: no SIP or H.248 types.

/// Names a participant's leg for as long as the process lives; grows with the order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(pub u64);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new leg asks for a seat.
    Invited(ParticipantId),
    /// The focus is to call somebody.
    DialOut(ParticipantId),
    /// The one we called is being alerted.
    Alerted(ParticipantId),
    /// The one we called accepted, with a usable answer.
    Accepted(ParticipantId),
    /// Its termination was added.
    TerminationReady(ParticipantId),
    /// Its termination could not be added.
    TerminationFailed(ParticipantId, MixerFailure),
    /// Its 200 was acknowledged.
    Acked(ParticipantId),
    /// It is gone on the SIP side: BYE, CANCEL, no ACK, or it did not accept our call.
    Left(ParticipantId),
    /// The focus removes it.
    Expelled(ParticipantId, Hangup),
    /// The subtract of its termination ended, well or not: it is never repeated.
    Subtracted(ParticipantId),
    /// It offers another session description.
    Reoffered(ParticipantId),
    /// Its termination was changed.
    Changed(ParticipantId),
    /// Its termination could not be changed.
    ChangeFailed(ParticipantId, MixerFailure),
    /// What it may do is in force at its termination.
    ModeSet(ParticipantId),
    /// That could not be brought into force.
    ModeFailed(ParticipantId, MixerFailure),
    /// The time has come to try again.
    ModeDue(ParticipantId),
    /// The conference lasts only as long as it takes part (TS 24.147 5.3.2.7).
    Hosted(ParticipantId),
    /// A moderator lets it only listen, or speak again.
    Muted(ParticipantId, bool),
    /// A moderator lets nobody in who was not called, or everybody again.
    Locked(bool),
    /// The association with the mixer is lost.
    MixerLost,
    /// The mixer is back; whether it kept its contexts.
    MixerBack {
        /// Contexts and terminations are as they were.
        kept: bool,
    },
    /// The mixer did not come back in time.
    GraceOver,
    /// The conference ends.
    Closed,
}

/// What the shell must now do. Plain data: no SIP or H.248 types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Add a termination to a new context or to the one there is; answer with
    /// [`Event::TerminationReady`] or [`Event::TerminationFailed`].
    AddTermination {
        /// For whom.
        participant: ParticipantId,
        /// Whether the context is to be made.
        new_context: bool,
    },
    /// Accept the INVITE.
    Answer(ParticipantId),
    /// Send an INVITE with what the termination offers; answer with [`Event::Alerted`],
    /// [`Event::Accepted`] or [`Event::Left`].
    Dial(ParticipantId),
    /// Refuse the INVITE; of one that was to be called: give up.
    Refuse(ParticipantId, Refusal),
    /// Subtract the termination; answer with [`Event::Subtracted`].
    SubtractTermination(ParticipantId),
    /// Change the termination to the new offer; answer with [`Event::Changed`] or
    /// [`Event::ChangeFailed`].
    ModifyTermination(ParticipantId),
    /// Accept the new offer.
    AnswerChange(ParticipantId),
    /// Refuse the new offer; the session stays as it was.
    RefuseChange(ParticipantId, Refusal),
    /// Bring what the participant may do now into force at the termination; answer with [`Event::ModeSet`] or
    /// [`Event::ModeFailed`].
    SetMode(ParticipantId),
    /// Send [`Event::ModeDue`] after a while.
    RetryMode(ParticipantId),
    /// Send BYE, or CANCEL to one that did not accept yet.
    HangUp(ParticipantId, Hangup),
    /// The media side of this leg is over; no event for it will matter any more.
    Release(ParticipantId),
    /// How this participant stands changed: whether it is connected, or what it may do.
    PublishSeat(ParticipantId),
    /// What is said of the conference changed, or how many stand.
    PublishRoster,
    /// Send [`Event::GraceOver`] after the configured time.
    StartGrace,
    /// Nobody is left and no context exists.
    Ended,
}

/// Why a join or a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No seat is free.
    Full,
    /// The conference is ending.
    Closing,
    /// Nobody is let in.
    Locked,
    /// No mixer can serve it now.
    MixerUnavailable,
    /// The mixer does not support what was offered.
    MediaUnsupported,
}

/// Why the mixer did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixerFailure {
    /// No mixer, no resources.
    Unavailable,
    /// No answer: it may have been done or not.
    Silent,
    /// The description is not supported.
    Unsupported,
}

impl From<MixerFailure> for Refusal {
    fn from(failure: MixerFailure) -> Self {
        match failure {
            MixerFailure::Unavailable | MixerFailure::Silent => Self::MixerUnavailable,
            MixerFailure::Unsupported => Self::MediaUnsupported,
        }
    }
}

/// Why the focus ends a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// Its mixer is gone.
    MixerLost,
    /// Its session cannot go on: no usable answer, or its termination failed.
    MediaFailed,
    /// It did not refresh its session, or did not answer a refresh.
    SessionExpired,
    /// Somebody removed it.
    Removed,
    /// The conference ends.
    Closing,
}

/// Where a participant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatState {
    /// For the context, to be opened or closed by others.
    Waiting,
    /// For the Add.
    Adding {
        /// The leg is gone: subtract as soon as the Add is answered.
        is_gone: bool,
    },
    /// For the ACK.
    Answered,
    /// For the answer to our call.
    Dialing,
    /// For its answer to be brought into force.
    Configuring,
    /// In the conference.
    Connected,
    /// For the subtract, or to be subtracted.
    Leaving {
        /// The subtract is on its way.
        is_sent: bool,
    },
}

/// One row of the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub id: ParticipantId,
    /// Where it stands.
    pub state: SeatState,
    /// Whether the focus called it.
    pub is_called: bool,
    /// Whether it may only listen.
    pub is_muted: bool,
}
