//! Two SIP user agents, over a link and a clock that do what the input says.

fn main() -> std::process::ExitCode {
    harness::main(sip::fuzzing::converse)
}
