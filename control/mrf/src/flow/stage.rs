//! Where a flow is played: a running system, or one started for it with a tap on its H.248.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::anyhow;
use h248_endpoint::TransportAddr;
use mrfc::Mrfc;
use mrfp::Mrfp;
use sip::{NextHop, SipAddr};
use tokio::time::timeout;

use super::tap::Tap;
use crate::limits::{DRAIN_WITHIN, REGISTER_WITHIN};
use crate::participant::Target;
use crate::start_fault::{start_mrfc, start_mrfp};

/// The system under test.
#[derive(Debug)]
pub(super) struct Stage {
    /// The conference.
    pub(super) target: Target,
    /// Sees the H.248 of an own system.
    pub(super) tap: Option<Tap>,
    own: Option<(Mrfc, Mrfp)>,
}

impl Stage {
    /// Takes a running system, or starts one on free ports, whose conference is `own` and whose
    /// calls go to `next_hop`.
    pub(super) async fn set(
        target: Option<String>,
        via: Option<&crate::values::NextHop>,
        own: &str,
        next_hop: Option<SipAddr>,
    ) -> anyhow::Result<Self> {
        match target {
            Some(uri) => Ok(Self {
                target: Target::resolve(&uri, via).await?,
                tap: None,
                own: None,
            }),
            None => Self::start(own, next_hop).await,
        }
    }

    async fn start(uri: &str, next_hop: Option<SipAddr>) -> anyhow::Result<Self> {
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let mut mrfc = start_mrfc(mrfc::Config {
            sip: vec![SipAddr::udp(any)],
            h248: vec![TransportAddr::Udp(any)],
            create_on_join: true,
            next_hop: next_hop.map(NextHop::Addr),
            ..mrfc::Config::default()
        })
        .await?;
        let first = |addrs: &[TransportAddr]| addrs.first().map(|addr| addr.addr());
        let mgc = first(mrfc.h248_addrs()).ok_or_else(|| anyhow!("the MRFC has no H.248"))?;
        let via = mrfc.sip_addrs().first().copied();
        let via = via.ok_or_else(|| anyhow!("the MRFC has no SIP"))?;
        let tap = Tap::start(mgc).await?;
        let mut mrfp = start_mrfp(mrfp::Config {
            msrp: vec![any.into()],
            mgcs: vec![TransportAddr::Udp(tap.addr())],
            h248: vec![TransportAddr::Udp(any)],
            honour_sdp: true,
            ..mrfp::Config::default()
        })
        .await?;
        let both = async {
            mrfp.registered().await;
            mrfc.mrfp_registered().await;
        };
        timeout(REGISTER_WITHIN, both)
            .await
            .map_err(|_| anyhow!("the MRFP could not register with the MRFC through the tap"))?;
        Ok(Self {
            target: Target {
                uri: uri.to_owned(),
                via,
                name: None,
                further: Vec::new(),
            },
            tap: Some(tap),
            own: Some((mrfc, mrfp)),
        })
    }

    /// Where it is played, in words.
    pub(super) fn place(&self) -> String {
        match &self.own {
            Some((_, mrfp)) => format!("on a system of its own, reactor {}", mrfp.reactor()),
            None => format!("on {} via {}", self.target.uri, self.target.via),
        }
    }

    /// Stops an own system.
    pub(super) async fn strike(self) {
        if let Some((mrfc, mrfp)) = self.own {
            mrfc.shutdown(DRAIN_WITHIN).await;
            drop(mrfp);
        }
    }
}
