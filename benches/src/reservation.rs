//! H.248: the reservation of one participant.

/// As a controller writes it.
pub const RESERVE: &[u8] = b"MEGACO/2 <mrfc1.example.net>:2944
Transaction = 12 { Context = $ { Add = $ { Media { Stream = 1 {
  LocalControl { Mode = SendReceive },
  Local {
v=0
c=IN IP4 $
m=message $ TCP/MSRP *
a=path:$
},
  Remote {
v=0
c=IN IP4 192.0.2.10
m=message 7394 TCP/MSRP *
a=path:msrp://192.0.2.10:7394/2s93i93idj;tcp
} } },
  Events = 77 { hangterm/thb { timerx = 3600 }, g/cause } } } }
";
