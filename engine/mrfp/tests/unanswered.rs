//! A controller that answers no Notify, on a real socket: three thousand terminations have something to tell.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here has found something"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it expects and fails on the rest"
)]

use std::collections::{BTreeSet, VecDeque};

use h248::ast::{ActionRequest, Command, MId, MessageBody, ReplyBody, TerminationId, Transaction};
use h248_endpoint::{
    AssociationConfig, Config, Event, Peer, RequestKey, Role, Shell, TransportAddr, first_error,
};
use mrfp::ReactorKind;

/// As the gateway has it: so many are unanswered at most.
const UNANSWERED_MAX: usize = 1_024;

const TERMINATIONS: usize = 3_000;

/// Terminations of one context, made with one request.
const PER_CONTEXT: usize = 100;

/// The actions of a request, written by hand.
fn actions(text: &str) -> Vec<ActionRequest> {
    let message = format!("!/2 <mgc.example.net> T=1{{{text}}}");
    let message = h248::parse(message.as_bytes(), &h248::Limits::default()).unwrap();
    match message.body {
        MessageBody::Transactions(mut all) => match all.remove(0) {
            Transaction::Request(request) => request.actions.into_iter().collect(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

struct Controller {
    shell: Shell,
    gateway: Peer,
    unanswered: VecDeque<RequestKey>,
    /// Who has told something.
    told: BTreeSet<String>,
}

impl Controller {
    async fn next(&mut self) -> Option<ReplyBody> {
        match self.shell.next().await {
            Event::Reply { reply, .. } => {
                assert!(first_error(&reply.body).is_none(), "{reply:?}");
                return Some(reply.body);
            }
            Event::Request(request) => {
                for command in request
                    .request
                    .actions
                    .iter()
                    .flat_map(|a| a.commands.iter())
                {
                    let Command::Notify { terminations, .. } = &command.command else {
                        panic!("{command:?}");
                    };
                    let Some(TerminationId::Name(name)) = terminations.single() else {
                        panic!("{terminations:?}");
                    };
                    self.told.insert(name.to_string());
                }
                self.unanswered.push_back(request.key);
                assert!(self.unanswered.len() <= UNANSWERED_MAX);
            }
            other => panic!("{other:?}"),
        }
        None
    }

    /// Has this done, whatever else comes.
    async fn call(&mut self, text: &str) {
        self.shell
            .send_request(self.gateway, actions(text))
            .unwrap();
        while self.next().await.is_none() {}
    }
}

#[tokio::test]
async fn notifies_that_nobody_answers_are_bounded_and_none_is_lost() {
    let mid: MId = MId::Domain {
        name: h248::ast::Name::new("mgc.example.net"),
        port: None,
    };
    let listen: TransportAddr = "tcp:127.0.0.1:0".parse().unwrap();
    let config = Config::new(mid, Role::Controller, 1);
    let association = AssociationConfig {
        keep_alive: None,
        ..AssociationConfig::default()
    };
    let mut shell = Shell::controller(config, association, &[listen])
        .await
        .unwrap();
    let mrfp = mrfp::start(mrfp::Config {
        msrp: vec!["127.0.0.1:0".parse().unwrap()],
        mgcs: shell.bound().to_vec(),
        reactor: ReactorKind::Mio,
        shards: core::num::NonZeroU8::new(1),
        ..mrfp::Config::default()
    })
    .await
    .unwrap();
    let gateway = match shell.next().await {
        Event::Registered(registered) => registered.peer,
        other => panic!("{other:?}"),
    };
    let mut controller = Controller {
        shell,
        gateway,
        unanswered: VecDeque::new(),
        told: BTreeSet::new(),
    };
    let local = "L{v=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\na=path:$\n}";
    let add = format!("A=${{M{{ST=1{{O{{MO=SR}},{local}}}}},E=1{{hangterm/thb{{timerx=1}}}}}}");
    let adds = vec![add.as_str(); PER_CONTEXT].join(",");
    for _ in 0..TERMINATIONS / PER_CONTEXT {
        controller.call(&format!("C=${{{adds}}}")).await;
    }
    while controller.unanswered.len() < UNANSWERED_MAX {
        controller.next().await;
    }
    // Whoever has nothing to do with it is served as ever.
    let other = format!("C=${{A=${{M{{ST=1{{O{{MO=SR}},{local}}}}}}}}}");
    controller.call(&other).await;
    controller.call("C=-{AV=ROOT{AT{}}}").await;
    assert_eq!(controller.unanswered.len(), UNANSWERED_MAX);
    while controller.told.len() < TERMINATIONS {
        // All that are there at once: the next ones are those that waited.
        for key in controller.unanswered.split_off(0) {
            let body = notified();
            assert!(controller.shell.reply(key, body));
        }
        controller.next().await;
    }
    let metrics = mrfp.metrics();
    assert_eq!((metrics.notifies_lost, metrics.events_dropped), (0, 0));
    assert_eq!(metrics.terminations as usize, TERMINATIONS + 1);
}

/// What a controller answers to a Notify.
fn notified() -> ReplyBody {
    let result = h248::ast::CommandResult::Notify {
        terminations: TerminationId::Root.into(),
        error: None,
    };
    h248_endpoint::single_reply(h248::ast::ContextId::Null, result)
}
