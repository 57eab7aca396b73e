//! Every bound of this crate, with its unit.

use clock::Duration;

/// Octets from the start line to the blank line.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Octets of one body.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The same on a connection of ours: whom we called may tell us of a large conference (some 400 octets a user).
pub const OWN_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Header fields of one message.
pub const HEADERS_MAX: usize = 256;
/// Via fields of a request that is refused without being read as a whole; with more it is read.
pub const VIAS_MAX: usize = 8;
/// Octets of one UDP datagram.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Octets of the largest request sent by UDP where TCP can be had (RFC 3261 18.1.1: 200 below a path
/// MTU of 1,500, which is what is assumed of an unknown one).
pub const UDP_REQUEST_BYTES_MAX: usize = 1_300;
/// Octets of the largest request that a datagram holds: 65,535 less the headers of IPv4 and UDP.
pub const UDP_PAYLOAD_BYTES_MAX: usize = 65_507;
/// Hops tried for one request.
pub const HOPS_MAX: usize = 16;
/// Lookups of hops going on at once; further ones find nothing.
pub const LOOKUPS_MAX: usize = 1_024;
/// How long one of them may take.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Transactions kept at once, both roles; beyond it requests get 503. Over UDP each is kept for 32 s after its
/// end (timers J and L), a call has two: these are 6,000 calls a second. One that is over needs about a
/// kilobyte.
pub const TRANSACTIONS_MAX: usize = 400_000;
/// Dialogs kept at once; beyond it INVITEs get 503.
pub const DIALOGS_MAX: usize = 50_000;
/// Requests for new dialogs that await the application's answer at once; beyond it they get 503. Below
/// [`EVENTS_MAX`]: what belongs to a dialog still passes.
pub const ADMITTED_MAX: usize = 2_000;
/// Those with priority that may wait besides.
pub const ADMITTED_PRIORITY_MAX: usize = 200;
/// Of transactions and dialogs one in so many is kept free for requests with priority.
pub const PRIORITY_SHARE: usize = 20;
/// How long a message may have to wait for the core before new dialogs get 503: well before senders repeat
/// themselves ([`T1`]), since more comes while it waits, and longer than a system keeps a process waiting for others.
pub const WAIT_TARGET: Duration = Duration::from_millis(200);
/// Datagrams waiting for the core; with more they are left in their sockets.
pub const DATAGRAMS_MAX: usize = 16_384;
/// Octets of these.
pub const DATAGRAMS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// With so many of them new dialogs get 503, however short the wait: what ends calls needs the rest.
pub const WAITING_MAX: usize = DATAGRAMS_MAX / 4 * 3;
/// Refused requests that are refused again when they come again.
pub const REFUSALS_KEPT: usize = 65_536;
/// How long after the last refusal that is so: callers repeat themselves after 0.5, 1.5 and 3.5 s (RFC 3261 17.1.1.2).
pub const WATCH_TIME: Duration = Duration::from_secs(4);
/// Datagrams read, and messages taken, before it is looked after whatever else there is to do.
pub const DATAGRAMS_A_TURN: usize = 256;
/// See [`DATAGRAMS_A_TURN`].
pub const MESSAGES_A_TURN: usize = 16;
/// Octets that the system may keep of what comes to a UDP listener, so that a burst is not lost.
pub const UDP_RECEIVE_BYTES: usize = 4 * 1024 * 1024;
/// Connections kept at once from one address outside the trust domain.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 512;
/// How long a nonce of ours may be answered.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(300);
/// Nonces in use whose counter is kept; while there are more, answers to further ones are stale.
pub const NONCES_MAX: usize = 65_536;
/// Octets of a client's nonce; longer ones do not count.
pub const CNONCE_BYTES_MAX: usize = 256;
/// Domains of one certificate that its connection is known by (RFC 5923).
pub const ALIASES_MAX: usize = 8;
/// Connections kept at once; further ones are closed on accept.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Inputs (messages of streams, what becomes of connections) waiting for the core.
pub const INPUTS_MAX: usize = 4_096;
/// Octets of the messages among them.
pub const INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Peers whose near address is remembered, for each wildcard listener; with more all are asked for again.
pub const NEAR_ADDRS_MAX: usize = 4_096;
/// How long it is remembered: a route that changes is noticed after that.
pub const NEAR_ADDR_LIFETIME: Duration = Duration::from_secs(10);
/// How often it is logged that the core is overloaded.
pub const OVERLOAD_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Commands waiting for the core.
pub const COMMANDS_MAX: usize = 256;
/// Events waiting for the application; when full, no further input is read.
pub const EVENTS_MAX: usize = 4_096;
/// Messages waiting for one connection; when full, the connection is closed.
pub const SEND_QUEUE_MAX: usize = 256;
/// How often a request that later ones overtook is sent again.
pub const RESENDS_MAX: u32 = 4;
/// Provisional responses kept for one outgoing INVITE.
pub const PROVISIONALS_MAX: usize = 16;
/// Branches of one outgoing INVITE whose reliable provisional responses and 2xx are acknowledged.
pub const FORKS_MAX: usize = 16;
/// Message texts waiting for an observer of a client; further ones are dropped.
pub const TRACE_MAX: usize = 1_024;

/// Round-trip estimate (RFC 3261 17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// Largest interval of non-INVITE requests and INVITE responses (RFC 3261 17.1.2.1).
pub const T2: Duration = Duration::from_secs(4);
/// How long a message stays in the network (RFC 3261 17.1.2.1).
pub const T4: Duration = Duration::from_secs(5);
/// 64 times T1: how long anything is tried (RFC 3261 17.1.1.2, 13.3.1.4).
pub const TIMEOUT: Duration = Duration::from_secs(32);
/// How long an outgoing INVITE may stay provisional (timer C, RFC 3261 16.6, "larger than 3 minutes").
pub const INVITE_TIMEOUT: Duration = Duration::from_secs(200);
/// Seconds a refused peer is told to wait, at least; [`RETRY_AFTER_SPREAD`] more, so that not all come
/// back at once.
pub const RETRY_AFTER_SECONDS: u32 = 5;
/// See [`RETRY_AFTER_SECONDS`].
pub const RETRY_AFTER_SPREAD: u32 = 6;
/// How long a stack that closes waits for what is queued for its connections.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection of ours may take until it is open, its TLS handshake included, and how long each handshake
/// on an accepted one: three segments may be lost on the way (1, 2 and 4 s), or the machine be busy. What waits for it
/// goes to the next hop after that, and two of these have to fit into [`TIMEOUT`].
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a message may take from its first octet to its last, and the first one from the
/// beginning of the connection.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection may be silent: longer than a session goes without a refresh (RFC 4028).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How long the peer of a connection may take to read one message.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Silence on a connection of ours after which it is tried (RFC 5626 4.4.1: 95 to 120 s).
pub const PING_INTERVAL: Duration = Duration::from_secs(100);
/// How long the answer to that may take (RFC 5626 4.4.1).
pub const PONG_TIMEOUT: Duration = Duration::from_secs(10);

const _: () = assert!(HEAD_BYTES_MAX + BODY_BYTES_MAX > DATAGRAM_BYTES_MAX);
const _: () = assert!(ADMITTED_MAX + ADMITTED_PRIORITY_MAX < EVENTS_MAX);
const _: () = assert!(DATAGRAM_BYTES_MAX < DATAGRAMS_BYTES_MAX / 4);
const _: () = assert!(HEAD_BYTES_MAX + OWN_BODY_BYTES_MAX < INPUT_BYTES_MAX);
const _: () = assert!(CONNECT_TIMEOUT.as_secs() * 2 < TIMEOUT.as_secs());
