//! Message filters: scripts are compiled or refused, and judge by what they read alone.

fn main() -> std::process::ExitCode {
    harness::main(sieve::fuzzing::judge)
}
