//! The one reply for all matches of a wildcard (`W-`).

use h248::ast::{Descriptor, Media, MediaStreams};

/// Adds a descriptor to the union of those of other terminations.
pub(super) fn unite(items: &mut Vec<Descriptor>, item: Descriptor) {
    let same = core::mem::discriminant(&item);
    let Some(known) = items
        .iter_mut()
        .find(|i| core::mem::discriminant(*i) == same)
    else {
        items.push(item);
        return;
    };
    match (known, item) {
        (Descriptor::Media(known), Descriptor::Media(more)) => unite_media(known, more),
        (Descriptor::Events(known), Descriptor::Events(more)) => {
            known.request_id = known.request_id.or(more.request_id);
            unite_lists(&mut known.events, more.events);
        }
        (Descriptor::Signals(known), Descriptor::Signals(more)) => unite_lists(known, more),
        (Descriptor::ObservedEvents(known), Descriptor::ObservedEvents(more)) => {
            known.events.extend(more.events);
        }
        // The same for all terminations.
        _ => {}
    }
}

fn unite_lists<T: PartialEq>(known: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !known.contains(&item) {
            known.push(item);
        }
    }
}

/// Streams that others have not, and of the common ones what is the same: a descriptor cannot say
/// two things of one stream.
fn unite_media(known: &mut Media, more: Media) {
    if known.termination_state != more.termination_state {
        known.termination_state = None;
    }
    let (MediaStreams::Multiple(known), MediaStreams::Multiple(more)) =
        (&mut known.streams, more.streams)
    else {
        return;
    };
    for stream in more {
        let Some(common) = known.iter_mut().find(|s| s.id == stream.id) else {
            known.push(stream);
            continue;
        };
        let (common, other) = (&mut common.parms, stream.parms);
        if common.local_control != other.local_control {
            common.local_control = None;
        }
        if common.local != other.local {
            common.local = None;
        }
        if common.remote != other.remote {
            common.remote = None;
        }
    }
}
