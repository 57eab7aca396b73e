//! SIP messages from datagrams and streams: any cut of a stream yields the same, and what was read is written alike.

fn main() -> std::process::ExitCode {
    harness::main(sip::fuzzing::read)
}
