//! What is asked for makes sense, or an error names what does not.

use super::*;

fn with(change: impl FnOnce(&mut NatsOptions)) -> NatsOptions {
    let mut options = NatsOptions::default();
    change(&mut options);
    options
}

#[test]
fn defaults_hold_together() {
    assert_eq!(NatsOptions::default().check(), Ok(()));
    assert_eq!(NatsOptions::default().stream_name(), "dualcast");
}

#[test]
fn a_prefix_is_segments_that_nobody_elses_subjects_have() {
    for prefix in ["a", "a.b-c.D_9", "log", "live.a"] {
        assert_eq!(with(|o| o.prefix = prefix.into()).check(), Ok(()), "{prefix}");
    }
    let long = "a".repeat(MAX_PREFIX_BYTES + 1);
    for prefix in [
        "", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "ä", "a\r\nb", "$JS", "a.live", "a.log.b", &long,
    ] {
        let refused = with(|o| o.prefix = prefix.into()).check();
        assert!(
            matches!(refused, Err(OptionsError::Prefix { .. })),
            "{prefix}: {refused:?}"
        );
    }
}

#[test]
fn two_prefixes_never_give_one_stream() {
    let prefixes = ["a.b", "a_b", "a_x2eb", "a_x5fx2eb", "a-b", "a_x5fb"];
    let names = prefixes.map(|prefix| with(|o| o.prefix = prefix.into()).stream_name());
    for (index, name) in names.iter().enumerate() {
        assert!(!names[..index].contains(name), "{name}");
        assert_eq!(check_stream_name(name), Ok(()));
    }
}

#[test]
fn a_streams_name_can_be_a_files() {
    for name in [
        "",
        "a.b",
        "a b",
        "a/b",
        "a*",
        &"a".repeat(MAX_STREAM_NAME_BYTES + 1),
    ] {
        let refused = with(|o| o.stream.name = Some(name.into())).check();
        assert!(matches!(refused, Err(OptionsError::StreamName { .. })), "{name}");
    }
}

#[test]
fn what_a_server_would_refuse_is_refused_before() {
    let broken = |change: fn(&mut NatsOptions)| match with(change).check() {
        Err(OptionsError::Value { setting, .. }) => setting,
        other => panic!("expected a setting, not {other:?}"),
    };
    assert_eq!(broken(|o| o.stream.replicas = 6), "stream.replicas");
    assert_eq!(broken(|o| o.stream.replicas = 0), "stream.replicas");
    assert_eq!(broken(|o| o.stream.max_age = Duration::ZERO), "stream.max_age");
    assert_eq!(broken(|o| o.stream.max_age = Duration::MAX), "stream.max_age");
    assert_eq!(broken(|o| o.stream.max_bytes = u64::MAX), "stream.max_bytes");
    assert_eq!(
        broken(|o| o.stream.max_age = Duration::from_secs(60)),
        "stream.duplicate_window"
    );
    assert_eq!(broken(|o| o.max_in_flight = 0), "max_in_flight");
    assert_eq!(with(|o| o.servers.clear()).check(), Err(OptionsError::NoServer));
}

#[test]
fn no_secret_is_shown() {
    for access in [
        Access::UserPassword {
            user: "anna".into(),
            password: "secret".into(),
        },
        Access::Token("secret".into()),
        Access::Nkey("secret".into()),
        Access::Credentials("secret".into()),
    ] {
        let shown = format!("{:?}", with(|o| o.access = access.clone()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
