//! Two network namespaces joined by a veth pair: the system under test in one, the generator in the other.

use core::net::Ipv4Addr;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// The system under test's address.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 2);
/// The generator's.
pub(crate) const GUEST: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The system under test's end of the pair.
pub(crate) const HOST_LINK: &str = "h0";

/// Of the namespaces.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Names {
    pub(crate) host: String,
    pub(crate) guest: String,
}

/// The namespaces; dropping it takes them down.
#[derive(Debug)]
pub(crate) struct Veth(Names);

impl Veth {
    /// Makes them. `segments`: whether the kernel may leave the cutting of large sends to the device.
    ///
    /// # Errors
    ///
    /// Without root, or without ip(8) and ethtool(8).
    pub(crate) fn new(segments: bool) -> anyhow::Result<Self> {
        let id = std::process::id();
        let names = Names {
            host: format!("mrf{id}host"),
            guest: format!("mrf{id}guest"),
        };
        let Names { host, guest } = &names;
        ip(&[], &format!("netns add {host}\nnetns add {guest}\n"))
            .context("a veth pair needs root")?;
        let veth = Self(names.clone());
        ip(
            &["-n", host],
            &format!(
                "link add {HOST_LINK} type veth peer name g0 netns {guest}\n\
                 addr add {HOST}/24 dev {HOST_LINK}\nlink set {HOST_LINK} up\nlink set lo up\n"
            ),
        )?;
        ip(
            &["-n", guest],
            &format!("addr add {GUEST}/24 dev g0\nlink set g0 up\nlink set lo up\n"),
        )?;
        if !segments {
            for (name, link) in [(host, HOST_LINK), (guest, "g0")] {
                let words = ["netns", "exec", name, "ethtool", "-K", link];
                let status = Command::new("ip")
                    .args(words)
                    .args(["tso", "off", "gso", "off"])
                    .stdout(Stdio::null())
                    .status()?;
                ensure!(status.success(), "ethtool -K {link} tso off gso off");
            }
        }
        Ok(veth)
    }

    pub(crate) fn names(&self) -> Names {
        self.0.clone()
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        let Names { host, guest } = &self.0;
        // What is left of them is in the error's own words on the terminal.
        let _ = ip(&[], &format!("netns del {host}\nnetns del {guest}\n"));
    }
}

/// Runs ip(8) on lines.
fn ip(words: &[&str], lines: &str) -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(words)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("ip(8) of iproute2")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(lines.as_bytes())?;
    }
    ensure!(child.wait()?.success(), "ip failed");
    Ok(())
}
