//! A small HTTP/1.1 server for doubles, one request a connection, that can be told to misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// An answer: status and body.
pub(crate) type Answer = (u16, String);

/// How an endpoint misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It takes the request and never answers.
    Hang,
    /// It answers with bytes that are no HTTP.
    Noise,
    /// It answers with HTTP and a body that is no JSON.
    Garbage,
    /// It answers with JSON of another shape.
    OtherShape,
    /// It answers with this status.
    Status(u16),
    /// It breaks off in the middle of a body.
    Half,
    /// It sends body without end.
    Huge,
    /// It sends a head without end.
    HugeHead,
    /// It sends a byte now and then.
    Trickle,
    /// It closes at once.
    Close,
}

impl Fault {
    pub(crate) const ALL: [Self; 12] = [
        Self::Hang,
        Self::Noise,
        Self::Garbage,
        Self::OtherShape,
        Self::Status(429),
        Self::Status(500),
        Self::Status(403),
        Self::Half,
        Self::Huge,
        Self::HugeHead,
        Self::Trickle,
        Self::Close,
    ];
}

/// What endpoints do, and how often they were asked.
#[derive(Default)]
pub(crate) struct Endpoints {
    /// By method and beginning of the path: `GET /v1/kv/`.
    pub(crate) faults: Vec<(String, Fault)>,
    pub(crate) asked: BTreeMap<String, u64>,
}

/// A running server; it ends with the test.
pub(crate) struct Server {
    address: String,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// Listens on an address, port 0 for any.
    pub(crate) fn start(
        listen: &str,
        endpoints: Arc<Mutex<Endpoints>>,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(listen).unwrap_or_else(|error| panic!("{listen}: {error}"));
        let address = listener.local_addr().unwrap().to_string();
        let ended = Arc::new(AtomicBool::new(false));
        let (handler, over) = (Arc::new(handler), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (handler, endpoints, over) = (Arc::clone(&handler), Arc::clone(&endpoints), Arc::clone(&over));
                std::thread::spawn(move || serve(stream.unwrap(), &endpoints, &*handler, &over));
            }
        });
        Self { address, ended }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(&self.address);
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(':') {
            Some((name, value)) => drop(headers.insert(name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}

fn serve(mut stream: TcpStream, endpoints: &Mutex<Endpoints>, handler: &dyn Fn(&Request) -> Answer, over: &AtomicBool) {
    let Some(request) = read(&stream) else { return };
    let key = format!("{} {}", request.method, request.path);
    let fault = {
        let mut endpoints = endpoints.lock().unwrap();
        *endpoints.asked.entry(key.clone()).or_default() += 1;
        endpoints.faults.iter().find(|(prefix, _)| key.starts_with(prefix.as_str())).map(|(_, fault)| *fault)
    };
    // The client may have gone: that is its right.
    let _ = match fault {
        None => {
            let (status, body) = handler(&request);
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        }
        Some(fault) => misbehave(&mut stream, fault, over),
    };
}

fn misbehave(stream: &mut TcpStream, fault: Fault, over: &AtomicBool) -> std::io::Result<()> {
    let gone = || over.load(Ordering::Relaxed);
    match fault {
        Fault::Hang => {
            // Until the client has had enough.
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            let _ = stream.read(&mut [0]);
            Ok(())
        }
        Fault::Noise => stream.write_all(b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n"),
        Fault::Garbage => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"Jo\xff]\x00}"),
        Fault::OtherShape => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"a\":[1,{\"b\":null},\"c\",2]}")
        }
        Fault::Status(status) => write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 8\r\n\r\nnot now\n"),
        Fault::Half => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{\"ModifyIndex\":"),
        Fault::Huge => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
            while !gone() {
                stream.write_all(&chunk)?;
            }
            Ok(())
        }
        Fault::HugeHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            for number in 0.. {
                if gone() {
                    break;
                }
                write!(stream, "X-{number}: {}\r\n", "x".repeat(4096))?;
            }
            Ok(())
        }
        Fault::Trickle => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            while !gone() {
                stream.write_all(b" ")?;
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }
        Fault::Close => Ok(()),
    }
}
