//! The MSRP deframer: the same items however the stream was cut.

fn main() -> std::process::ExitCode {
    harness::main(msrp::fuzzing::deframe)
}
