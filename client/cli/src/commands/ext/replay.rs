//! `bezant ext replay`: what extensions did at one number of the log, step by step.

use bezant_codec::hex::to_hex;
use std::path::Path;

use bezant_api::{Answer, Call};
use bezant_bft::ids::SeqNo;
use bezant_kernel::Traced;
use bezant_node::{config::NodeConfig, replay};
use serde_json::{Value, json};

use crate::{
    exit::{Exit, Failure},
    print::Printer,
};

/// Executes a number again from the data of a replica that does not run.
pub(super) fn run(config: &Path, number: u64, printer: &Printer) -> Result<Exit, Failure> {
    let config = NodeConfig::load(config)?;
    let replayed = replay::replay(&config, SeqNo(number))
        .map_err(|error| Failure::sentence(Exit::Error, &error.to_string()))?;
    let requests = replayed.proposal.requests();
    if printer.is_json() {
        let calls: Vec<Value> = replayed.calls.iter().map(told).collect();
        printer.json(&json!({
            "op": "ext-replay",
            "number": number,
            "time_ms": replayed.proposal.time().0,
            "requests": requests.len(),
            "calls": calls,
        }))?;
        return Ok(Exit::Ok);
    }
    printer.line(&format!(
        "number {number}: {} requests, {} calls of extensions",
        requests.len(),
        replayed.calls.len()
    ))?;
    for request in requests {
        let request = request.request();
        let client = to_hex(&request.client.0);
        let client = client.get(..8).unwrap_or(&client);
        let asked = match Call::decode(&request.op) {
            Ok(Call::Space { space, operation }) => {
                format!("{} in {space}", operation.kind().name())
            }
            Ok(Call::Group(_)) => "a group".to_owned(),
            Ok(_) => "another call".to_owned(),
            Err(_) => "no call".to_owned(),
        };
        let number = request.number;
        let mut replies = replayed.replies.iter();
        let own = replies
            .find(|(_, reply)| (reply.session, reply.number) == (request.session, request.number));
        let answer = match own.map(|(_, reply)| Answer::decode(&reply.result)) {
            None => "waits, or was answered before",
            Some(Ok(Answer::Refused(_) | Answer::GroupRefused { .. })) => "refused",
            Some(Ok(_)) => "answered",
            Some(Err(_)) => "answered otherwise",
        };
        printer.line(&format!(
            "client {client}, session {}, request {number}: {asked}; {answer}",
            request.session
        ))?;
    }
    replayed
        .calls
        .iter()
        .try_for_each(|call| print(call, printer))?;
    Ok(Exit::Ok)
}

/// A call, a line each for how it began, every step with what it changed, and how it ended.
pub(super) fn print(call: &Traced, printer: &Printer) -> Result<(), Failure> {
    printer.line(&format!(
        "  {} {} runs {} {}",
        call.name, call.version, call.entry, call.cause
    ))?;
    for step in &call.steps {
        printer.line(&format!(
            "    [{} left] {} => {}",
            step.fuel_left, step.call, step.outcome
        ))?;
        let mut changes = step.changes.iter();
        changes.try_for_each(|change| printer.line(&format!("      {change}")))?;
    }
    let undone = if call.failed { ", all undone" } else { "" };
    printer.line(&format!("    {}{undone} [fuel {}]", call.ended, call.fuel))
}

fn told(call: &Traced) -> Value {
    let steps: Vec<Value> = call
        .steps
        .iter()
        .map(|step| {
            json!({
                "call": step.call,
                "outcome": step.outcome,
                "changes": step.changes,
                "fuel_left": step.fuel_left,
            })
        })
        .collect();
    json!({
        "hash": call.hash.to_string(),
        "name": call.name,
        "version": call.version,
        "entry": call.entry,
        "cause": call.cause,
        "steps": steps,
        "ended": call.ended,
        "failed": call.failed,
        "fuel": call.fuel,
    })
}
