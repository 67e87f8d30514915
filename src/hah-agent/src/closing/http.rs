//! One HTTP/1.1 request: connected, sent and answered within its time, with an answer of bounded size.
//!
//! Plain HTTP to IP addresses only. The agents that are asked are the node's own, on the loopback interface, and
//! Prometheus speaks plain HTTP anyway. TLS would double the agent: rustls' providers that need no C do not cover ARMv6
//! or are not ready. A cluster that uses TLS keeps it between nodes (`tls { rpc = true, http = false }` in Nomad,
//! `ports { http = 8500, https = 8501 }` with `client_addr = "127.0.0.1"` in Consul).

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The largest answer that is read, in bytes: the allocations of a job that has failed a hundred times are half of it.
pub(crate) const BODY_MAX: usize = 1 << 20;
/// The largest head of an answer, in bytes.
const HEAD_MAX: usize = 32 << 10;

/// Where a program listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(SocketAddr);

/// Why a text is no [`Address`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum AddressError {
    #[error("`{0}`: the agent speaks plain HTTP only; keep an http listener on 127.0.0.1 beside https")]
    Tls(String),
    #[error("`{0}` is not an address of the form http://127.0.0.1:8500")]
    Form(String),
}

impl Address {
    /// Reads `http://IP:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        if text.starts_with("https:") {
            return Err(AddressError::Tls(text.to_owned()));
        }
        let authority = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let parsed = authority.and_then(|authority| match authority.strip_prefix("localhost:") {
            Some(port) => Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.parse().ok()?)),
            None => authority.parse().ok(),
        });
        parsed.map(Self).ok_or_else(|| AddressError::Form(text.to_owned()))
    }

    /// From an address and a port.
    pub(crate) fn new(address: IpAddr, port: u16) -> Self {
        Self(SocketAddr::new(address, port))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Call<'c> {
    pub(crate) method: Method,
    pub(crate) to: Address,
    /// Path and query.
    pub(crate) path: &'c str,
    /// Header and value.
    pub(crate) token: Option<(&'static str, &'c str)>,
    pub(crate) body: Vec<u8>,
    /// For all of it.
    pub(crate) within: Duration,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("it does not listen on {0}")]
    Refused(Address),
    #[error("cannot connect to {0}: {1}")]
    Connect(Address, io::Error),
    #[error("no answer from {0} in {1} s")]
    Slow(Address, u64),
    #[error("the answer of {0} is larger than {BODY_MAX} bytes")]
    Large(Address),
    #[error("{0} broke off: {1}")]
    Broken(Address, hyper::Error),
    #[error("the request makes no sense: {0}")]
    Request(#[from] hyper::http::Error),
}

/// Sends a request and reads its answer.
pub(crate) async fn send(call: Call<'_>) -> Result<Answer, Error> {
    let (to, within) = (call.to, call.within);
    tokio::time::timeout(within, exchange(call)).await.unwrap_or(Err(Error::Slow(to, within.as_secs())))
}

async fn exchange(call: Call<'_>) -> Result<Answer, Error> {
    let Call { method, to, path, token, body, .. } = call;
    let stream = TcpStream::connect(to.0).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::Refused(to),
        _ => Error::Connect(to, error),
    })?;
    let mut request = Request::builder().method(method).uri(path).header(HOST, to.to_string());
    // One request each: they are seconds apart, and a connection that is kept is one more thing to be half dead.
    request = request.header(CONNECTION, "close");
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some((name, value)) = token {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body)))?;

    let broken = |error| Error::Broken(to, error);
    let handshake = http1::Builder::new().max_buf_size(HEAD_MAX).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(broken)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let mut incoming = response.into_body();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            if let Ok(data) = frame.map_err(broken)?.into_data() {
                if body.len() + data.len() > BODY_MAX {
                    return Err(Error::Large(to));
                }
                body.extend_from_slice(&data);
            }
        }
        Ok(Answer { status, body })
    };
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut open = true;
    poll_fn(|context| {
        // Its failure is the exchange's too.
        open = open && connection.as_mut().poll(context).is_pending();
        exchange.as_mut().poll(context)
    })
    .await
}

/// A path segment, with everything escaped that is not plainly harmless (RFC 3986, unreserved).
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut path, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(path, "%{byte:02X}")),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parsed = |text: &str| Address::parse(text).map(|address| address.to_string());
        assert_eq!(parsed("http://127.0.0.1:8500").unwrap(), "127.0.0.1:8500");
        assert_eq!(parsed("http://localhost:4646/").unwrap(), "127.0.0.1:4646");
        assert_eq!(parsed("http://[::1]:8200").unwrap(), "[::1]:8200");
        assert!(parsed("https://127.0.0.1:8501").unwrap_err().to_string().contains("plain HTTP only"));
        for bad in ["127.0.0.1:8500", "http://consul.service.consul:8500", "http://127.0.0.1", "", "http://1.2.3.4:x"] {
            assert_eq!(parsed(bad), Err(AddressError::Form(bad.to_owned())));
        }
    }

    #[test]
    fn segments() {
        assert_eq!(segment("prometheus-2.1_x~"), "prometheus-2.1_x~");
        assert_eq!(segment("a/b ?ü"), "a%2Fb%20%3F%C3%BC");
    }
}
