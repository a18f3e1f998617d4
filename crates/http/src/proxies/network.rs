//! Networks: an address and how many of its bits count (RFC 4632 section 3.1, RFC 4291 section 2.3).

use std::net::IpAddr;
use std::str::FromStr;

/// A network: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    bits: u128,
    width: u32,
    prefix: u32,
}

/// Not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a network: expected an address, or an address, a slash and the number of bits that count"
)]
pub struct NetworkError(String);

impl Network {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let (bits, width) = bits(address);
        width == self.width && is_equal_up_to(self.prefix, self.bits, bits, width)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.into());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let (bits, width) = bits(address.parse().map_err(|_| error())?);
        let prefix = match prefix {
            Some(prefix) if prefix.bytes().all(|b| b.is_ascii_digit()) => {
                prefix.parse().map_err(|_| error())?
            }
            Some(_) => return Err(error()),
            None => width,
        };
        if prefix > width {
            return Err(error());
        }
        Ok(Self { bits, width, prefix })
    }
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

fn is_equal_up_to(prefix: u32, one: u128, other: u128, width: u32) -> bool {
    // Shifting all 128 bits out is None: then none of them counts.
    (one ^ other).checked_shr(width - prefix).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network
            .parse::<Network>()
            .unwrap()
            .contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("172.16.0.0/12", "172.31.255.255") && !contains("172.16.0.0/12", "172.32.0.0"));
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.6"));
        assert!(
            contains("192.0.2.7/24", "192.0.2.9"),
            "what doesn't count may be anything"
        );
        assert!(contains("fc00::/7", "fdff::1") && !contains("fc00::/7", "fe00::1"));
        assert!(contains("2001:db8::1", "2001:db8::1") && !contains("2001:db8::1", "2001:db8::2"));
        assert!(contains("0.0.0.0/0", "192.0.2.1") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("::/0", "2001:db8::1") && !contains("::/0", "192.0.2.1"));
    }

    #[test]
    fn what_is_no_network_is_refused_by_name() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "::/129",
            "example.com",
            "fe80::1%eth0",
            "10.0.0.0/99999999999",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError(text.into())), "{text}");
        }
    }
}
