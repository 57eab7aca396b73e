//! The user-space TCP of the xdp reactor: whatever a peer sends, only whole segments come out.

fn main() -> std::process::ExitCode {
    harness::main(xdp::fuzzing::frames)
}
