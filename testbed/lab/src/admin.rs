//! The replicas' admin endpoints, over as little HTTP/1.1 as that needs.
//!
//! One request per connection, `connection: close`, and an answer of bounded
//! size. The endpoints are ours and speak plain HTTP on a loopback or operators'
//! network; a client library would be many times the code of this file.

use std::time::Duration;

use bezant_node::NodeStatus;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;

/// How long one request may take: the endpoint answers from memory.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The answer of an admin endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status code.
    pub code: u16,
    /// The body.
    pub body: String,
}

/// Why an admin endpoint gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Nobody listens there, or the connection broke.
    #[error("the admin endpoint cannot be reached: {0}")]
    Unreachable(#[from] std::io::Error),
    /// Nothing came for three seconds.
    #[error("the admin endpoint did not answer in time")]
    TimedOut,
    /// What came is not HTTP.
    #[error("the admin endpoint's answer is not HTTP")]
    NotHttp,
    /// It answered something else than was asked for.
    #[error("the admin endpoint answered {0}")]
    Answered(u16),
}

/// Sends one request to the admin endpoint at `address`.
///
/// # Errors
/// [`AdminError`]; every HTTP status code is an answer.
pub async fn request(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Answer, AdminError> {
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
    let bytes = tokio::time::timeout(TIMEOUT, exchange)
        .await
        .map_err(|_| AdminError::TimedOut)??;
    parse(&bytes).ok_or(AdminError::NotHttp)
}

/// What the replica whose admin endpoint is at `address` says of itself.
///
/// # Errors
/// [`AdminError`].
pub async fn status(address: &str) -> Result<NodeStatus, AdminError> {
    let answer = request(address, "GET", "/status", "").await?;
    match (answer.code, serde_json::from_str(&answer.body)) {
        (200, Ok(status)) => Ok(status),
        (code, _) => Err(AdminError::Answered(code)),
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
}
