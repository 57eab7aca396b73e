use super::*;
use h248::ast::{ActionRequest, AuditDescriptor, AuditRequest, Command, ContextId};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn name(text: &str) -> TerminationId {
    TerminationId::Name(Name::new(text))
}

#[test]
fn every_piece_can_be_asked_for_and_together_they_are_all() {
    let mut audit = Audit::new([]);
    let names = ["a", "msrp/1", "msrp/12", "ip/x_9@gw-1.example.net", "z"];
    let mut found: Vec<&str> = Vec::new();
    while let Some(piece) = audit.next_piece() {
        let command = Command::AuditValue(AuditRequest {
            terminations: piece.termination().into(),
            audit: Some(AuditDescriptor::default()),
        });
        let message = h248::ast::Message::new(
            1,
            h248::ast::MId::Device(Name::new("mgc")),
            h248::ast::MessageBody::Transactions(vec![h248::ast::Transaction::Request(
                h248::ast::TransactionRequest {
                    id: TransactionId(1),
                    actions: ActionRequest::new(ContextId::All, [command]).into(),
                },
            )]),
        );
        let text = h248::print(&message, h248::Encoding::Compact);
        assert_eq!(h248::parse(&text, &h248::Limits::default()), Ok(message));
        let matches = |name: &&str| match (piece.prefix.as_str(), piece.is_open) {
            (prefix, true) => name.starts_with(prefix),
            (prefix, false) => *name == prefix,
        };
        let matching: Vec<_> = names.iter().copied().filter(matches).collect();
        if matching.len() > 1 || (piece.is_open && piece.prefix.len() < 2) {
            audit.cut(&piece).expect("short names");
        } else {
            found.extend(&matching);
            audit.show(matching.iter().map(|n| (1, name(n))), |_| false);
        }
    }
    found.sort_unstable();
    assert_eq!(
        found,
        ["a", "ip/x_9@gw-1.example.net", "msrp/1", "msrp/12", "z"]
    );
    assert!(audit.is_shown());
}

#[test]
fn who_never_answers_briefly_is_not_asked_for_ever() {
    let mut audit = Audit::new([]);
    let mut asked = 0;
    loop {
        let piece = audit.next_piece().expect("more and more");
        asked += 1;
        if audit.cut(&piece).is_err() {
            break;
        }
        assert!(asked <= PIECES_MAX);
    }
}

/// What happens next to a focus and an MRFP, chosen by numbers.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A leg begins: its Add is under way.
    Add,
    /// A leg ends: its Subtract is under way.
    Leave(usize),
    /// A request reaches the MRFP and is executed.
    Arrive(usize),
    /// An answer reaches the focus.
    Answer(usize),
    /// The association breaks, requests and answers under way are lost or executed, and the MRFP is back.
    Break { executed: u64 },
    /// The MRFP loses a termination by itself.
    Lose(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => Just(Step::Add),
        3 => (0_usize..8).prop_map(Step::Leave),
        10 => (0_usize..8).prop_map(Step::Arrive),
        10 => (0_usize..8).prop_map(Step::Answer),
        1 => any::<u64>().prop_map(|executed| Step::Break { executed }),
        1 => (0_usize..8).prop_map(Step::Lose),
    ]
}

#[derive(Clone, Debug)]
enum Ask {
    Add {
        leg: u32,
    },
    Subtract {
        leg: u32,
        termination: TerminationId,
    },
    Remove(TerminationId),
    Audit {
        serial: u32,
        piece: Piece,
    },
}

#[derive(Clone, Debug)]
enum Outcome {
    Added(TerminationId),
    Done,
    Shown(Vec<TerminationId>),
    TooLong,
}

#[derive(Clone, Debug)]
enum Leg {
    Adding,
    There(TerminationId),
    Leaving(TerminationId),
}

#[derive(Default)]
struct Model {
    /// More names than this do not fit into a reply.
    reply_names: usize,
    /// At the MRFP.
    real: BTreeSet<String>,
    made: u32,
    /// Under way to the MRFP, and back.
    requests: Vec<(TransactionId, Ask)>,
    answers: Vec<(TransactionId, Ask, Outcome)>,
    transactions: u32,
    /// The focus.
    legs: BTreeMap<u32, Leg>,
    count: u32,
    audit: Option<(u32, Audit)>,
    audits: u32,
    removed: Vec<String>,
}

impl Model {
    fn ask(&mut self, ask: Ask) {
        self.transactions += 1;
        self.requests.push((TransactionId(self.transactions), ask));
    }

    fn execute(&mut self, ask: &Ask) -> Outcome {
        match ask {
            Ask::Add { .. } => {
                self.made += 1;
                let text = format!("t/{}", self.made);
                self.real.insert(text.clone());
                Outcome::Added(name(&text))
            }
            Ask::Subtract { termination, .. } | Ask::Remove(termination) => {
                self.real.remove(&text_of(termination));
                Outcome::Done
            }
            Ask::Audit { piece, .. } => {
                let shown = |text: &&String| match piece.is_open {
                    true => text.starts_with(&piece.prefix),
                    false => **text == piece.prefix,
                };
                let found: Vec<_> = self.real.iter().filter(shown).map(|t| name(t)).collect();
                if found.len() > self.reply_names && piece.is_open {
                    Outcome::TooLong
                } else {
                    Outcome::Shown(found)
                }
            }
        }
    }

    fn known(&self) -> Vec<TerminationId> {
        let of = |leg: &Leg| match leg {
            Leg::Adding => None,
            Leg::There(termination) | Leg::Leaving(termination) => Some(termination.clone()),
        };
        self.legs.values().filter_map(of).collect()
    }

    fn touch(&mut self, termination: &TerminationId) {
        if let Some((_, audit)) = &mut self.audit {
            audit.touch(termination);
        }
    }

    fn leave(&mut self, leg: u32) {
        if let Some(Leg::There(termination)) = self.legs.get(&leg).cloned() {
            self.legs.insert(leg, Leg::Leaving(termination.clone()));
            self.touch(&termination);
            self.ask(Ask::Subtract { leg, termination });
        }
    }

    fn ask_pieces(&mut self) {
        while let Some((serial, audit)) = &mut self.audit
            && let Some(piece) = audit.next_piece()
        {
            let ask = Ask::Audit {
                serial: *serial,
                piece,
            };
            self.ask(ask);
        }
    }

    fn answered(
        &mut self,
        id: TransactionId,
        ask: Ask,
        outcome: Outcome,
    ) -> Result<(), TestCaseError> {
        match (ask, outcome) {
            (Ask::Add { leg }, Outcome::Added(termination)) => {
                self.touch(&termination);
                self.legs.insert(leg, Leg::There(termination));
            }
            (Ask::Subtract { leg, .. }, _) => {
                self.legs.remove(&leg);
            }
            (Ask::Audit { serial, piece }, outcome) => self.audited(serial, &piece, outcome),
            _ => {}
        }
        self.over(id)
    }

    fn audited(&mut self, serial: u32, piece: &Piece, outcome: Outcome) {
        let known = self.known();
        let Some((_, audit)) = self
            .audit
            .as_mut()
            .filter(|(current, _)| *current == serial)
        else {
            return;
        };
        match outcome {
            Outcome::Shown(found) => {
                audit.show(found.into_iter().map(|t| (1, t)), |t| known.contains(t))
            }
            Outcome::Added(_) | Outcome::Done | Outcome::TooLong => {
                audit.cut(piece).expect("names are short");
            }
        }
        self.ask_pieces();
        let under_way = self.requests.iter().map(|(id, ask)| (id, ask));
        let under_way = under_way.chain(self.answers.iter().map(|(id, ask, _)| (id, ask)));
        let adds = under_way.filter(|(_, ask)| matches!(ask, Ask::Add { .. }));
        let adds: Vec<_> = adds.map(|(id, _)| *id).collect();
        if let Some((_, audit)) = &mut self.audit
            && audit.is_shown()
        {
            audit.wait_for(adds);
        }
    }

    fn over(&mut self, id: TransactionId) -> Result<(), TestCaseError> {
        if let Some((_, audit)) = &mut self.audit {
            audit.end_request(id);
        }
        let Some((_, audit)) = self.audit.take_if(|(_, audit)| audit.is_over()) else {
            return Ok(());
        };
        let verdict = audit.verdict();
        for termination in verdict.strangers.into_values().flatten() {
            let text = text_of(&termination);
            prop_assert!(!self.known().contains(&termination), "{text} is somebody's");
            let will_be_told = self.answers.iter().any(
                |(_, _, outcome)| matches!(outcome, Outcome::Added(added) if *added == termination),
            );
            prop_assert!(!will_be_told, "{text} is about to be somebody's");
            prop_assert!(!self.removed.contains(&text), "{text} is removed twice");
            self.removed.push(text);
            self.ask(Ask::Remove(termination));
        }
        for termination in verdict.missing {
            prop_assert!(!self.real.contains(&text_of(&termination)), "it is there");
            let is_it = |leg: &Leg| matches!(leg, Leg::There(t) if *t == termination);
            let leg = self
                .legs
                .iter()
                .find(|(_, leg)| is_it(leg))
                .map(|(id, _)| *id);
            if let Some(leg) = leg {
                self.leave(leg);
            }
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Add => {
                self.count += 1;
                self.legs.insert(self.count, Leg::Adding);
                self.ask(Ask::Add { leg: self.count });
            }
            Step::Leave(which) => {
                let there = self
                    .legs
                    .iter()
                    .filter(|(_, leg)| matches!(leg, Leg::There(_)));
                let there: Vec<_> = there.map(|(id, _)| *id).collect();
                if !there.is_empty() {
                    self.leave(there[which % there.len()]);
                }
            }
            Step::Arrive(_) if self.requests.is_empty() => {}
            Step::Arrive(which) => {
                let (id, ask) = self.requests.remove(which % self.requests.len());
                let outcome = self.execute(&ask);
                self.answers.push((id, ask, outcome));
            }
            Step::Answer(_) if self.answers.is_empty() => {}
            Step::Answer(which) => {
                let (id, ask, outcome) = self.answers.remove(which % self.answers.len());
                self.answered(id, ask, outcome)?;
            }
            Step::Break { executed } => self.break_off(executed),
            Step::Lose(which) => {
                if !self.real.is_empty() {
                    let at = which % self.real.len();
                    let lost = self.real.iter().nth(at).cloned().expect("in range");
                    self.real.remove(&lost);
                }
            }
        }
        Ok(())
    }

    fn break_off(&mut self, mut executed: u64) {
        let asks: Vec<_> = self.requests.drain(..).map(|(_, ask)| ask).collect();
        for ask in &asks {
            if executed & 1 == 1 {
                self.execute(ask);
            }
            executed >>= 1;
        }
        let asks = asks
            .into_iter()
            .chain(self.answers.drain(..).map(|(_, ask, _)| ask));
        for ask in asks {
            // Nobody learns what became of it: the leg is over.
            if let Ask::Add { leg } | Ask::Subtract { leg, .. } = ask {
                self.legs.remove(&leg);
            }
        }
        // What was to be removed may be there still.
        self.removed.clear();
        self.audits += 1;
        self.audit = Some((self.audits, Audit::new(self.known())));
        self.ask_pieces();
    }
}

fn text_of(termination: &TerminationId) -> String {
    match termination {
        TerminationId::Name(name) => name.as_str().to_owned(),
        TerminationId::Root | TerminationId::Choose | TerminationId::All => String::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn after_an_association_that_broke_both_sides_agree(
        reply_names in prop_oneof![Just(1_usize), Just(100)],
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut model = Model { reply_names, ..Model::default() };
        for step in steps {
            model.step(step)?;
        }
        model.break_off(0);
        while !model.requests.is_empty() || !model.answers.is_empty() {
            model.step(Step::Arrive(0))?;
            model.step(Step::Answer(0))?;
        }
        prop_assert!(model.audit.is_none(), "an audit without end");
        let known: BTreeSet<_> = model.known().iter().map(text_of).collect();
        prop_assert_eq!(known, model.real);
    }
}
