//! Origins: a list's entry, an `Origin` header and a host, against a reading from the other end.

use axum::http::{HeaderValue, Request, header};
use dualcast::OriginPolicy;

/// Three lines: an entry of a list, an origin, a host. What passes is, to another reader, the host or below the entry's.
///
/// # Panics
///
/// Where that doesn't hold.
pub fn origin(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or(b"");
    let (entry, origin, host) = (line(), line(), line());
    let header = |line| HeaderValue::from_bytes(line).ok();
    let (Some(origin), Some(host)) = (header(origin), header(host)) else {
        return;
    };
    let is_let_in = |policy: &OriginPolicy, origins: &[&HeaderValue]| {
        let mut request = Request::new(());
        request.headers_mut().insert(header::HOST, host.clone());
        for origin in origins {
            request.headers_mut().append(header::ORIGIN, (*origin).clone());
        }
        match policy.check(&request.into_parts().0) {
            Ok(()) => true,
            Err(refused) => {
                assert!(refused.to_string().len() < 8_000, "an answer stays small");
                false
            }
        }
    };

    let own = OriginPolicy::same_origin();
    if is_let_in(&own, &[&origin]) {
        let (scheme, place) = read(origin.as_bytes()).expect("an origin");
        assert!(scheme == "http" || scheme == "https", "{scheme}");
        assert_eq!(place, with_port(&scheme, host.as_bytes()));
    }
    assert!(!is_let_in(&own, &[&origin, &origin]), "said twice");

    let Some(policy) = std::str::from_utf8(entry)
        .ok()
        .and_then(|entry| OriginPolicy::only([entry]).ok())
    else {
        return;
    };
    if is_let_in(&policy, &[&origin]) {
        let (scheme, place) = read(origin.as_bytes()).expect("an origin");
        let entry = String::from_utf8_lossy(entry);
        let (listed_scheme, listed) = entry.split_once("://").expect("an entry is one, too");
        assert_eq!(scheme, listed_scheme.to_ascii_lowercase());
        match listed.strip_prefix("*.") {
            Some(domain) => {
                let domain = with_port(&scheme, domain.as_bytes());
                let rest = place.strip_suffix(&domain).expect("below the domain");
                assert!(
                    rest.len() > 1 && rest.ends_with('.'),
                    "{place} is not below {domain}"
                );
                assert!(
                    rest.bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                );
            }
            None => assert_eq!(place, with_port(&scheme, listed.as_bytes())),
        }
    }
}

fn read(origin: &[u8]) -> Option<(String, String)> {
    let origin = std::str::from_utf8(origin).ok()?;
    let (scheme, place) = origin.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let place = with_port(&scheme, place.as_bytes());
    Some((scheme, place))
}

/// A host with its port, in the one way that both can be written.
fn with_port(scheme: &str, place: &[u8]) -> String {
    let place = String::from_utf8_lossy(place).to_ascii_lowercase();
    let has_port = place
        .rsplit_once(':')
        .is_some_and(|(host, port)| !port.ends_with(']') && (!host.starts_with('[') || host.ends_with(']')));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if has_port => (host, port.trim_start_matches('0')),
        _ => match scheme {
            "http" => (&*place, "80"),
            "https" => (&*place, "443"),
            _ => (&*place, ""),
        },
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let v6 = v6.and_then(|host| host.parse::<std::net::Ipv6Addr>().ok());
    let host = v6.map_or_else(|| host.to_owned(), |host| format!("[{host}]"));
    format!("{host}:{port}")
}
