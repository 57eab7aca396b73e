//! A whole shard on the simulated network: no panic, and whatever it sends is MSRP.

fn main() -> std::process::ExitCode {
    harness::main(mrf_tests::fuzzing::shard)
}
