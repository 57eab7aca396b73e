//! Values that are left to the gateway (H.248.1 section 7.1.1), of properties as of the parameters of
//! events and signals: with `$`, in a list of alternatives in the controller's order, or in a range.

use h248::ast::{PackageItem, Parm, PropertyParm, PropertyValue, Value};

use super::{Item, Place, Values, check_served, integer, one, plain, settable};
use crate::gateway::Config;
use crate::gateway::fault::{Fault, written};

/// The properties of a descriptor, one value each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Settled {
    pub all: Vec<PropertyParm>,
    /// Those of which the value was left to us: the reply shows them.
    pub chosen: Vec<PropertyParm>,
}

/// Checks properties of one descriptor: each known, in place, and once. What is left to us stays as it
/// is (`before`) or by default, if that is allowed.
pub(in crate::gateway) fn settle(
    parms: &[PropertyParm],
    place: Place,
    before: &[PropertyParm],
    config: &Config,
) -> Result<Settled, Fault> {
    let mut settled = Settled::default();
    for parm in parms {
        if settled.all.iter().any(|earlier| earlier.name == parm.name) {
            return Err(Fault::PropertyTwice(written(&parm.name)));
        }
        let mut parm = parm.clone();
        if let Some(known) = settable(&parm, place)? {
            check_served(&parm.name, config)?;
            let kept = before.iter().find(|p| p.name == parm.name);
            let kept = kept.and_then(|p| one(&p.value)).map(|v| v.text.as_str());
            let value = known
                .values
                .pick(kept.unwrap_or(known.default), &parm.value);
            let value = value.map_err(|what| {
                Fault::ValueUnsupported(format!("{what} of {}", written(&parm.name)))
            })?;
            if let Some(value) = value {
                parm.value = PropertyValue::Is(value);
                settled.chosen.push(parm.clone());
            }
        }
        settled.all.push(parm);
    }
    Ok(settled)
}

/// Checks the parameters of an event or a signal: each known, and once. Whether any was left to us;
/// it is filled in by default, if that is allowed.
pub(super) fn settle_parms(
    known: &[Item],
    parms: &mut [Parm],
    name: &PackageItem,
) -> Result<bool, Fault> {
    let mut is_chosen = false;
    for number in 0..parms.len() {
        let (earlier, rest) = parms.split_at_mut(number);
        let parm = &mut rest[0];
        let what = |parm: &Parm| format!("{} of {}", parm.name, written(name));
        let Some(item) = known.iter().find(|i| parm.name == *i.name) else {
            return Err(Fault::ParameterUnknown(what(parm)));
        };
        if earlier.iter().any(|p| p.name == parm.name) {
            return Err(Fault::PropertyTwice(what(parm)));
        }
        if item.is_named_by_us && one(&parm.value).is_some_and(is_choose) {
            continue;
        }
        let value = item.values.pick(item.default, &parm.value);
        let value =
            value.map_err(|value| Fault::ValueUnsupported(format!("{value} of {}", what(parm))))?;
        if let Some(value) = value {
            parm.value = PropertyValue::Is(value);
            is_chosen = true;
        }
    }
    Ok(is_chosen)
}

impl Values {
    /// The value that we choose, `None` if there was no choice; an error names what cannot be.
    fn pick(self, kept: &str, wanted: &PropertyValue) -> Result<Option<Value>, String> {
        match wanted {
            PropertyValue::Is(value) if !is_choose(value) => match self.takes(value) {
                true => Ok(None),
                false => Err(value.text.to_string()),
            },
            PropertyValue::OneOf(values) => {
                let first = values.iter().find(|value| self.takes(value));
                let none = || {
                    values
                        .first()
                        .map_or_else(String::new, |v| v.text.to_string())
                };
                first.cloned().map(Some).ok_or_else(none)
            }
            PropertyValue::AllOf(_) => Err("more than one".to_owned()),
            PropertyValue::Is(_)
            | PropertyValue::Range(..)
            | PropertyValue::GreaterThan(_)
            | PropertyValue::LessThan(_)
            | PropertyValue::NotEqual(_) => {
                let fits = |value: &Value| self.takes(value) && allows(wanted, value);
                let kept = std::iter::once(self.written(kept));
                let found = kept.chain(self.candidates(wanted)).find(fits);
                found
                    .map(Some)
                    .ok_or_else(|| "nothing in this range".to_owned())
            }
        }
    }

    /// A text as a value of this kind.
    fn written(self, text: &str) -> Value {
        Value {
            quoted: matches!(self, Self::Text(_)),
            ..plain(text)
        }
    }

    /// What may fit where something is left to us: for each kind, and each bound, a value at its edge.
    fn candidates(self, wanted: &PropertyValue) -> Vec<Value> {
        match self {
            Self::Integer(from, _) => {
                let edge = match wanted {
                    PropertyValue::Range(bounds) => integer(&bounds[0]).map(|n| n.max(from)),
                    PropertyValue::GreaterThan(least) => integer(least)
                        .and_then(|n| n.checked_add(1))
                        .map(|n| n.max(from)),
                    PropertyValue::NotEqual(_) => from.checked_add(1),
                    PropertyValue::Is(_)
                    | PropertyValue::AllOf(_)
                    | PropertyValue::OneOf(_)
                    | PropertyValue::LessThan(_) => None,
                };
                let numbers = [Some(from), edge].into_iter().flatten();
                numbers.map(|n| plain(n.to_string())).collect()
            }
            Self::Boolean => ["OFF", "ON"].into_iter().map(plain).collect(),
            Self::Enumeration(words) => words.iter().map(plain).collect(),
            Self::Text(_) => vec![self.written("")],
        }
    }
}

/// `$`: any value will do.
fn is_choose(value: &Value) -> bool {
    !value.quoted && value.text.as_str() == "$"
}

/// Whether what is wanted leaves room for a value; only numbers have an order.
fn allows(wanted: &PropertyValue, value: &Value) -> bool {
    let is_ordered = |from: Option<u64>, to: Option<u64>| {
        integer(value).is_some_and(|n| from.is_some_and(|f| f <= n) && to.is_some_and(|t| n <= t))
    };
    match wanted {
        PropertyValue::Range(bounds) => is_ordered(integer(&bounds[0]), integer(&bounds[1])),
        PropertyValue::GreaterThan(v) => {
            is_ordered(integer(v).and_then(|n| n.checked_add(1)), Some(u64::MAX))
        }
        PropertyValue::LessThan(v) => {
            is_ordered(Some(0), integer(v).and_then(|n| n.checked_sub(1)))
        }
        PropertyValue::NotEqual(v) => match (integer(v), integer(value)) {
            (Some(other), Some(number)) => other != number,
            _ => !v.text.eq_ignore_ascii_case(&value.text),
        },
        PropertyValue::Is(_) | PropertyValue::AllOf(_) | PropertyValue::OneOf(_) => true,
    }
}
