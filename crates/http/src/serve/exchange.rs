//! Exchanges: a request on its way through the application, and what came of it. The same over both versions of HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, Version};
use bytes::Bytes;
use tower::ServiceExt;

use crate::serve::answer::Answer;
use crate::serve::caller::Caller;
use crate::serve::handle::ServerHandle;
use crate::serve::request_body::{self, Lateness};
use crate::serve::requests::{self, Requests};
use crate::serve::server::Server;
use crate::takeover::Takeover;

/// What the application answered.
pub(super) struct Exchange {
    pub(super) response: Response<Body>,
    /// Where it is a session's.
    pub(super) takeover: Option<Takeover>,
    version: Version,
    lateness: Lateness,
}

impl Exchange {
    /// Asks the application.
    pub(super) async fn begin<B>(
        server: &Arc<Server>,
        request: Request<B>,
        caller: Caller,
        requests: &Requests,
        hands_over: bool,
    ) -> Result<Self, Infallible>
    where
        B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    {
        let (parts, body) = request.into_parts();
        let version = parts.version;
        let (body, lateness) = request_body::within(body, server.options.body_timeout, requests);
        let mut request = Request::from_parts(parts, body);
        let extensions = request.extensions_mut();
        caller.introduce(extensions);
        extensions.insert(ServerHandle::new(Arc::clone(server), hands_over));
        let mut response = server.app.clone().oneshot(request).await?;
        Ok(Self {
            takeover: response.extensions_mut().remove(),
            response,
            version,
            lateness,
        })
    }

    /// The answer that leaves as it is, with what lasts as long as it does.
    pub(super) fn into_answer(
        self,
        server: &Arc<Server>,
        request: Option<requests::Request>,
    ) -> Response<Answer> {
        let session = self.takeover.as_ref().and_then(Takeover::session);
        let session = session.map(|session| server.list(session.clone()));
        let response = self.lateness.tell(self.response, self.version);
        response.map(|body| Answer::new(body, session, request))
    }
}
