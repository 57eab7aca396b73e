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

/// Most keywords that share a first letter.
const BUCKET: usize = 24;

/// Indices into [`ALL`] plus one, by the first letter of the long or the short form.
const BUCKETS: [[u8; BUCKET]; 26] = buckets();

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 255 tokens"
)]
const fn buckets() -> [[u8; BUCKET]; 26] {
    let mut table = [[0; BUCKET]; 26];
    let mut index = 0;
    while index < ALL.len() {
        let long = ALL[index].long().as_bytes()[0];
        let short = ALL[index].short().as_bytes()[0];
        insert(&mut table, long, index as u8 + 1);
        if !short.eq_ignore_ascii_case(&long) {
            insert(&mut table, short, index as u8 + 1);
        }
        index += 1;
    }
    table
}

const fn insert(table: &mut [[u8; BUCKET]; 26], first: u8, entry: u8) {
    if !first.is_ascii_alphabetic() {
        return;
    }
    let row = (first.to_ascii_uppercase() - b'A') as usize;
    let mut slot = 0;
    while table[row][slot] != 0 {
        slot += 1;
    }
    table[row][slot] = entry;
}

impl Token {
    /// The keyword `word` may mean, without regard to case.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let first = match word.as_bytes().first()? {
            b'&' if word.len() == 1 => return Some(Self::End),
            b'!' if word.len() == 1 => return Some(Self::Megaco),
            letter if letter.is_ascii_alphabetic() => letter.to_ascii_uppercase() - b'A',
            _ => return None,
        };
        let same = |spelling: &str| spelling.eq_ignore_ascii_case(word);
        BUCKETS[usize::from(first)]
            .iter()
            .take_while(|entry| **entry != 0)
            .map(|entry| ALL[usize::from(*entry) - 1])
            .find(|token| same(token.short()) || same(token.long()))
            .or_else(|| {
                let alias = ALIASES.iter().find(|(spelling, _)| same(spelling))?;
                Some(alias.1)
            })
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
