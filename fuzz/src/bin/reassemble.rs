//! The reassembler: operations in any order, against octets kept one by one.

fn main() -> std::process::ExitCode {
    harness::main(msrp::fuzzing::reassemble)
}
