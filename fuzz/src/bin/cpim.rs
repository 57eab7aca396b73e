//! CPIM headers: the same head however the octets were cut.

fn main() -> std::process::ExitCode {
    harness::main(msrp::fuzzing::cpim)
}
