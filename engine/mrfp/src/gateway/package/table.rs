//! The packages of this gateway, item by item: audits, checks, capabilities and the conformance
//! statement (docs/H248.md) are all read from here.

use crate::gateway::limits::SILENCE_SECS_MAX;

use super::{Access, Event, Item, Package, Place, Property, Signal, SignalKind, Values};

/// Milliseconds of a timer on ROOT.
const MILLISECONDS: Values = Values::Integer(0, u32::MAX as u64);

/// Messages or octets granted; 0 is no limit.
const GRANT: Values = Values::Integer(0, u64::MAX);

const CHANGE: Values = Values::Enumeration(&["Est", "Rel"]);

const BLOCKING: Values = Values::Enumeration(&["Unblocked", "Blocked"]);

/// Sieve, escaped: an escape takes three octets for one.
const SCRIPT: Values = Values::Text(3 * sieve::limits::SCRIPT_BYTES_MAX);

/// TS 29.333 writes yes and no, a Boolean of H.248.1 would be on and off.
const YES_OR_NO: Values = Values::Enumeration(&["yes", "no", "on", "off"]);

/// The name of something in the storage.
const REFERENCE: Values = Values::Text(512);

const DIRECTION: Item = item("dir", Values::Enumeration(&["EXT", "INT"]));

/// H.248.14: in units of 10 ms.
const SILENCE: Item = by_default("mit", Values::Integer(1, u32::MAX as u64), "3000");

/// Of MSRP, escaped.
const MESSAGE_ID: Item = item("mi", Values::Text(96));

/// How much of the quality is lost.
const PERCENT: Item = item("th", Values::Integer(0, 99));

const fn item(name: &'static str, values: Values) -> Item {
    by_default(name, values, "")
}

const fn by_default(name: &'static str, values: Values, default: &'static str) -> Item {
    Item {
        name,
        values,
        default,
        is_named_by_us: false,
    }
}

const fn property(
    name: &'static str,
    place: Place,
    default: &'static str,
    values: Values,
) -> Property {
    Property {
        name,
        place,
        access: Access::ReadWrite,
        default,
        values,
    }
}

const fn fixed(name: &'static str, values: Values) -> Property {
    Property {
        name,
        place: Place::Root,
        access: Access::ReadOnly,
        default: "",
        values,
    }
}

const fn event(name: &'static str, parms: &'static [Item], observed: &'static [Item]) -> Event {
    Event {
        name,
        place: Place::Stream,
        parms,
        observed,
    }
}

const fn of_root(name: &'static str, parms: &'static [Item]) -> Event {
    Event {
        place: Place::Root,
        ..event(name, parms, &[])
    }
}

/// Generic: of a termination or of ROOT.
const fn anywhere(name: &'static str, observed: &'static [Item]) -> Event {
    Event {
        place: Place::Anywhere,
        ..event(name, &[], observed)
    }
}

const fn signal(name: &'static str, kind: SignalKind) -> Signal {
    Signal {
        name,
        kind,
        parms: &[],
    }
}

const fn package(name: &'static str, version: u16, reference: &'static str) -> Package {
    Package {
        name,
        version,
        reference,
        properties: &[],
        events: &[],
        signals: &[],
        statistics: &[],
    }
}

/// Everything there is.
pub(in crate::gateway) const PACKAGES: &[Package] = &[
    Package {
        events: &[
            anywhere(
                "cause",
                &[
                    item(
                        "Generalcause",
                        Values::Enumeration(&["NR", "UR", "FT", "FP", "IW", "UN"]),
                    ),
                    item("Failurecause", Values::Text(100)),
                ],
            ),
            anywhere(
                "sc",
                &[
                    item("SigID", Values::Text(129)),
                    item("Meth", Values::Enumeration(&["TO", "EV", "SD", "NC"])),
                    item("SLID", Values::Integer(0, 65_535)),
                    item("RID", Values::Integer(0, u32::MAX as u64)),
                ],
            ),
        ],
        ..package("g", 1, "H.248.1 E.1")
    },
    Package {
        properties: &[
            fixed("maxNumberOfContexts", Values::Integer(1, u32::MAX as u64)),
            fixed(
                "maxTerminationsPerContext",
                Values::Integer(1, u32::MAX as u64),
            ),
            property("normalMGExecutionTime", Place::Root, "500", MILLISECONDS),
            property("normalMGCExecutionTime", Place::Root, "100", MILLISECONDS),
            property(
                "MGProvisionalResponseTimerValue",
                Place::Root,
                "2000",
                MILLISECONDS,
            ),
            property(
                "MGCProvisionalResponseTimerValue",
                Place::Root,
                "2000",
                MILLISECONDS,
            ),
            property(
                "MGCOriginatedPendingLimit",
                Place::Root,
                "100",
                MILLISECONDS,
            ),
            property("MGOriginatedPendingLimit", Place::Root, "100", MILLISECONDS),
        ],
        ..package("root", 2, "H.248.1 E.2")
    },
    Package {
        // No jitter buffer stands behind it on TCP; taken and returned, as the package asks.
        properties: &[property("jit", Place::Stream, "", MILLISECONDS)],
        events: &[
            event("netfail", &[], &[item("cs", Values::Text(100))]),
            event("qualert", &[PERCENT], &[PERCENT]),
        ],
        statistics: &["dur", "os", "or"],
        ..package("nt", 1, "H.248.1 E.11")
    },
    Package {
        events: &[of_root("ito", &[SILENCE])],
        ..package("it", 1, "H.248.14")
    },
    Package {
        events: &[of_root("mg_overload", &[])],
        ..package("ocp", 1, "H.248.11")
    },
    Package {
        events: &[event(
            "thb",
            &[by_default(
                "timerx",
                Values::Integer(0, SILENCE_SECS_MAX),
                "3600",
            )],
            &[],
        )],
        ..package("hangterm", 1, "H.248.36")
    },
    Package {
        properties: &[property("db", Place::Stream, "", Values::Text(32))],
        ..package("mgcinfo", 1, "H.248.45")
    },
    Package {
        events: &[
            event(
                "mquota",
                &[
                    item("msq", GRANT),
                    item("mrq", GRANT),
                    item("msv", GRANT),
                    item("mrv", GRANT),
                    item("tm", MILLISECONDS),
                ],
                &[
                    item("qreach", Values::Integer(1, 5)),
                    item("nms", GRANT),
                    item("nmr", GRANT),
                    item("vms", GRANT),
                    item("vmr", GRANT),
                ],
            ),
            event("imi", &[], &[DIRECTION, MESSAGE_ID, item("vol", GRANT)]),
        ],
        statistics: &["nms", "nmr", "vms", "vmr"],
        ..package("msrpstat", 1, "H.248.69")
    },
    Package {
        properties: &[property("bceb", Place::Stream, "Unblocked", BLOCKING)],
        events: &[event(
            "BNCChange",
            &[item("Type", CHANGE)],
            &[item("Type", CHANGE)],
        )],
        signals: &[
            signal("EstBNC", SignalKind::Establish),
            signal("RelBNC", SignalKind::Release),
        ],
        ..package("tcpbcc", 1, "H.248.89")
    },
    Package {
        properties: &[property("bceb", Place::Stream, "Unblocked", BLOCKING)],
        events: &[event(
            "BNCChange",
            &[item("Type", CHANGE)],
            &[item("Type", CHANGE)],
        )],
        signals: &[
            signal("EstBNC", SignalKind::EstablishTls),
            signal("RelBNC", SignalKind::ReleaseTls),
        ],
        ..package("tlsbsc", 1, "H.248.90")
    },
    Package {
        events: &[event(
            "msrs",
            &[],
            &[item("mi", Values::Text(256)), item("sc", Values::Text(3))],
        )],
        signals: &[Signal {
            name: "sm",
            kind: SignalKind::PlayMessage,
            parms: &[
                item("mi", Values::Text(256)),
                item("mcr", Values::Text(32 * 1024)),
                by_default("fr", YES_OR_NO, "yes"),
                by_default("sr", YES_OR_NO, "no"),
            ],
        }],
        ..package("mess", 1, "H.248.69")
    },
    Package {
        properties: &[
            property("imf", Place::Stream, "", SCRIPT),
            property("omf", Place::Stream, "", SCRIPT),
            property("imfr", Place::Stream, "", REFERENCE),
            property("omfr", Place::Stream, "", REFERENCE),
        ],
        events: &[
            event(
                "fm",
                &[],
                &[
                    DIRECTION,
                    MESSAGE_ID,
                    item("act", Values::Enumeration(&["discard", "reject"])),
                ],
            ),
            event(
                "fre",
                &[],
                &[DIRECTION, MESSAGE_ID, item("er", Values::Integer(400, 999))],
            ),
        ],
        ..package("mf", 1, "H.248.69")
    },
    Package {
        events: &[event("messfail", &[], &[])],
        signals: &[Signal {
            name: "rm",
            kind: SignalKind::RecordMessages,
            parms: &[
                Item {
                    is_named_by_us: true,
                    ..item("sl", REFERENCE)
                },
                by_default("app", YES_OR_NO, "no"),
                Item {
                    default: "EXT",
                    ..DIRECTION
                },
                by_default("mrs", Values::Integer(1, u64::MAX), "4294967296"),
            ],
        }],
        ..package("recmess", 1, "H.248.69")
    },
    Package {
        properties: &[
            property(
                "profile",
                Place::Stream,
                "3gpp",
                Values::Enumeration(&["3gpp", "chatroom"]),
            ),
            property("room", Place::Stream, "", Values::Text(512)),
            property("user", Place::Stream, "", Values::Text(512)),
            property("nicks", Place::Stream, "OFF", Values::Boolean),
            property("private", Place::Stream, "OFF", Values::Boolean),
            property(
                "slow",
                Place::Stream,
                "slow",
                Values::Enumeration(&["slow", "drop"]),
            ),
            property("reserved", Place::Stream, "", Values::Text(4096)),
            property(
                "idle",
                Place::Stream,
                "0",
                Values::Integer(0, SILENCE_SECS_MAX),
            ),
        ],
        events: &[
            event("nick", &[], &[item("nick", Values::Text(1024))]),
            event("idle", &[], &[]),
        ],
        ..package("xmrf", 1, "private, docs/H248.md")
    },
];
