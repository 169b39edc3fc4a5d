//! Where deliveries may go: public addresses, and the networks the operator names. Decided for every address
//! a name resolves to, at every connection, so that a name cannot be turned to the inside afterwards.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What is not the public internet (IANA's special-purpose registries). Metadata services that have an address
/// of their own outside these are named too.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10), // carriers' NAT; Alibaba's metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's metadata
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; most others' metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Of IPv6 only this is given out to the public …
const GLOBAL: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// … except for protocols (Teredo among them) and documentation.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !within_v4(address, NOT_PUBLIC_V4),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => !within_v4(inner, NOT_PUBLIC_V4),
            None => within_v6(address, &[GLOBAL]) && !within_v6(address, NOT_PUBLIC_V6),
        },
    }
}

/// The IPv4 address that a NAT64 (RFC 6052), 6to4 (RFC 3056) or ISATAP (RFC 5214) address leads to.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(of(high, low)),
        _ => None,
    }
}

fn within_v4(address: Ipv4Addr, networks: &[(Ipv4Addr, u8)]) -> bool {
    let within = |&(base, length)| Ipv4Net::new(base, length).is_ok_and(|net| net.contains(&address));
    networks.iter().any(within)
}

fn within_v6(address: Ipv6Addr, networks: &[(Ipv6Addr, u8)]) -> bool {
    let within = |&(base, length)| Ipv6Net::new(base, length).is_ok_and(|net| net.contains(&address));
    networks.iter().any(within)
}

/// Why nothing is sent to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Inside, and not named.
    #[error("the address is not public, and not in DELIVERY_ALLOWED_NETWORKS")]
    Address,
    /// http to the outside.
    #[error("plain http is for addresses in DELIVERY_ALLOWED_NETWORKS only")]
    PlainHttp,
    /// Not a web address at all.
    #[error("it must be an https address without user name, password and fragment")]
    NotAWebAddress,
}

/// The networks the operator names (`DELIVERY_ALLOWED_NETWORKS`).
#[derive(Debug, Clone)]
pub(super) struct Allowed(pub(super) Arc<[IpNet]>);

impl Allowed {
    fn names(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        self.0.iter().any(|network| network.contains(&plain))
    }

    fn permits(&self, address: IpAddr, encrypted: bool) -> bool {
        self.names(address) || (encrypted && is_public(address))
    }

    /// What can be told of `url` before its name is resolved. Decides for addresses; names are decided where
    /// they are resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), NotAllowed> {
        let encrypted = url.scheme() == "https";
        let extras = !url.username().is_empty() || url.password().is_some() || url.fragment().is_some();
        if !(encrypted || url.scheme() == "http") || extras {
            return Err(NotAllowed::NotAWebAddress);
        }
        let refused = if encrypted { NotAllowed::Address } else { NotAllowed::PlainHttp };
        let permitted = |address| if self.permits(address, encrypted) { Ok(()) } else { Err(refused) };
        match url.host().ok_or(NotAllowed::NotAWebAddress)? {
            Host::Ipv4(address) => permitted(address.into()),
            Host::Ipv6(address) => permitted(address.into()),
            Host::Domain(_) if encrypted || !self.0.is_empty() => Ok(()),
            Host::Domain(_) => Err(NotAllowed::PlainHttp),
        }
    }
}

type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The system's resolver, of whose answers only those that are permitted are passed on.
#[derive(Clone)]
pub(super) struct Resolver {
    allowed: Allowed,
    encrypted: bool,
    lookup: Lookup,
}

impl Resolver {
    pub(super) fn new(allowed: Allowed, encrypted: bool) -> Self {
        let lookup: Lookup = Arc::new(|name| {
            Box::pin(async move { tokio::net::lookup_host((name, 0)).await.map(Iterator::collect) })
        });
        Self { allowed, encrypted, lookup }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { allowed, encrypted, lookup } = self.clone();
        Box::pin(async move {
            let found = lookup(name.as_str().to_owned()).await?;
            let permitted: Vec<_> =
                found.into_iter().filter(|found| allowed.permits(found.ip(), encrypted)).collect();
            if permitted.is_empty() {
                return Err(if encrypted { NotAllowed::Address } else { NotAllowed::PlainHttp }.into());
            }
            Ok::<Addrs, _>(Box::new(permitted.into_iter()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn allowed(networks: &[&str]) -> Allowed {
        Allowed(networks.iter().map(|network| network.parse().unwrap()).collect())
    }

    /// Row F02, as people write it.
    const INSIDE: &[&str] = &[
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://017700000001/",
        "https://127.0.0.1./",
        "https://0.0.0.0/",
        "https://0/",
        "https://10.1.2.3/",
        "https://100.64.0.1/",
        "https://100.100.100.200/latest/meta-data/",
        "https://168.63.129.16/",
        "https://169.254.169.254/latest/meta-data/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.0.0.192/",
        "https://192.0.2.1/",
        "https://192.168.1.1/",
        "https://198.18.0.1/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::]/",
        "https://[::1]/",
        "https://[::127.0.0.1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b::169.254.169.254]/",
        "https://[64:ff9b:1::1]/",
        "https://[2002:7f00:1::]/",
        "https://[2002:a9fe:a9fe::1]/",
        "https://[2001:0:1::1]/",
        "https://[2001:db8::1]/",
        "https://[2600::5efe:10.0.0.1]/",
        "https://[fc00::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        "https://[100::1]/",
        "https://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
    ];

    #[test]
    fn f02_no_spelling_of_an_address_inside_is_allowed() {
        for text in INSIDE {
            let url = Url::parse(text).unwrap();
            assert_eq!(allowed(&[]).check(&url), Err(NotAllowed::Address), "{text}");
        }
    }

    #[test]
    fn a_public_address_is_allowed_over_https_and_an_inner_one_where_it_is_named() {
        for text in
            ["https://8.8.8.8/", "https://[2600::1]/", "https://[64:ff9b::8.8.8.8]/", "https://a.example/"]
        {
            assert_eq!(allowed(&[]).check(&Url::parse(text).unwrap()), Ok(()), "{text}");
        }
        let ten = allowed(&["10.0.0.0/8"]);
        for (text, expected) in [
            ("https://10.0.0.1/", Ok(())),
            ("http://10.0.0.1/", Ok(())),
            ("http://[::ffff:10.0.0.1]/", Ok(())),
            ("http://a.example/", Ok(())),
            ("http://8.8.8.8/", Err(NotAllowed::PlainHttp)),
            ("https://192.168.0.1/", Err(NotAllowed::Address)),
            ("https://[64:ff9b::10.0.0.1]/", Err(NotAllowed::Address)),
        ] {
            assert_eq!(ten.check(&Url::parse(text).unwrap()), expected, "{text}");
        }
        assert_eq!(allowed(&[]).check(&Url::parse("http://a.example/").unwrap()), Err(NotAllowed::PlainHttp));
        for text in ["ftp://8.8.8.8/", "https://u:p@8.8.8.8/", "https://8.8.8.8/#x", "data:text/plain,x"] {
            assert_eq!(ten.check(&Url::parse(text).unwrap()), Err(NotAllowed::NotAWebAddress), "{text}");
        }
    }

    async fn resolved(resolver: &Resolver) -> Result<Vec<IpAddr>, String> {
        let found = resolver.resolve("receiver.example".parse().unwrap()).await;
        found.map(|found| found.map(|found| found.ip()).collect()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn f02_of_what_a_name_resolves_to_only_what_is_allowed_is_connected_to() {
        let answers = [vec!["8.8.8.8", "127.0.0.1"], vec!["127.0.0.1", "::ffff:10.0.0.1", "fe80::1"]];
        let turn = Arc::new(AtomicUsize::new(0));
        let lookup: Lookup = Arc::new(move |_| {
            // A name that is turned to the inside between two connections.
            let answer = answers[turn.fetch_add(1, Ordering::SeqCst) % 2].clone();
            let addresses =
                answer.into_iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect();
            Box::pin(async move { Ok(addresses) })
        });
        let resolver = |networks: &[&str], encrypted| Resolver {
            allowed: allowed(networks),
            encrypted,
            lookup: lookup.clone(),
        };
        let outside = resolver(&[], true);
        assert_eq!(resolved(&outside).await, Ok(vec!["8.8.8.8".parse().unwrap()]));
        assert_eq!(resolved(&outside).await, Err(NotAllowed::Address.to_string()));
        let plain = resolver(&["127.0.0.0/8"], false);
        assert_eq!(resolved(&plain).await, Ok(vec!["127.0.0.1".parse().unwrap()]), "http goes inside only");
        let elsewhere = resolver(&["10.9.0.0/16"], false);
        assert_eq!(resolved(&elsewhere).await, Err(NotAllowed::PlainHttp.to_string()));
    }
}
