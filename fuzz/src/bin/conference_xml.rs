//! Lists of whom to invite and rosters: what is written of them is read alike.

fn main() -> std::process::ExitCode {
    harness::main(conference::fuzzing::documents)
}
