//! `bezant export` and `bezant import`: a space's tuples as lines, out and in.
//!
//! A line is a tuple's JSON object as every command prints it; of it `text` alone
//! counts on the way in, since it has all kinds of values. Leases, ages and
//! access are the service's and do not travel.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use bezant_client::Client;
use bezant_tuple::{Field, Template, Tuple, limits::MAX_FIELDS};
use bezant_tuplespace::SpaceName;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    connect::{Service, failure_of},
    exit::{Exit, Failure},
    flags::{Format, Global},
    parse,
    print::Printer,
    values,
};

/// Tuples asked for at a time.
const PAGE: u32 = 1_000;

/// Tuples on their way at a time: a session has 64 requests open at most.
const UNDER_WAY: usize = 32;

/// Print the tuples of a space, a line each, for `import`
///
/// They come by number of fields and then oldest first, a page at a time: each page is what
/// was there at one moment, all of them together are not if others write meanwhile.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The space
    space: String,
    /// Only those that match
    template: Option<String>,
}

/// Insert the tuples of a file into a space, in its order
///
/// A line is what `export` prints, or a tuple as it is typed; empty ones are passed over. If
/// one cannot be read, nothing is put.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The space
    space: String,
    /// The file; - is standard input
    file: PathBuf,
}

impl Export {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let space = parse::space_name(&self.space)?;
        let templates = match &self.template {
            Some(text) => vec![parse::template(text)?],
            None => (0..=MAX_FIELDS).filter_map(anything).collect(),
        };
        let service = Service::connect(global).await?;
        let exported = export(service.client(), &space, templates, printer).await;
        service.close().await;
        let count = exported?;
        printer.note(&format!("{count} tuples"));
        Ok(if count > 0 { Exit::Ok } else { Exit::NoMatch })
    }
}

/// Matches every tuple of so many fields.
fn anything(fields: usize) -> Option<Template> {
    Template::new(vec![Field::Any; fields]).ok()
}

async fn export(
    client: &Client,
    space: &SpaceName,
    templates: Vec<Template>,
    printer: &Printer,
) -> Result<u64, Failure> {
    let mut count = 0;
    for template in templates {
        let mut after = None;
        loop {
            let page = client.rd_all(space.as_str(), template.clone(), PAGE, after);
            let page = page.await.map_err(|error| failure_of(&error))?.into_inner();
            for tuple in &page.tuples {
                match printer.format {
                    Format::Raw => printer.line(&tuple.to_string())?,
                    _ => printer.json_line(&Value::Object(values::tuple(tuple)))?,
                }
                count += 1;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(count)
}

impl Import {
    pub(crate) async fn run(self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        let space = parse::space_name(&self.space)?;
        let tuples = read(&self.file)?;
        let service = Service::connect(global).await?;
        let imported = import(service.client(), &space, tuples).await;
        service.close().await;
        let count = imported?;
        match printer.format {
            Format::Json | Format::Jsonl => printer.json(&json!({
                "op": "import",
                "space": space.as_str(),
                "count": count,
            }))?,
            Format::Raw => {}
            Format::Table => printer.line(&format!("ok  {count} tuples"))?,
        }
        Ok(Exit::Ok)
    }
}

/// All tuples of a file, before the first of them is put.
fn read(file: &Path) -> Result<Vec<Tuple>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::error(format!("{} cannot be read: {error}", file.display()))
            .next("check that it exists and may be read")
    };
    let from: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(
            std::fs::File::open(file).map_err(unreadable)?,
        ))
    };
    let mut tuples = Vec::new();
    for (line, number) in from.lines().zip(1_u64..) {
        let line = line.map_err(unreadable)?;
        if !line.trim().is_empty() {
            tuples.push(parsed(&line).map_err(|why| {
                Failure::usage(format!("line {number} is no tuple: {why}")).next(
                    "write a line as export prints it, or a tuple like (\"build\", 42); nothing was put",
                )
            })?);
        }
    }
    Ok(tuples)
}

fn parsed(line: &str) -> Result<Tuple, String> {
    let text = line.trim();
    if !text.starts_with('{') {
        return text.parse().map_err(|error| format!("{error}"));
    }
    let object: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match object.get("text").and_then(Value::as_str) {
        Some(text) => text.parse().map_err(|error| format!("{error}")),
        None => Err("it has no field \"text\"".to_owned()),
    }
}

/// Puts tuples in order: a session's requests are executed in the order they were made.
async fn import(client: &Client, space: &SpaceName, tuples: Vec<Tuple>) -> Result<usize, Failure> {
    let mut put = 0;
    for part in tuples.chunks(UNDER_WAY) {
        let outs: Vec<_> = part
            .iter()
            .map(|tuple| {
                let (client, space, tuple) = (client.clone(), space.clone(), tuple.clone());
                tokio::spawn(async move { client.out(space.as_str(), tuple).await })
            })
            .collect();
        for out in outs {
            let failed = |what: String| {
                Failure::error(format!("after {put} tuples, {what}")).next(format!(
                    "those are there, and up to {UNDER_WAY} more may be: look before you go on behind them"
                ))
            };
            match out.await {
                Ok(Ok(_)) => put += 1,
                Ok(Err(error)) => return Err(failed(error.to_string())),
                Err(error) => return Err(failed(error.to_string())),
            }
        }
    }
    Ok(put)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_export_prints_or_what_is_typed() {
        let tuple: Tuple = r#"("a", 1, 0x"ca", [nil])"#.parse().unwrap();
        let line = Value::Object(values::tuple(&tuple)).to_string();
        assert_eq!(parsed(&line), Ok(tuple.clone()));
        assert_eq!(parsed(r#"  ("a", 1, 0x"ca", [nil]) "#), Ok(tuple));
        for wrong in ["{}", "{", "(_)", "[1]", r#"{"tuple": [1]}"#] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
