//! A mirror on loopback for tests: it serves what a route says, well or badly, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a path is answered.
#[derive(Clone)]
pub(super) enum Answer {
    /// Well, with ranges.
    Good(Vec<u8>),
    /// The whole file whatever range was asked for.
    NoRanges(Vec<u8>),
    /// The first time only so many bytes of it, then the connection breaks; later well.
    Breaks(Vec<u8>, usize),
    /// This status so many times, then well.
    Fails(u16, usize, Vec<u8>),
    /// Never.
    Silent,
    /// Well, after this time.
    Slow(Vec<u8>, Duration),
}

/// A running server; its threads end with the test process.
pub(super) struct Server {
    pub(super) base: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `routes`, by path below the base.
    pub(super) fn start(routes: &[(&str, Answer)]) -> Self {
        let routes: BTreeMap<String, Answer> =
            routes.iter().map(|(path, answer)| (format!("/{path}"), answer.clone())).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (routes, kept) = (Arc::new(routes), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (routes, log) = (Arc::clone(&routes), Arc::clone(&kept));
                // A client may hang up whenever it likes.
                std::thread::spawn(move || drop(serve(stream, &routes, &log)));
            }
        });
        Self { base, log }
    }

    /// What was asked so far: `PATH` or `PATH bytes=N-`.
    pub(super) fn asked(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, routes: &BTreeMap<String, Answer>, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let asked = request.split(' ').nth(1).unwrap_or_default().to_owned();
    // A proxy is asked for whole addresses.
    let path = asked.strip_prefix("http://").and_then(|rest| Some(rest.split_at(rest.find('/')?).1.to_owned()));
    let path = path.unwrap_or_else(|| asked.clone());
    let range = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: ").map(str::to_owned));
    let before = {
        let mut log = log.lock().unwrap();
        let before = log.iter().filter(|earlier| earlier.split(' ').next() == Some(&asked)).count();
        log.push(range.as_ref().map_or(asked.clone(), |range| format!("{asked} {range}")));
        before
    };
    let start = range.and_then(|range| range.strip_prefix("bytes=")?.trim_end_matches('-').parse::<usize>().ok());
    match routes.get(&path) {
        None => head(&mut stream, 404, 0, ""),
        Some(Answer::Good(bytes)) => whole(&mut stream, bytes, start),
        Some(Answer::NoRanges(bytes)) => whole(&mut stream, bytes, None),
        Some(Answer::Breaks(bytes, end)) if before == 0 => {
            head(&mut stream, 200, bytes.len(), "")?;
            stream.write_all(&bytes[..*end])
        }
        Some(Answer::Breaks(bytes, _)) => whole(&mut stream, bytes, start),
        Some(Answer::Fails(status, times, _)) if before < *times => head(&mut stream, *status, 0, "retry-after: 0\r\n"),
        Some(Answer::Fails(.., bytes)) => whole(&mut stream, bytes, start),
        Some(Answer::Silent) => {
            // Until the client hangs up.
            let _ = stream.read(&mut [0]);
            Ok(())
        }
        Some(Answer::Slow(bytes, time)) => {
            std::thread::sleep(*time);
            whole(&mut stream, bytes, start)
        }
    }
}

fn head(stream: &mut TcpStream, status: u16, length: usize, extra: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n{extra}\r\n")
}

fn whole(stream: &mut TcpStream, bytes: &[u8], start: Option<usize>) -> std::io::Result<()> {
    match start {
        Some(start) if start >= bytes.len() => head(stream, 416, 0, ""),
        Some(start) => {
            let range = format!("content-range: bytes {start}-{}/{}\r\n", bytes.len() - 1, bytes.len());
            head(stream, 206, bytes.len() - start, &range)?;
            stream.write_all(&bytes[start..])
        }
        None => {
            head(stream, 200, bytes.len(), "")?;
            stream.write_all(bytes)
        }
    }
}
