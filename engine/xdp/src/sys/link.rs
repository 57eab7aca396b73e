//! What the system knows of an interface, and waiting.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

/// An interface, as it was when asked.
#[derive(Debug)]
pub(crate) struct LinkInfo {
    pub(crate) index: u32,
    pub(crate) is_up: bool,
    pub(crate) is_loopback: bool,
    /// Octets of the largest IP packet.
    pub(crate) mtu: usize,
    /// Receive queues in use.
    pub(crate) queues: u32,
    pub(crate) driver: String,
    pub(crate) addresses: Vec<IpAddr>,
}

impl LinkInfo {
    /// Asks for an interface; `None` if there is none of this name.
    pub(crate) fn of(name: &str) -> io::Result<Option<Self>> {
        let Ok(c_name) = CString::new(name) else {
            return Ok(None);
        };
        if name.len() >= libc::IFNAMSIZ {
            return Ok(None);
        }
        // SAFETY: a string that ends with a zero and is only read.
        let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) };
        if index == 0 {
            return Ok(None);
        }
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        let fd = socket.as_raw_fd();
        let mut request = request(&c_name);
        ioctl(fd, libc::SIOCGIFMTU, &mut request)?;
        // SAFETY: the call has just set this member.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        ioctl(fd, libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: the call has just set this member.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        Ok(Some(Self {
            index,
            is_up: i32::from(flags) & libc::IFF_UP != 0,
            is_loopback: i32::from(flags) & libc::IFF_LOOPBACK != 0,
            mtu: usize::try_from(mtu).unwrap_or(0),
            queues: queues(fd, &c_name),
            driver: driver(fd, &c_name),
            addresses: addresses(&c_name)?,
        }))
    }
}

fn request(name: &CStr) -> libc::ifreq {
    // SAFETY: integers and a union of such, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    for (place, octet) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
        *place = octet.cast_signed();
    }
    request
}

fn ioctl(fd: i32, number: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    #[allow(clippy::useless_conversion, reason = "musl has another type")]
    let number = libc::Ioctl::try_from(number).expect("numbers of two octets");
    // SAFETY: the structure is of the type that the numbers used here take, with a name that ends with
    // a zero (`request` copies fewer octets than fit); a pointer in it, if any, is its maker's care.
    check(unsafe { libc::ioctl(fd, number, core::ptr::from_mut(request)) }).map(drop)
}

/// Asks the driver through SIOCETHTOOL: the words or octets behind the command, as it left them.
fn ethtool<const N: usize>(fd: i32, name: &CStr, command: u32) -> io::Result<[u8; N]> {
    #[repr(C, align(8))]
    struct Answer<const N: usize>([u8; N]);
    let mut answer = Answer([0; N]);
    answer.0[..4].copy_from_slice(&command.to_ne_bytes());
    let mut request = request(name);
    request.ifr_ifru.ifru_data = answer.0.as_mut_ptr().cast();
    // The commands used here write structures of exactly N octets.
    ioctl(fd, libc::SIOCETHTOOL, &mut request)?;
    Ok(answer.0)
}

fn queues(fd: i32, name: &CStr) -> u32 {
    const GET_CHANNELS: u32 = 0x3c;
    // Command; maxima of rx, tx, other, combined; counts of the same.
    let Ok(answer) = ethtool::<36>(fd, name, GET_CHANNELS) else {
        return 1;
    };
    let word = |index: usize| {
        let octets = answer[index * 4..index * 4 + 4].try_into();
        u32::from_ne_bytes(octets.expect("four octets"))
    };
    (word(5) + word(8)).max(1)
}

fn driver(fd: i32, name: &CStr) -> String {
    const GET_DRIVER: u32 = 0x03;
    let Ok(answer) = ethtool::<196>(fd, name, GET_DRIVER) else {
        return String::from("unknown");
    };
    let octets = answer[4..36].split(|octet| *octet == 0).next();
    String::from_utf8_lossy(octets.unwrap_or_default()).into_owned()
}

fn addresses(name: &CStr) -> io::Result<Vec<IpAddr>> {
    let mut list = core::ptr::null_mut();
    // SAFETY: on success it sets the pointer to a list that is ours until freed.
    check(unsafe { libc::getifaddrs(&raw mut list) })?;
    let mut found = Vec::new();
    let mut at = list;
    while !at.is_null() {
        // SAFETY: an element of the list, which is freed below.
        let one = unsafe { &*at };
        at = one.ifa_next;
        if one.ifa_addr.is_null() {
            continue;
        }
        // SAFETY: names of the list end with a zero; an address begins with its family and is as long
        // as that says.
        unsafe {
            if CStr::from_ptr(one.ifa_name) != name {
                continue;
            }
            match i32::from((*one.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let addr = &*one.ifa_addr.cast::<libc::sockaddr_in>();
                    found.push(Ipv4Addr::from(addr.sin_addr.s_addr.to_ne_bytes()).into());
                }
                libc::AF_INET6 => {
                    let addr = &*one.ifa_addr.cast::<libc::sockaddr_in6>();
                    found.push(Ipv6Addr::from(addr.sin6_addr.s6_addr).into());
                }
                _ => {}
            }
        }
    }
    // SAFETY: the list of above, not used again.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

/// Sleeps until one of the descriptors can be read or the time is over (`None`: never); whether one can be.
pub(crate) fn sleep<'a>(
    fds: impl Iterator<Item = BorrowedFd<'a>>,
    time: Option<Duration>,
) -> io::Result<bool> {
    const FDS_MAX: usize = 2 * crate::limits::QUEUES_MAX as usize + 1;
    let mut list = [libc::pollfd {
        fd: -1,
        events: libc::POLLIN,
        revents: 0,
    }; FDS_MAX];
    let mut count = 0;
    for (place, fd) in list.iter_mut().zip(fds) {
        place.fd = fd.as_raw_fd();
        count += 1;
    }
    let time = time.map(|time| libc::timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i32::MAX.into()),
        tv_nsec: time.subsec_nanos().into(),
    });
    let time = time.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the list is at least as long as said; the time is a valid pointer or none.
    match check(unsafe { libc::ppoll(list.as_mut_ptr(), count, time, core::ptr::null()) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        Ok(count) => Ok(count > 0),
        Err(_) => Ok(false),
    }
}
