//! URIs: what parses compares as RFC 4975 section 6.1 says.

fn main() -> std::process::ExitCode {
    harness::main(msrp::fuzzing::uri)
}
