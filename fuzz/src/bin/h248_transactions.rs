//! The H.248 transaction machines of both ends, over a link and a clock that do what the input says.

fn main() -> std::process::ExitCode {
    harness::main(h248_endpoint::fuzzing::converse)
}
