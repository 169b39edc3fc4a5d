//! Starts and sign-ins per client address. The address is the peer's; `X-Forwarded-For` counts only as
//! far as it was written by a trusted proxy.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;

use crate::web::Gangway;
use crate::web::failure::Failure;

/// Counts per client address.
pub struct RateLimit {
    limiter: Option<DefaultKeyedRateLimiter<IpAddr>>,
    proxies: Vec<IpNet>,
    clock: DefaultClock,
}

/// Proof that the client's address has not used up its share. Taking it uses one up.
pub struct Admitted(());

impl RateLimit {
    /// `per_minute` for each address; 0 is no limit.
    pub fn new(per_minute: u32, proxies: Vec<IpNet>) -> Self {
        let limiter = NonZeroU32::new(per_minute).map(|share| RateLimiter::keyed(Quota::per_minute(share)));
        Self { limiter, proxies, clock: DefaultClock::default() }
    }

    /// Forgets addresses whose share is whole again, so that memory is bounded by a minute's clients.
    pub fn forget_idle(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    fn admit(&self, request: &HttpRequest) -> Result<Admitted, Failure> {
        let (Some(limiter), Some(peer)) = (&self.limiter, request.peer_addr()) else {
            return Ok(Admitted(()));
        };
        let client = self.client(request, peer);
        limiter.check_key(&network(client)).map(|()| Admitted(())).map_err(|until| {
            let wait: Duration = until.wait_time_from(self.clock.now());
            Failure::TooMany(wait.as_secs() + 1)
        })
    }

    /// The client's address.
    pub fn address(&self, request: &HttpRequest) -> Option<IpAddr> {
        request.peer_addr().map(|peer| self.client(request, peer))
    }

    /// The nearest address in `X-Forwarded-For` that is no proxy of ours, reading from our side.
    fn client(&self, request: &HttpRequest, peer: SocketAddr) -> IpAddr {
        let trusted = |address: &IpAddr| self.proxies.iter().any(|network| network.contains(address));
        let peer = peer.ip().to_canonical();
        if !trusted(&peer) {
            return peer;
        }
        let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
        let mut client = peer;
        for hop in hops.iter().rev() {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = address.to_canonical();
            if !trusted(&client) {
                break;
            }
        }
        client
    }
}

/// One IPv6 customer has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
    }
}

impl FromRequest for Admitted {
    type Error = Failure;
    type Future = std::future::Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<Gangway>>().ok_or_else(Failure::misassembled);
        std::future::ready(app.and_then(|app| app.rate_limit.admit(request)))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn client(peer: &str, forwarded: &str) -> String {
        let limit = RateLimit::new(1, vec!["10.0.0.0/8".parse().unwrap()]);
        let request = TestRequest::default().insert_header(("x-forwarded-for", forwarded)).to_http_request();
        limit.client(&request, SocketAddr::new(peer.parse().unwrap(), 1)).to_string()
    }

    #[test]
    fn f03_only_a_trusted_proxy_may_say_who_the_client_is() {
        assert_eq!(client("192.0.2.1", "198.51.100.7"), "192.0.2.1");
        assert_eq!(client("10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(client("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(client("10.0.0.1", "198.51.100.7, garbage"), "10.0.0.1");
        assert_eq!(client("10.0.0.1", ""), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", "198.51.100.7"), "198.51.100.7");
    }

    #[test]
    fn one_ipv6_network_counts_as_one_client() {
        assert_eq!(network("2001:db8::1".parse().unwrap()), network("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(network("2001:db8::1".parse().unwrap()), network("2001:db8:0:1::1".parse().unwrap()));
    }
}
