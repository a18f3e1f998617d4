//! Health: what an orchestrator asks of a node.

use std::borrow::Cow;

/// How a hub is.
///
/// A node that lost its broker is degraded, and neither dead nor unready: its clients stay, and it goes on by itself. An orchestrator that
/// took it out of the balancer for that would take all nodes out at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it has loaded what it begins with, and its fan-out was seen to carry a message. Once, after the start: it stays so.
    pub is_ready: bool,
    /// Why it is not quite itself: what other nodes publish may come late. None when all is well.
    pub degraded: Option<Cow<'static, str>>,
}

impl Default for Health {
    /// Of a hub that needs nobody.
    fn default() -> Self {
        Self {
            is_ready: true,
            degraded: None,
        }
    }
}

impl Health {
    /// Not ready yet, for a reason.
    #[must_use]
    pub fn starting(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            is_ready: false,
            degraded: Some(why.into()),
        }
    }

    /// Ready, and not quite itself for a reason.
    #[must_use]
    pub fn degraded(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            is_ready: true,
            degraded: Some(why.into()),
        }
    }
}
