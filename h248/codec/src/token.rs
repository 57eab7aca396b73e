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

/// The short spellings, padded to eight octets, and their lengths.
static SHORT_FORMS: [([u8; 8], u8); ALL.len()] = short_forms();

#[expect(clippy::cast_possible_truncation, reason = "at most 8")]
const fn short_forms() -> [([u8; 8], u8); ALL.len()] {
    let mut forms = [([b' '; 8], 0); ALL.len()];
    let mut index = 0;
    while index < ALL.len() {
        let spelling = ALL[index].short().as_bytes();
        let mut at = 0;
        while at < spelling.len() {
            forms[index].0[at] = spelling[at];
            at += 1;
        }
        forms[index].1 = at as u8;
        index += 1;
    }
    forms
}

/// Spellings in use besides the two of the Recommendation, both Erlang/OTP's: a short one...
const SHORT_ALIAS: (&str, Token) = ("ANSLgc", Token::AndLogic);
/// ... and a long one.
const LONG_ALIAS: (&str, Token) = ("EmergencyOffToken", Token::EmergencyOff);

/// Octets of the longest keyword.
const LONGEST: usize = 22;

/// Places of each table: at least twice its spellings, so that runs are short.
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 9;

/// Spellings of one octet.
static ONE: [Option<Token>; 256] = one_table();

/// Spellings of two letters, at their [`pair`].
static TWO: [Option<Token>; 1 << 10] = two_table();

/// A place for each pair of letters, without regard to case.
const fn pair(a: u8, b: u8) -> usize {
    ((a & 0x1f) as usize) << 5 | (b & 0x1f) as usize
}

const fn one_table() -> [Option<Token>; 256] {
    let mut table = [None; 256];
    let mut index = 0;
    while index < ALL.len() {
        if let [octet] = ALL[index].short().as_bytes() {
            table[octet.to_ascii_uppercase() as usize] = Some(ALL[index]);
            table[octet.to_ascii_lowercase() as usize] = Some(ALL[index]);
        }
        index += 1;
    }
    table
}

const fn two_table() -> [Option<Token>; 1 << 10] {
    let mut table = [None; 1 << 10];
    let mut index = 0;
    while index < ALL.len() {
        let token = ALL[index];
        if let [a, b] = token.short().as_bytes() {
            table[pair(*a, *b)] = Some(token);
        }
        if let [a, b] = token.long().as_bytes() {
            table[pair(*a, *b)] = Some(token);
        }
        index += 1;
    }
    table
}

/// Spellings of three to eight octets: as a number without case, 0 for a free place, and the index
/// into [`ALL`]. Each is at the place its number is hashed to or, if that is taken, behind it.
struct Short {
    keys: [u64; PLACES],
    tokens: [u8; PLACES],
}

static SHORT: Short = short_table();

/// Longer spellings: the index into [`ALL`] plus one, by the number of the first eight octets and
/// the length.
static LONG: [u8; PLACES] = long_table();

/// The bit that distinguishes cases, in every octet.
const CASE: u64 = 0x2020_2020_2020_2020;

/// The first octets of `word`, up to eight, as a number without case.
///
/// Letters differ in more than their case bit; what else becomes equal is never part of a word.
#[inline]
const fn key(word: &[u8]) -> u64 {
    let number = match word {
        [] => return 0,
        [a] => *a as u64,
        [a, b] => *a as u64 | (*b as u64) << 8,
        [a, b, c] => *a as u64 | (*b as u64) << 8 | (*c as u64) << 16,
        [a, b, c, d, rest @ ..] => {
            let first = u32::from_le_bytes([*a, *b, *c, *d]) as u64;
            // What is read twice is the same twice.
            let second = match (rest, word) {
                ([e, f, g, h, ..], _) => u32::from_le_bytes([*e, *f, *g, *h]) as u64,
                (_, [.., w, x, y, z]) => {
                    let last = u32::from_le_bytes([*w, *x, *y, *z]) as u64;
                    last >> ((4 - rest.len()) * 8)
                }
                _ => 0,
            };
            first | second << 32
        }
    };
    let octets = if word.len() < 8 { word.len() } else { 8 };
    number | CASE >> ((8 - octets) * 8)
}

const fn place(key: u64, length: usize) -> usize {
    let mixed = (key ^ (length as u64) << 59).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - PLACE_BITS)) as usize
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 255 tokens"
)]
const fn short_table() -> Short {
    let mut table = Short {
        keys: [0; PLACES],
        tokens: [0; PLACES],
    };
    let mut index = 0;
    while index < ALL.len() {
        insert_short(&mut table, ALL[index].long(), index as u8);
        insert_short(&mut table, ALL[index].short(), index as u8);
        index += 1;
    }
    insert_short(&mut table, SHORT_ALIAS.0, SHORT_ALIAS.1 as u8);
    table
}

const fn insert_short(table: &mut Short, spelling: &str, token: u8) {
    if spelling.len() > 8 {
        return;
    }
    let key = key(spelling.as_bytes());
    let mut at = place(key, 0);
    while table.keys[at] != 0 {
        at = (at + 1) % PLACES;
    }
    table.keys[at] = key;
    table.tokens[at] = token;
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 255 tokens"
)]
const fn long_table() -> [u8; PLACES] {
    let mut table = [0; PLACES];
    let mut index = 0;
    while index < ALL.len() {
        // No short form is longer than eight octets.
        let spelling = ALL[index].long().as_bytes();
        assert!(spelling.len() <= LONGEST && ALL[index].short().len() <= 8);
        if spelling.len() > 8 {
            let mut at = place(key(spelling), spelling.len());
            while table[at] != 0 {
                at = (at + 1) % PLACES;
            }
            table[at] = index as u8 + 1;
        }
        index += 1;
    }
    table
}

impl Token {
    /// The keyword that `word`, a run of SafeChars, may mean; without regard to case.
    #[inline]
    pub(crate) fn of(word: &[u8]) -> Option<Self> {
        match word {
            [a] => ONE[usize::from(*a)],
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => TWO[pair(*a, *b)],
            _ => Self::of_more(word),
        }
    }

    /// The spelling of a terse sender, padded, and its length.
    #[inline]
    pub(crate) fn short_form(self) -> (&'static [u8; 8], usize) {
        let (form, length) = &SHORT_FORMS[self as usize];
        (form, usize::from(*length))
    }

    fn of_more(word: &[u8]) -> Option<Self> {
        if word.len() > 8 {
            return Self::of_long(word);
        }
        let key = key(word);
        let mut at = place(key, 0);
        while SHORT.keys[at] != 0 {
            if SHORT.keys[at] == key {
                return Some(ALL[usize::from(SHORT.tokens[at])]);
            }
            at = (at + 1) % PLACES;
        }
        None
    }

    fn of_long(word: &[u8]) -> Option<Self> {
        if word.len() > LONGEST {
            return None;
        }
        let mut at = place(key(word), word.len());
        while LONG[at] != 0 {
            let token = ALL[usize::from(LONG[at]) - 1];
            if token.long().as_bytes().eq_ignore_ascii_case(word) {
                return Some(token);
            }
            at = (at + 1) % PLACES;
        }
        let is_alias = LONG_ALIAS.0.as_bytes().eq_ignore_ascii_case(word);
        is_alias.then_some(LONG_ALIAS.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_means_one_token() {
        for token in ALL {
            assert_eq!(Token::of(token.long().as_bytes()), Some(*token));
            assert_eq!(
                Token::of(token.short().to_lowercase().as_bytes()),
                Some(*token)
            );
        }
        assert_eq!(Token::of(b"anslgc"), Some(Token::AndLogic));
        assert_eq!(Token::of(b"EmergencyOffToken"), Some(Token::EmergencyOff));
        for word in ["", "Frob", "Addd", "1", "-", "A-", "é"] {
            assert_eq!(Token::of(word.as_bytes()), None, "{word}");
        }
    }
}
