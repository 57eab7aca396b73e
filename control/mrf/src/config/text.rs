//! Values read from text, one or several of them.

use core::fmt;
use core::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::values::*;

/// Lets a type that parses from text be written in TOML as a string, a number or a boolean.
macro_rules! deserialize_from_text {
    ($($type:ty),+) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(TextVisitor(core::marker::PhantomData))
            }
        })+
    };
}

deserialize_from_text!(
    MsrpAddr,
    Advertised,
    NameServer,
    Digest,
    DigestQop,
    H248Addr,
    Mid,
    Reactor,
    XdpInterface,
    BusyPoll,
    Count<NonZeroU32>,
    Count<NonZeroU64>,
    Shards,
    QueueMib,
    TcpCongestion,
    H248Profile,
    H248Version,
    AfterLoss,
    H248Pdu,
    AuthHeader,
    MsrpMatch,
    Switch,
    SipListener,
    NameOrOff,
    NextHop,
    Profile,
    SipUri,
    Trusted,
    Whoever,
    WsOrigin,
    HttpAddr,
    NoticeText,
    Contact,
    ChargingText,
    PeriodOrOff,
    Period,
    LogFilter,
    LogFormat
);

struct TextVisitor<T>(core::marker::PhantomData<T>);

impl<T> Visitor<'_> for TextVisitor<T>
where
    T: core::str::FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }
}

/// A single value or an array of them.
pub(super) fn one_or_many<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + core::str::FromStr,
    T::Err: fmt::Display,
{
    from.deserialize_any(ListVisitor(core::marker::PhantomData))
}

struct ListVisitor<T>(core::marker::PhantomData<T>);

impl<'de, T> Visitor<'de> for ListVisitor<T>
where
    T: Deserialize<'de> + core::str::FromStr,
    T::Err: fmt::Display,
{
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        Ok(vec![text.parse().map_err(E::custom)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(all)
    }
}

pub(super) fn strings<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    from.deserialize_any(ListVisitor(core::marker::PhantomData))
}
