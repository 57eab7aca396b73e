//! Two network namespaces and a veth pair: shards on AF_XDP in one, the kernel's TCP in the other.
//!
//! What the guest sends arrives at the queue that was chosen last, see [`World::steer`]; so it chooses the shard
//! that accepts. What connections send later often comes by another queue, and must find its shard.

use core::cell::OnceCell;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use reactor::{Mailbox, ShardThreadConfig, Socket, XdpInterface, XdpShard, open_xdp};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::rig::Net;

const HOST: [u8; 4] = [10, 97, 0, 2];
const GUEST: [u8; 4] = [10, 97, 0, 1];

/// One test's. The thread that made it is in the guest's namespace while it lives.
pub(crate) struct World<const MTU: usize = 1500> {
    home: File,
    host: File,
    guest: File,
    /// Of the host and of the guest.
    names: [String; 2],
    queues: usize,
    /// Once it is open.
    interface: OnceCell<XdpInterface>,
}

impl<const MTU: usize> World<MTU> {
    /// Where a shard's connections come from, also of one that begins in the place of another.
    pub(crate) fn place(&self, index: usize) -> XdpShard {
        let interface = self.interface.get().expect("opened by the rig");
        interface.shard(u8::try_from(index).unwrap())
    }

    /// Sends all that the guest sends by this queue from now on, as far as TCP allows a change.
    pub(crate) fn steer(&self, queue: usize) {
        // One queue has nothing to choose from, and no file for it.
        if self.queues == 1 {
            return;
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mut lines = status.lines();
        let cores = lines.find_map(|line| line.strip_prefix("Cpus_allowed:\t"));
        let script: String = (0..self.queues)
            .map(|one| {
                let cores = if one == queue { cores.unwrap() } else { "0" };
                format!("echo {cores} > /sys/class/net/g0/queues/tx-{one}/xps_cpus;")
            })
            .collect();
        let words = ["netns", "exec", &self.names[1], "sh", "-ec", &script];
        run(&words, "");
    }
}

/// Runs ip(8).
fn run(words: &[&str], input: &str) {
    let mut child = Command::new("ip")
        .args(words)
        .stdin(Stdio::piped())
        .spawn()
        .expect("ip(8) of iproute2");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let status = child.wait().unwrap();
    assert!(
        status.success(),
        "ip {words:?}, {input}: {status}; is this root?"
    );
}

fn enter(space: &File) {
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(space.as_fd(), network).expect("root");
}

impl<const MTU: usize> Net for World<MTU> {
    type Place = XdpShard;

    fn new(shards: usize) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tag = format!("mrf{}n{number}", std::process::id());
        let names = [format!("{tag}host"), format!("{tag}guest")];
        let home = File::open("/proc/thread-self/ns/net").unwrap();
        let [host, guest] = &names;
        run(
            &["-batch", "-"],
            &format!("netns add {host}\nnetns add {guest}\n"),
        );
        let open = |name: &String| File::open(format!("/run/netns/{name}")).unwrap();
        let world = Self {
            home,
            host: open(host),
            guest: open(guest),
            names,
            queues: shards,
            interface: OnceCell::new(),
        };
        let [host, guest] = &world.names;
        let queues = format!("numtxqueues {shards} numrxqueues {shards}");
        let [a, b, c, d] = GUEST;
        let inside = format!(
            "link add g0 mtu {MTU} {queues} type veth peer name h0 mtu {MTU} {queues} netns {host}\n\
             addr add {a}.{b}.{c}.{d}/24 dev g0\nlink set g0 up\nlink set lo up\n"
        );
        run(&["-n", guest, "-batch", "-"], &inside);
        let [a, b, c, d] = HOST;
        let inside = format!("addr add {a}.{b}.{c}.{d}/24 dev h0\nlink set h0 up\n");
        run(&["-n", host, "-batch", "-"], &inside);
        enter(&world.guest);
        world
    }

    fn places(&self, mailboxes: &[Mailbox<Socket>], busy_poll: Duration) -> Vec<XdpShard> {
        let listener = SocketAddr::from((HOST, 0));
        let open = || open_xdp("h0", &[listener], mailboxes, busy_poll).unwrap();
        let interface = self.beside_shards(open);
        self.interface.set(interface).expect("opened once");
        (0..mailboxes.len())
            .map(|index| self.place(index))
            .collect()
    }

    fn settle(config: &mut ShardThreadConfig, place: XdpShard) {
        config.xdp = Some(place);
    }

    fn beside_shards<R>(&self, run: impl FnOnce() -> R) -> R {
        enter(&self.host);
        let outcome = run();
        enter(&self.guest);
        outcome
    }

    fn connect(&self, shard: usize, to: SocketAddr) -> io::Result<TcpStream> {
        self.steer(shard);
        TcpStream::connect(to)
    }

    fn listen(&self) -> TcpListener {
        TcpListener::bind(SocketAddr::from((GUEST, 0))).unwrap()
    }
}

impl<const MTU: usize> Drop for World<MTU> {
    fn drop(&mut self) {
        enter(&self.home);
        let [host, guest] = &self.names;
        run(
            &["-batch", "-"],
            &format!("netns del {host}\nnetns del {guest}\n"),
        );
    }
}
