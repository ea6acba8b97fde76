//! Calls the replicas' admin endpoints, and maps their errors to exit codes.

use bezant_lab::admin::{self, AdminError, Answer};
use serde_json::Value;

use crate::exit::{Exit, Failure};

fn failed(error: &AdminError, address: &str) -> Failure {
    Failure::error(error.to_string())
        .at(address)
        .next("check that the replica runs and that its node file names this admin address")
}

/// Sends one request to the admin endpoint at `address`.
pub(crate) async fn request(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Answer, Failure> {
    admin::request(address, method, path, body)
        .await
        .map_err(|error| failed(&error, address))
}

/// The status of the replica whose admin endpoint is at `address`, as its JSON: what a newer
/// replica says beyond what this program knows is shown too.
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

#[cfg(test)]
mod tests {
    use super::*;

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
