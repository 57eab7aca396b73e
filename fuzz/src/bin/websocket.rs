//! WebSocket frames of a client: the same data however the octets were cut.

fn main() -> std::process::ExitCode {
    harness::main(reactor::fuzzing::websocket)
}
