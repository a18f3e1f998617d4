//! What clients and proxies say of the way that a request came.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request};
use dualcast::{OriginPolicy, TrustedProxies, client_address};

/// A header that a client made up. Nobody believes it; and in front of what a trusted proxy adds, in the same line or in one of its
/// own, it doesn't make the client another.
///
/// # Panics
///
/// Where that doesn't hold.
pub fn forwarded(bytes: &[u8]) {
    let Ok(forged) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    for (name, proxies, added) in [
        ("x-forwarded-for", TrustedProxies::private(), CLIENT),
        (
            "forwarded",
            TrustedProxies::private().by_forwarded(),
            "for=192.0.2.1;host=a.example",
        ),
    ] {
        let stranger = request(STRANGER, &proxies, &[(name, forged.clone())]);
        assert_eq!(client_address(&stranger), Some(address(STRANGER)));

        let added = HeaderValue::from_static(added);
        let appended = [bytes, b", ", added.as_bytes()].concat();
        let appended = HeaderValue::from_bytes(&appended).expect("both are values");
        let one_line = client_address(&request(PROXY, &proxies, &[(name, appended)]));
        assert_eq!(one_line, Some(address(CLIENT)));

        let two_lines = request(PROXY, &proxies, &[(name, forged.clone()), (name, added)]);
        assert_eq!(client_address(&two_lines), Some(address(CLIENT)));
        let _ = OriginPolicy::same_origin().check(&two_lines);

        let alone = request(PROXY, &proxies, &[(name, forged.clone())]);
        assert!(client_address(&alone).is_some());
    }
    for name in ["x-forwarded-host", "x-forwarded-proto"] {
        let mut parts = request(PROXY, &TrustedProxies::private(), &[(name, forged.clone())]);
        let origin = HeaderValue::from_static("https://a.example");
        parts.headers.insert("origin", origin);
        parts.headers.insert("host", HeaderValue::from_static("backend"));
        let is_let_in = OriginPolicy::same_origin().check(&parts).is_ok();
        if is_let_in {
            let forged = String::from_utf8_lossy(bytes).to_ascii_lowercase();
            let last = forged.rsplit(',').next().unwrap_or("").trim();
            assert!(name == "x-forwarded-host" && matches!(last, "a.example" | "a.example:443"));
        }
    }
}

fn request(peer: &str, proxies: &TrustedProxies, headers: &[(&'static str, HeaderValue)]) -> Parts {
    let mut request = Request::new(());
    request
        .extensions_mut()
        .insert(ConnectInfo(SocketAddr::new(address(peer), 1)));
    request.extensions_mut().insert(proxies.clone());
    for (name, value) in headers {
        request.headers_mut().append(*name, value.clone());
    }
    request.into_parts().0
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

const CLIENT: &str = "192.0.2.1";
const PROXY: &str = "10.0.0.1";
const STRANGER: &str = "198.51.100.1";
