//! Body of a fuzz target, also run as a unit test.

use core::net::{Ipv4Addr, SocketAddr};

use crate::{Description, MessageBuilder};

/// Reads a description, one and as alternatives, and answers it: what is written can be read, refuses every other
/// line and means what was asked for.
pub fn description(data: &[u8]) {
    if let Ok(all) = Description::parse_alternatives(data) {
        for one in all {
            answer(&one);
        }
    }
    if let Ok(one) = Description::parse(data) {
        answer(&one);
    }
}

fn answer(offer: &Description) {
    let Ok(media) = offer.message() else {
        return;
    };
    // Whether there is one depends on what the peer wrote.
    let _ = media.remote_transport_address();
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 2855);
    let path = "msrp://127.0.0.1:2855/s1;tcp";
    let builder = MessageBuilder {
        transport: media.transport,
        direction: media.direction.reversed(),
        ..MessageBuilder::new(address, path)
    };
    let text = builder.write_answer(offer, media.index);
    let read = Description::parse(text.as_bytes()).expect("what we write can be read");
    assert_eq!(read.media().count(), offer.media().count(), "{text}");
    let ours = read.message().expect("our line");
    assert_eq!((ours.index, ours.transport), (media.index, media.transport));
    assert_eq!(ours.direction, media.direction.reversed());
    assert_eq!(ours.path.as_ref().map(|path| path.as_str()), Some(path));
    let others = read.media().filter(|line| line.index != media.index);
    assert!(
        others.into_iter().all(|line| line.port.given() == Some(0)),
        "{text}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_answered_whatever_is_in_them() {
        for text in [
            "",
            "m=message $ TCP/MSRP *\na=path:msrp://$:$/$;tcp\n",
            "v=0\nc=IN IP4 192.0.2.1\nm=audio 1 RTP/AVP 0 8\nm=message 2855 TCP/TLS/MSRP\n\
             a=path:msrps://192.0.2.1:2855/s;tcp\na=sendonly\nm=message 0 TCP/MSRP *\n",
            "v=0\nm=message 9 TCP/MSRP *\na=path:msrp://a.example:9/s;tcp\nv=0\nm=message 1 TCP/MSRP *\n",
            "v=0\nm=\nm= \u{a0} 1 a b\nm=message 1 TCP/MSRP *\n",
        ] {
            description(text.as_bytes());
        }
        description(&[0xff; 40]);
    }
}
