//! Requests: over a connection of HTTP/2, with the `h2` crate, a table of headers that grows and the windows of Chromium; and over one of
//! HTTP/1.1 that is kept alive.

use std::future::poll_fn;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::client::Asked;
use super::endpoint::{Endpoint, Io};
use super::manners::{Headers, Kind, Manners};
use super::socket::{Socket, Traffic};
use crate::load::{PATIENCE, answer_length, handshake};

/// A connection of HTTP/2.
pub(crate) struct Http2 {
    requests: SendRequest<Bytes>,
    driver: AbortHandle,
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Http2 {
    /// Connects, for as many streams as the server allows.
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<(Self, Arc<Traffic>)> {
        let socket = Socket::connect(endpoint.address).await?;
        let traffic = socket.traffic();
        let io = endpoint
            .speak_over(socket, endpoint.connector(true).as_ref())
            .await?;
        Ok((Self::over(io).await?, traffic))
    }

    pub(crate) async fn over(io: Box<dyn Io>) -> Result<Self> {
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(6 << 20)
            .initial_connection_window_size(15 << 20)
            .enable_push(false);
        let (requests, connection) = builder.handshake(io).await?;
        let driver = tokio::spawn(async move {
            // However it ends, its streams say so.
            drop(connection.await);
        });
        Ok(Self {
            requests,
            driver: driver.abort_handle(),
        })
    }

    /// Opens an event stream.
    pub(crate) async fn stream(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<RecvStream> {
        let mut headers = handshake::headers(asked.transport, asked.cursor);
        headers.extend(asked.manners.headers(Kind::Stream, &endpoint.origin(), true));
        let (status, stream) = self
            .send(endpoint, Method::GET, asked.path, &headers, None)
            .await?;
        ensure!(status == StatusCode::OK, "the server answered {status}");
        Ok(stream)
    }

    /// Sends a POST, and answers what comes back.
    pub(crate) async fn post(&self, endpoint: &Endpoint, post: &Post<'_>) -> Result<Vec<u8>> {
        let headers = post.headers(endpoint, true);
        let body = Bytes::copy_from_slice(post.body);
        let (status, mut stream) = self
            .send(endpoint, Method::POST, post.path, &headers, Some(body))
            .await?;
        let mut answer = Vec::new();
        while let Some(piece) = stream.data().await {
            let piece = piece?;
            stream.flow_control().release_capacity(piece.len())?;
            answer.extend_from_slice(&piece);
        }
        ensure!(status.is_success(), "the server answered {status}");
        Ok(answer)
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        method: Method,
        path: &str,
        headers: &Headers,
        body: Option<Bytes>,
    ) -> Result<(StatusCode, RecvStream)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", endpoint.origin()));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut requests = self.requests.clone().ready().await?;
        let (response, mut send) = requests.send_request(request.body(())?, body.is_none())?;
        if let Some(body) = body {
            send.reserve_capacity(body.len());
            // What is sent here fits into the window that a stream begins with.
            while send.capacity() < body.len() {
                poll_fn(|cx| send.poll_capacity(cx))
                    .await
                    .context("the stream is over")??;
            }
            send.send_data(body, true)?;
        }
        let (head, stream) = response.await?.into_parts();
        Ok((head.status, stream))
    }
}

/// A request that brings something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Post<'a> {
    pub(crate) path: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) manners: Manners,
}

impl Post<'_> {
    /// A text for all who follow.
    pub(crate) fn text<'a>(path: &'a str, text: &'a str) -> Post<'a> {
        Post {
            path,
            content_type: "text/plain",
            body: text.as_bytes(),
            manners: Manners::Bare,
        }
    }

    fn headers(&self, endpoint: &Endpoint, is_http2: bool) -> Headers {
        let mut headers = vec![
            ("content-type".into(), self.content_type.into()),
            ("content-length".into(), self.body.len().to_string()),
        ];
        headers.extend(self.manners.headers(Kind::Post, &endpoint.origin(), is_http2));
        headers
    }
}

/// A connection of HTTP/1.1 that is kept alive, for one request after another.
pub(crate) struct Http1 {
    endpoint: Endpoint,
    io: Box<dyn Io>,
    traffic: Arc<Traffic>,
    buffer: Vec<u8>,
}

impl Http1 {
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Self> {
        let socket = Socket::connect(endpoint.address).await?;
        let traffic = socket.traffic();
        let io = endpoint
            .speak_over(socket, endpoint.connector(false).as_ref())
            .await?;
        Ok(Self {
            endpoint: endpoint.clone(),
            io,
            traffic,
            buffer: Vec::new(),
        })
    }

    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    pub(crate) async fn post(&mut self, post: &Post<'_>) -> Result<()> {
        let mut request = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\n",
            post.path, self.endpoint.address
        );
        for (name, value) in post.headers(&self.endpoint, false) {
            request = format!("{request}{name}: {value}\r\n");
        }
        let mut request = (request + "\r\n").into_bytes();
        request.extend_from_slice(post.body);
        self.io.write_all(&request).await?;
        self.io.flush().await?;
        let answered = async {
            loop {
                if let Some(length) = answer_length(&self.buffer)? {
                    self.buffer.drain(..length);
                    return Ok(());
                }
                let mut piece = [0; 4 << 10];
                let read = self.io.read(&mut piece).await?;
                ensure!(read > 0, "the server closed the connection before it answered");
                self.buffer.extend_from_slice(&piece[..read]);
            }
        };
        timeout(PATIENCE, answered)
            .await
            .context("nothing happens any more: no answer comes")?
    }
}
