//! The replicas' admin endpoints, over as little HTTP/1.1 as that needs.
//!
//! One request per connection, `connection: close`, and an answer of bounded
//! size. The endpoints are ours and speak plain HTTP on a loopback or operators'
//! network; a client library would be many times the code of this file.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::exit::{Exit, Failure};

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;

/// How long one request may take: the endpoint answers from memory.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The answer of an admin endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status code.
    pub(crate) code: u16,
    /// The body.
    pub(crate) body: String,
}

/// Sends one request to the admin endpoint at `address`.
pub(crate) async fn request(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Answer, Failure> {
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut answer = Vec::new();
        stream
            .take(MAX_ANSWER_BYTES)
            .read_to_end(&mut answer)
            .await?;
        Ok::<_, std::io::Error>(answer)
    };
    let failed = |what: String| {
        Failure::error(what)
            .at(address)
            .next("check that the replica runs and that its node file names this admin address")
    };
    let bytes = match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            return Err(failed(format!(
                "the admin endpoint cannot be reached: {error}"
            )));
        }
        Err(_) => {
            return Err(failed(
                "the admin endpoint did not answer in time".to_owned(),
            ));
        }
    };
    parse(&bytes).ok_or_else(|| failed("the admin endpoint's answer is not HTTP".to_owned()))
}

/// The status of the replica whose admin endpoint is at `address`, as its JSON.
pub(crate) async fn status(address: &str) -> Result<Value, Failure> {
    let answer = request(address, "GET", "/status", "").await?;
    match (answer.code, serde_json::from_str(&answer.body)) {
        (200, Ok(value)) => Ok(value),
        (code, _) => Err(
            Failure::error(format!("the admin endpoint answered {code} to /status"))
                .at(address)
                .next("check that a bezant replica of this version listens there"),
        ),
    }
}

/// Refuses an answer other than success, in the endpoint's own words.
pub(crate) fn accepted(answer: &Answer, at: &str) -> Result<(), Failure> {
    match answer.code {
        200..=299 => Ok(()),
        403 => Err(Failure::new(Exit::Denied, "the replica allows no faults")
            .at(at)
            .next(
                "faults are for development: start it by bezant dev, or with allow_faults = true",
            )),
        code => Err(Failure::error(format!(
            "the admin endpoint answered {code}: {}",
            answer.body.trim()
        ))
        .at(at)),
    }
}

/// Parses a whole response: status line, headers, body.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut words = head.lines().next()?.split(' ');
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let code = words.next()?.parse().ok()?;
    Some(Answer {
        code,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_parsed_and_other_things_refused() {
        let answer = parse(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        assert_eq!((answer.code, answer.body.as_str()), (200, "{}"));
        assert_eq!(parse(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap().code, 403);
        for wrong in [
            "",
            "HTTP/1.1 200 OK",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_refused_fault_is_denied() {
        let answer = Answer {
            code: 403,
            body: String::new(),
        };
        let failure = accepted(&answer, "replica 2").unwrap_err();
        assert_eq!(failure.exit, Exit::Denied);
    }
}
