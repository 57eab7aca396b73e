//! A gateway from octets to octets.

use h248_endpoint::{
    Node, NodeOutput, Peer, RegistrationConfig, RequestKey, Role, TransportId, TransportKind,
};

use super::*;

/// A gateway behind its transactions, as the controller at the far end of a datagram socket sees it.
pub(super) struct Wire {
    node: Node,
    gateway: Gateway<usize>,
    now: Instant,
    keys: Vec<RequestKey>,
    /// Whether shards confirm their orders.
    pub is_stalled: bool,
    /// Agreed with the controller.
    version: u8,
}

pub(super) fn peer() -> Peer {
    Peer {
        transport: TransportId {
            kind: TransportKind::Udp,
            index: 0,
        },
        addr: ([192, 0, 2, 1], 2944).into(),
    }
}

pub(super) fn config(name: &str, role: Role) -> h248_endpoint::Config {
    let mid = h248::ast::MId::Domain {
        name: name.into(),
        port: None,
    };
    h248_endpoint::Config::new(mid, role, 1)
}

impl Wire {
    /// A gateway that has asked its controller to be registered, and that request's number.
    pub(super) fn asking(change: impl FnOnce(&mut h248_endpoint::Config)) -> (Self, String) {
        let mut config = config("mg.example", Role::Gateway);
        change(&mut config);
        let mgc = "udp:192.0.2.1:2944".parse().unwrap();
        let registration = RegistrationConfig::new(vec![mgc]);
        let mut wire = Self {
            node: Node::gateway(config, registration, Instant::ZERO),
            gateway: Gateway::new(Bench::config_alone(), [7; 32]),
            now: Instant::ZERO,
            keys: Vec::new(),
            is_stalled: false,
            version: 1,
        };
        let told = wire.wait(Duration::ZERO);
        let (_, id) = told.split_once("T=").expect("a registration");
        let (id, _) = id.split_once('{').expect("its number");
        (wire, id.to_owned())
    }

    pub(super) fn registered(change: impl FnOnce(&mut h248_endpoint::Config)) -> Self {
        Self::registered_with(2, change)
    }

    /// As [`Self::registered`], in this version.
    pub(super) fn registered_with(
        version: u8,
        change: impl FnOnce(&mut h248_endpoint::Config),
    ) -> Self {
        let (mut wire, id) = Self::asking(|config| {
            config.version_max = version;
            change(config);
        });
        wire.hear(&format!(
            "!/1 <mgc.example> P={id}{{C=-{{SC=ROOT{{SV{{V={version}}}}}}}}}"
        ));
        wire.version = version;
        wire
    }

    pub(super) fn hear(&mut self, message: &str) -> String {
        self.node
            .handle_received(self.now, peer(), message.as_bytes());
        self.told()
    }

    /// A message of the controller.
    pub(super) fn say(&mut self, body: &str) -> String {
        self.hear(&format!("!/{} <mgc.example> {body}", self.version))
    }

    pub(super) fn wait(&mut self, time: Duration) -> String {
        self.now += time;
        self.node.handle_deadline(self.now);
        self.told()
    }

    /// All messages that come out, one after the other.
    fn told(&mut self) -> String {
        let mut told = String::new();
        loop {
            match self.node.poll() {
                NodeOutput::Transmit { octets, .. } => {
                    told += str::from_utf8(&octets).expect("text");
                }
                NodeOutput::Connect(mgc) => self.node.handle_connected(self.now, mgc, peer()),
                NodeOutput::Event(event) => {
                    if let h248_endpoint::Event::Request(request) = *event {
                        self.execute(&request);
                    }
                }
                NodeOutput::Resolve { .. } | NodeOutput::Close(_) => {}
                NodeOutput::Wait(_) => return told,
            }
        }
    }

    fn execute(&mut self, request: &h248_endpoint::Request) {
        self.keys.push(request.key);
        let key = self.keys.len() - 1;
        let broken = request.broken.as_deref();
        self.gateway
            .handle_request(self.now, key, request.version, &request.request, broken);
        loop {
            match self.gateway.poll() {
                Output::Order { shard, command } if !self.is_stalled => {
                    let done = Event::Done {
                        token: command.token,
                        statistics: counted(&command.order),
                    };
                    self.gateway.handle_event(self.now, shard, done);
                }
                Output::Reply { key, body } => {
                    self.node.reply(self.now, self.keys[key], body);
                }
                Output::Wait(_) => return,
                _ => {}
            }
        }
    }
}
