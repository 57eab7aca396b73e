use super::*;
use crate::ast::*;
use crate::{ErrorCode, Limits, parse};

#[track_caller]
fn check(text: &str, pretty: &str, compact: &str) {
    let message = parse(text.as_bytes(), &Limits::default());
    let message = message.unwrap_or_else(|error| panic!("{text}: {error}"));
    let printed = |encoding| String::from_utf8(print(&message, encoding)).expect("UTF-8");
    assert_eq!(printed(Encoding::Pretty), pretty);
    assert_eq!(printed(Encoding::Compact), compact);
}

#[test]
fn pretty_messages_have_one_item_a_line() {
    check(
        "!/2 <a> T=1{C=${PR=3,A=${M{ST=1{O{MO=SR,x/y=[1,2]},L{\nv=0\n}}},SG,E=1{g/cause}}}}PN=2{}",
        "\
MEGACO/2 <a>
Transaction = 1 {
  Context = $ {
    Priority = 3,
    Add = $ {
      Media {
        Stream = 1 {
          LocalControl {
            Mode = SendReceive,
            x/y = [1, 2]
          },
          Local {
v=0
          }
        }
      },
      Signals,
      Events = 1 {
        g/cause
      }
    }
  }
}
Pending = 2 {}
",
        "!/2 <a>\n\
         T=1{C=${PR=3,A=${M{ST=1{O{MO=SR,x/y=[1,2]},L{\nv=0\n}}},SG,E=1{g/cause}}}}PN=2{}",
    );
}

#[test]
fn a_segment_is_separated_from_what_follows_only() {
    check(
        "!/3 <a> SM=1/1 SM=1/2/END",
        "MEGACO/3 <a>\nSegment = 1/1\nSegment = 1/2/END",
        "!/3 <a>\nSM=1/1\nSM=1/2/&",
    );
}

/// A reply of `version` for context 1 with these parts.
fn reply(version: u8, properties: ContextProperties, descriptors: Vec<Descriptor>) -> String {
    let amm = AmmReply {
        descriptors,
        ..AmmReply::new(TerminationId::Root)
    };
    let action = ActionReply {
        context: ContextId::Id(1),
        properties,
        commands: Few::One(CommandResult::Modify(amm).into()),
        error: None,
    };
    let reply = Transaction::Reply(TransactionReply {
        id: TransactionId(7),
        segment: None,
        immediate_ack: false,
        body: ReplyBody::Actions(action.into()),
    });
    let text = print_transaction(&reply, version, Encoding::Compact);
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn later_versions_additions_are_left_out_of_older_messages() {
    let properties = ContextProperties {
        emergency: Some(false),
        ieps: Some(true),
        ..ContextProperties::default()
    };
    let media = Descriptor::Media(Media {
        termination_state: None,
        streams: MediaStreams::Multiple(vec![Stream {
            id: 1,
            parms: StreamParms {
                statistics: Some(Vec::new()),
                ..StreamParms::default()
            },
        }]),
    });
    let text = |version| reply(version, properties.clone(), vec![media.clone()]);
    assert_eq!(text(1), "P=7{C=1{MF=ROOT{M}}}");
    assert_eq!(text(2), "P=7{C=1{EGO,MF=ROOT{M}}}");
    assert_eq!(text(3), "P=7{C=1{EGO,IEPS=ON,MF=ROOT{M{ST=1{SA}}}}}");
}

#[test]
fn what_cannot_be_said_is_said_otherwise() {
    let empty_control = Descriptor::Media(Media {
        termination_state: Some(TerminationState::default()),
        streams: MediaStreams::One(StreamParms {
            local_control: Some(LocalControl::default()),
            local: Some(OctetString::from("v=0")),
            ..StreamParms::default()
        }),
    });
    let error = ErrorDescriptor::new(ErrorCode::UNKNOWN_PROPERTY, "no \"x\"\r\nhere");
    let statistic = Statistic {
        name: PackageItem::new("a", "b"),
        values: Value::plain("two words").into(),
    };
    let descriptors = vec![
        empty_control,
        Descriptor::Error(error),
        Descriptor::Statistics(vec![statistic]),
    ];
    assert_eq!(
        reply(2, ContextProperties::default(), descriptors),
        "P=7{C=1{MF=ROOT{M{O{MO=IN},L{\nv=0\n}},ER=445{\"no 'x'  here\"},\
         SA{a/b=\"two words\"}}}}"
    );
}
