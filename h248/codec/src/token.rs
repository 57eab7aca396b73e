//! The keywords of the text encoding, long and short.
//!
//! Keywords are contextual: a [`Token`] is only what a word *may* mean. The parser decides by
//! position; the same letters are a name elsewhere.

macro_rules! tokens {
    ($($name:ident $long:literal $short:literal,)*) => {
        /// A keyword (H.248.1 Annex B.2, token productions).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Token { $($name,)* }

        const ALL: &[Token] = &[$(Token::$name,)*];

        impl Token {
            /// The spelling of a verbose sender.
            pub(crate) const fn long(self) -> &'static str {
                match self { $(Self::$name => $long,)* }
            }

            /// The spelling of a terse sender.
            pub(crate) const fn short(self) -> &'static str {
                match self { $(Self::$name => $short,)* }
            }
        }
    };
}

tokens! {
    Add "Add" "A",
    AndLogic "ANDLgc" "ANDLgc",
    Audit "Audit" "AT",
    AuditCapability "AuditCapability" "AC",
    AuditValue "AuditValue" "AV",
    Authentication "Authentication" "AU",
    Both "Both" "B",
    Bothway "Bothway" "BW",
    Brief "Brief" "BR",
    Buffer "Buffer" "BF",
    Context "Context" "C",
    ContextAttr "ContextAttr" "CT",
    ContextAudit "ContextAudit" "CA",
    ContextList "ContextList" "CLT",
    Delay "Delay" "DL",
    DigitMap "DigitMap" "DM",
    Disconnected "Disconnected" "DC",
    Duration "Duration" "DR",
    Embed "Embed" "EM",
    Emergency "Emergency" "EG",
    EmergencyOff "EmergencyOff" "EGO",
    EmergencyValue "EmergencyValue" "EGV",
    End "END" "&",
    Error "Error" "ER",
    EventBuffer "EventBuffer" "EB",
    Events "Events" "E",
    External "External" "EX",
    Failover "Failover" "FL",
    Forced "Forced" "FO",
    Graceful "Graceful" "GR",
    HandOff "HandOff" "HO",
    IepsCall "IEPSCall" "IEPS",
    ImmAckRequired "ImmAckRequired" "IA",
    ImmediateNotify "ImmediateNotify" "NBIN",
    Inactive "Inactive" "IN",
    InService "InService" "IV",
    IntByEvent "IntByEvent" "IBE",
    IntBySigDescr "IntBySigDescr" "IBS",
    Internal "Internal" "IT",
    Intersignal "Intersignal" "SPAIS",
    Isolate "Isolate" "IS",
    Iteration "Iteration" "IR",
    KeepActive "KeepActive" "KA",
    Local "Local" "L",
    LocalControl "LocalControl" "O",
    LockStep "LockStep" "SP",
    Loopback "Loopback" "LB",
    Media "Media" "M",
    Megaco "MEGACO" "!",
    Method "Method" "MT",
    MgcIdToTry "MgcIdToTry" "MG",
    Mode "Mode" "MO",
    Modem "Modem" "MD",
    Modify "Modify" "MF",
    Move "Move" "MV",
    Mtp "MTP" "MTP",
    Mux "Mux" "MX",
    NeverNotify "NeverNotify" "NBNN",
    Notify "Notify" "N",
    NotifyCompletion "NotifyCompletion" "NC",
    ObservedEvents "ObservedEvents" "OE",
    Off "OFF" "OFF",
    On "ON" "ON",
    Oneway "Oneway" "OW",
    OnewayBoth "OnewayBoth" "OWB",
    OnewayExternal "OnewayExternal" "OWE",
    OnOff "OnOff" "OO",
    OrLogic "ORLgc" "ORLgc",
    OtherReason "OtherReason" "OR",
    OutOfService "OutOfService" "OS",
    Packages "Packages" "PG",
    Pending "Pending" "PN",
    Priority "Priority" "PR",
    Profile "Profile" "PF",
    Reason "Reason" "RE",
    ReceiveOnly "ReceiveOnly" "RC",
    RegulatedNotify "RegulatedNotify" "NBRN",
    Remote "Remote" "R",
    Reply "Reply" "P",
    ReservedGroup "ReservedGroup" "RG",
    ReservedValue "ReservedValue" "RV",
    ResetEvents "ResetEventsDescriptor" "RSE",
    Restart "Restart" "RS",
    Segment "Segment" "SM",
    SendOnly "SendOnly" "SO",
    SendReceive "SendReceive" "SR",
    ServiceChange "ServiceChange" "SC",
    ServiceChangeAddress "ServiceChangeAddress" "AD",
    ServiceChangeInc "ServiceChangeInc" "SIC",
    Services "Services" "SV",
    ServiceStates "ServiceStates" "SI",
    SignalList "SignalList" "SL",
    Signals "Signals" "SG",
    SignalType "SignalType" "SY",
    SpaDirection "SPADirection" "SPADI",
    SpaRequestId "SPARequestID" "SPARQ",
    Statistics "Statistics" "SA",
    Stream "Stream" "ST",
    Subtract "Subtract" "S",
    TerminationState "TerminationState" "TS",
    Test "Test" "TE",
    TimeOut "TimeOut" "TO",
    Topology "Topology" "TP",
    Transaction "Transaction" "T",
    TransactionResponseAck "TransactionResponseAck" "K",
    Version "Version" "V",
}

/// Spellings in use besides the two of the Recommendation, both Erlang/OTP's.
const ALIASES: &[(&str, Token)] = &[
    ("ANSLgc", Token::AndLogic),
    ("EmergencyOffToken", Token::EmergencyOff),
];

/// Places of the hash table: many times the spellings, so that runs are short.
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 10;

/// Octets of the longest keyword.
const LONGEST: usize = 22;

/// Indices into [`ALL`] plus one, at the place of each spelling or, if that is taken, behind it.
static TABLE: [u8; PLACES] = table();

/// Where a word is looked for: by its length, its first two octets and its last, without case.
#[expect(clippy::cast_possible_truncation, reason = "words are short")]
const fn place(word: &[u8]) -> usize {
    let last = word.len() - 1;
    let second = if last > 0 { 1 } else { 0 };
    let key = u32::from_le_bytes([word[0], word[second], word[last], 0]) | 0x0020_2020;
    let key = key | (word.len() as u32) << 24;
    (key.wrapping_mul(0x9e37_79b1) >> (u32::BITS - PLACE_BITS)) as usize
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 255 tokens"
)]
const fn table() -> [u8; PLACES] {
    let mut table = [0; PLACES];
    let mut index = 0;
    while index < ALL.len() {
        insert(&mut table, ALL[index].long(), index as u8 + 1);
        insert(&mut table, ALL[index].short(), index as u8 + 1);
        index += 1;
    }
    table
}

const fn insert(table: &mut [u8; PLACES], spelling: &str, entry: u8) {
    let mut at = place(spelling.as_bytes());
    assert!(spelling.len() <= LONGEST);
    while table[at] != 0 {
        at = (at + 1) % PLACES;
    }
    table[at] = entry;
}

impl Token {
    /// The keyword `word` may mean, without regard to case.
    pub(crate) fn of(word: &str) -> Option<Self> {
        if word.is_empty() || word.len() > LONGEST {
            return None;
        }
        let same = |spelling: &str| spelling.eq_ignore_ascii_case(word);
        let mut at = place(word.as_bytes());
        while TABLE[at] != 0 {
            let token = ALL[usize::from(TABLE[at]) - 1];
            if same(token.short()) || same(token.long()) {
                return Some(token);
            }
            at = (at + 1) % PLACES;
        }
        let alias = ALIASES.iter().find(|(spelling, _)| same(spelling))?;
        Some(alias.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_means_one_token() {
        for token in ALL {
            assert_eq!(Token::of(token.long()), Some(*token));
            assert_eq!(Token::of(&token.short().to_lowercase()), Some(*token));
        }
        assert_eq!(Token::of("anslgc"), Some(Token::AndLogic));
        assert_eq!(Token::of("EmergencyOffToken"), Some(Token::EmergencyOff));
        for word in ["", "Frob", "Addd", "1", "-", "A-", "é"] {
            assert_eq!(Token::of(word), None, "{word}");
        }
    }
}
