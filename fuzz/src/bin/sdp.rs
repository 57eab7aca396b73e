//! Session descriptions: what answers one can be read, and refuses what it should.

fn main() -> std::process::ExitCode {
    harness::main(sdp::fuzzing::description)
}
