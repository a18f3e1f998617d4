//! Which proxies an application trusts, and which headers they write.

use std::net::IpAddr;
use std::sync::Arc;

use super::network::{Network, NetworkError};

/// The proxies in front of the server that are believed when they say by which way a request came: the address of the client,
/// and the host and the scheme that it asked for. By default none is.
///
/// ```
/// use dualcast_http::TrustedProxies;
///
/// let proxies = TrustedProxies::networks(["10.1.0.0/16", "2001:db8::7"])?;
/// # Ok::<_, dualcast_http::NetworkError>(())
/// ```
///
/// Put it on the whole application as a layer, `.layer(Extension(proxies))`. The [`OriginPolicy`](crate::OriginPolicy) and
/// [`ClientAddress`](crate::ClientAddress) go by it.
///
/// Which proxy brought a request is told by the address of its connection. `dualcast::serve` knows that; under `axum::serve` use
/// `app.into_make_service_with_connect_info::<SocketAddr>()`. Where it isn't known, nothing is believed.
///
/// Behind several proxies the list of addresses is read from its end, as long as they are of trusted proxies: what stands
/// before the first that isn't, the client may have made up.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Arc<[Network]>,
    headers: Headers,
}

/// The headers that proxies write. A proxy passes those of the other kind on as the client sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Headers {
    /// `X-Forwarded-For`, `-Host` and `-Proto`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl TrustedProxies {
    /// None, which is the default.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Those on this machine: `127.0.0.0/8` and `::1`.
    #[must_use]
    pub fn loopback() -> Self {
        Self::known(LOOPBACK)
    }

    /// Those on this machine and in private networks: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` (RFC 1918) and `fc00::/7`
    /// (RFC 4193). Only where clients don't come from these themselves.
    #[must_use]
    pub fn private() -> Self {
        Self::known(&[LOOPBACK, PRIVATE].concat())
    }

    /// Those in these networks: `10.1.0.0/16`, `2001:db8::/32`, or single addresses.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] names the entry that isn't one.
    pub fn networks<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworkError> {
        let networks = networks.into_iter().map(str::parse);
        Ok(Self {
            networks: networks.collect::<Result<_, _>>()?,
            headers: Headers::default(),
        })
    }

    /// These proxies write `Forwarded` (RFC 7239). By default they are believed to write `X-Forwarded-For`, `X-Forwarded-Host` and
    /// `X-Forwarded-Proto`. The others are never read: a proxy passes on what it doesn't write, whoever wrote it.
    #[must_use]
    pub fn by_forwarded(mut self) -> Self {
        self.headers = Headers::Forwarded;
        self
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    pub(super) fn headers(&self) -> Headers {
        self.headers
    }

    /// Of networks that are written here.
    fn known(networks: &[&str]) -> Self {
        let networks = networks.iter().filter_map(|network| network.parse().ok());
        Self {
            networks: networks.collect(),
            headers: Headers::default(),
        }
    }
}

const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1"];
const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_choices_are_the_networks_that_they_say() {
        let trusts = |proxies: &TrustedProxies, address: &str| proxies.trusts(address.parse().unwrap());
        let loopback = TrustedProxies::loopback();
        assert!(
            ["127.0.0.1", "127.9.9.9", "::1"]
                .iter()
                .all(|address| trusts(&loopback, address))
        );
        assert!(
            !["10.0.0.1", "::2", "192.0.2.1"]
                .iter()
                .any(|address| trusts(&loopback, address))
        );
        let private = TrustedProxies::private();
        for address in ["::1", "10.9.9.9", "172.16.0.1", "192.168.1.1", "fd00::1"] {
            assert!(trusts(&private, address), "{address}");
        }
        assert!(
            !["172.32.0.1", "192.169.0.1", "2001:db8::1"]
                .iter()
                .any(|address| trusts(&private, address))
        );
        assert!(!trusts(&TrustedProxies::none(), "127.0.0.1"));
        assert_eq!(LOOPBACK.len() + PRIVATE.len(), private.networks.len());
    }
}
