//! Every bound of this crate, with its unit.

use clock::Duration;

use crate::TransportKind;

/// Transactions accepted and sent in one message; more is error 413 (TS 29.333 says 10).
pub const MESSAGE_TRANSACTIONS_MAX: usize = 10;
/// Octets of one message on UDP: the IPv4 datagram without its IP and UDP headers.
pub const UDP_MESSAGE_BYTES_MAX: usize = 65_507;
/// Octets of one message on TCP: the TPKT maximum (65,535) without its own header.
pub const TPKT_MESSAGE_BYTES_MAX: usize = 65_531;
/// Octets of one user message on SCTP.
pub const SCTP_MESSAGE_BYTES_MAX: usize = 65_535;
/// Octets waiting to be sent or acknowledged on one SCTP association; one more message ends it.
pub const SCTP_QUEUE_BYTES: usize = 16 << 20;
/// Octets of a TPKT header (RFC 1006 section 6).
pub const TPKT_HEADER_BYTES: usize = 4;
/// Requests awaiting a reply from one peer.
pub const PEER_OUTSTANDING_MAX: usize = 4_096;
/// Requests that were given up and whose answer is still told when it comes; the oldest is forgotten.
pub const GIVEN_UP_MAX: usize = 4_096;
/// Peers with state (estimators, versions, acknowledgements due).
pub const PEERS_MAX: usize = 4_096;
/// Peer names (mId) whose requests are remembered.
pub const REMOTES_MAX: usize = 1_024;
/// Requests of one mId that the owner is executing; one more is answered 510.
pub const REMOTE_RUNNING_MAX: usize = 4_096;
/// Transactions of one mId that are remembered after their reply; the oldest is dropped.
pub const REMOTE_STORED_MAX: usize = 65_536;
/// Octets of replies stored for one mId; the oldest is dropped.
pub const REMOTE_STORED_BYTES_MAX: usize = 64 << 20;
/// Transactions acknowledged in one `TransactionResponseAck`; when as many wait, they are sent.
pub const ACK_RANGES_MAX: usize = 32;
/// Segments of one version 3 reply.
pub const REPLY_SEGMENTS_MAX: u16 = 64;
/// Message-level errors sent to a second, to all peers together: garbage must not be amplified.
pub const MESSAGE_ERRORS_PER_SECOND_MAX: u32 = 100;
/// Shortest time between two Pendings of a request that the other side may ask for.
pub const PROVISIONAL_MIN: Duration = Duration::from_millis(100);
/// Redirections (`MgcIdToTry`) followed in one registration attempt.
pub const REDIRECTS_MAX: u32 = 5;
/// Gateways associated with one controller.
pub const ASSOCIATIONS_MAX: usize = 1_024;
/// TCP connections or SCTP associations a listener holds at once.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Longest time from the first octet of a message on a TCP connection to its last; beyond it the connection is
/// closed.
pub const MESSAGE_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest time from the acceptance of a TCP connection to the end of its first message; beyond it the
/// connection is closed. A gateway may connect and then wait as long as the maximum waiting delay (H.248.1
/// 11.2), for which 600 s are suggested.
pub const FIRST_MESSAGE_TIME_MAX: Duration = Duration::from_secs(660);
/// Messages read from all transports and not yet handled; readers wait when it is full.
pub const RECEIVED_QUEUE_MESSAGES: usize = 1_024;
/// Messages waiting to be written to one TCP connection, or to be handed to one SCTP socket; one more
/// closes the connection. All that may be outstanding at once has room, so that a burst of ours is no
/// reason to lose an association.
pub const SEND_QUEUE_MESSAGES: usize = 2 * (PEER_OUTSTANDING_MAX + REMOTE_RUNNING_MAX);

const _: () = assert!(TPKT_MESSAGE_BYTES_MAX + TPKT_HEADER_BYTES == u16::MAX as usize);
// A peer's negotiated version must not be evicted: an association has at most two addresses.
const _: () = assert!(PEERS_MAX >= 2 * ASSOCIATIONS_MAX);
const _: () = assert!(REMOTE_RUNNING_MAX <= REMOTE_STORED_MAX);

/// Octets of one message on `kind`; a longer reply becomes error 533.
#[must_use]
pub const fn message_bytes_max(kind: TransportKind) -> usize {
    match kind {
        TransportKind::Udp => UDP_MESSAGE_BYTES_MAX,
        TransportKind::Tcp => TPKT_MESSAGE_BYTES_MAX,
        TransportKind::Sctp => SCTP_MESSAGE_BYTES_MAX,
    }
}
