//! `bezant ext logs`: what extensions said at each replica.
//!
//! What an extension logs is no part of the agreed state: a replica that was started later, or
//! took a state over, has other lines than the rest.

use serde_json::{Map, Value, json};

use super::super::status::{Admin, ask_all};
use crate::{
    admin,
    exit::{Exit, Failure},
    flags::{Format, Global},
    print::Printer,
    target::Target,
};

/// Shows the lines of one extension, or of all.
pub(super) async fn show(
    wanted: Option<&str>,
    endpoints: &Admin,
    global: &Global,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let addresses = endpoints.addresses(&Target::resolve(global)?)?;
    let replies = ask_all(&addresses).await;
    let mut known = false;
    for (replica, (address, reply)) in addresses.iter().zip(replies).enumerate() {
        let status = match reply {
            Ok(status) => status,
            Err(failure) => {
                printer.note(&format!("replica {replica} is silent: {}", failure.what));
                continue;
            }
        };
        let installed = status.get("extension_calls").and_then(Value::as_array);
        for extension in installed.into_iter().flatten() {
            let field = |name| extension.get(name).and_then(Value::as_str).unwrap_or("");
            let (name, hash) = (field("name"), field("hash"));
            if wanted.is_some_and(|wanted| wanted != name && wanted != hash) {
                continue;
            }
            known = true;
            let path = format!("/extensions/{hash}/lines");
            let answer = admin::request(address, "GET", &path, "").await?;
            admin::accepted(&answer, address)?;
            let lines: Vec<Map<String, Value>> = serde_json::from_str(&answer.body)
                .map_err(|error| Failure::error(error.to_string()).at(address))?;
            for line in lines {
                tell(replica, name, line, printer)?;
            }
        }
    }
    match wanted {
        Some(wanted) if !known => Err(Failure::error(format!(
            "no replica that answered has an extension {wanted}"
        ))
        .next("`bezant ext ls` lists them by name and hash")),
        _ => Ok(Exit::Ok),
    }
}

fn tell(
    replica: usize,
    name: &str,
    line: Map<String, Value>,
    printer: &Printer,
) -> Result<(), Failure> {
    if matches!(printer.format, Format::Json | Format::Jsonl) {
        let mut object = Map::from_iter([
            ("replica".to_owned(), json!(replica)),
            ("name".to_owned(), json!(name)),
        ]);
        object.extend(line);
        return printer.json(&object);
    }
    let sequence = line.get("sequence").and_then(Value::as_u64).unwrap_or(0);
    let text = line.get("text").and_then(Value::as_str).unwrap_or("");
    printer.line(&format!("{replica} {sequence} {name}: {text}"))
}
