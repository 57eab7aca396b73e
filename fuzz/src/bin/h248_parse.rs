//! The H.248 parser: no panic, and what it accepts survives printing.

fn main() -> std::process::ExitCode {
    harness::main(h248::fuzzing::parse)
}
