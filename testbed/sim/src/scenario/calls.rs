//! Calls and answers as a script spells them.

use bezant_api::{Answer, Call};
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Lease, Operation, Outcome, SpaceName};

use crate::options::{MS, SECOND};

/// Reads a call: a word, a space, templates and tuples.
pub(super) fn parse(text: &str) -> Result<Call, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "list" => return Ok(Call::ListSpaces),
        "create" => return Ok(Call::CreateSpace { space: name(rest)? }),
        "cancel" => {
            let number = rest.parse();
            let number = number.map_err(|_| format!("{rest:?} is no request's number"))?;
            return Ok(Call::Cancel { number });
        }
        _ => {}
    }
    let (space, fields) = rest.split_once(' ').unwrap_or((rest, ""));
    let times = times(fields)?;
    let fields = groups(fields);
    let operation = operation(word, &fields, times)?;
    Ok(Call::Space {
        space: name(space)?,
        operation,
    })
}

/// How long a tuple stays, or a call waits.
#[derive(Clone, Copy)]
struct Times {
    lease: Lease,
    within_ms: Option<u64>,
}

/// What stands behind the last parenthesis: `lease 5s` or `within 5s`.
fn times(fields: &str) -> Result<Times, String> {
    let mut times = Times {
        lease: Lease::Forever,
        within_ms: None,
    };
    let (_, behind) = fields.rsplit_once(')').unwrap_or_default();
    let words: Vec<&str> = behind.split_whitespace().collect();
    let ms = |text: &str| {
        let ms = duration(text)? / 1000;
        u64::try_from(ms).map_err(|_| format!("{text:?} is over"))
    };
    match words.as_slice() {
        [] => {}
        ["lease", time] => times.lease = Lease::Ms(ms(time)?),
        ["within", time] => times.within_ms = Some(ms(time)?),
        other => {
            return Err(format!(
                "\"{}\" behind a call says nothing",
                other.join(" ")
            ));
        }
    }
    Ok(times)
}

fn operation(word: &str, fields: &[&str], times: Times) -> Result<Operation, String> {
    let Times { lease, within_ms } = times;
    let one = || only(fields).and_then(template);
    let limit = 10;
    Ok(match word {
        "out" => Operation::Out {
            tuple: only(fields).and_then(tuple)?,
            lease,
        },
        "rdp" => Operation::Rdp { template: one()? },
        "inp" => Operation::Inp { template: one()? },
        "rd" => Operation::Rd {
            template: one()?,
            within_ms,
        },
        "in" => Operation::In {
            template: one()?,
            within_ms,
        },
        "count" => Operation::Count { template: one()? },
        "inall" => Operation::InAll {
            template: one()?,
            limit,
        },
        "rdall" => Operation::RdAll {
            template: one()?,
            limit,
            after: None,
        },
        "cas" | "replace" => {
            let [first, second] = fields else {
                return Err(format!("{word} needs a template and a tuple"));
            };
            let (template, tuple) = (template(first)?, tuple(second)?);
            if word == "cas" {
                Operation::Cas {
                    template,
                    tuple,
                    lease: Lease::Forever,
                }
            } else {
                Operation::Replace {
                    template,
                    tuple,
                    lease: Lease::Forever,
                }
            }
        }
        other => return Err(format!("{other:?} is no call")),
    })
}

/// A time in microseconds: `500ms`, `20s`, with a sign or without.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no time; write for example 500ms or 20s");
    let (amount, unit_us) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(amount), _) => (amount, MS),
        (None, Some(amount)) => (amount, SECOND),
        (None, None) => return Err(wrong()),
    };
    let amount: i64 = amount.parse().map_err(|_| wrong())?;
    let unit_us = i64::try_from(unit_us).map_err(|_| wrong())?;
    amount.checked_mul(unit_us).ok_or_else(wrong)
}

fn only<'t>(fields: &[&'t str]) -> Result<&'t str, String> {
    match fields {
        [one] => Ok(one),
        _ => Err(format!(
            "one pair of parentheses is needed, not {}",
            fields.len()
        )),
    }
}

fn name(text: &str) -> Result<SpaceName, String> {
    SpaceName::new(text).map_err(|error| format!("{text:?} names no space: {error}"))
}

fn tuple(text: &str) -> Result<Tuple, String> {
    let tuple = text.parse();
    tuple.map_err(|error| format!("{text} is no tuple: {error}"))
}

fn template(text: &str) -> Result<Template, String> {
    let template = text.parse();
    template.map_err(|error| format!("{text} is no template: {error}"))
}

/// What stands between outer parentheses, with them.
fn groups(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut groups) = (0_u32, 0, Vec::new());
    for (at, sign) in text.char_indices() {
        match sign {
            '(' => {
                if depth == 0 {
                    from = at;
                }
                depth += 1;
            }
            ')' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    groups.push(&text[from..=at]);
                }
            }
            _ => {}
        }
    }
    groups
}

/// How a script spells a call.
pub(super) fn describe(call: &Call) -> String {
    let Call::Space { space, operation } = call else {
        return match call {
            Call::OpenSession { .. } => "opens a session".to_owned(),
            Call::ListSpaces => "list".to_owned(),
            Call::CreateSpace { space } => format!("create {space}"),
            Call::KeepAlive => "keep alive".to_owned(),
            Call::Cancel { number } => format!("cancel {number}"),
            other => format!("{other:?}"),
        };
    };
    match operation {
        Operation::Out { tuple, .. } => format!("out {space} {tuple}"),
        Operation::OutTo {
            tuple, audience, ..
        } => format!("out {space} {tuple} for {audience:?}"),
        Operation::Rdp { template } => format!("rdp {space} {template}"),
        Operation::Renew { template, lease_ms } => format!("renew {space} {template} {lease_ms}ms"),
        Operation::Inp { template } => format!("inp {space} {template}"),
        Operation::Rd { template, .. } => format!("rd {space} {template}"),
        Operation::In { template, .. } => format!("in {space} {template}"),
        Operation::Count { template } => format!("count {space} {template}"),
        Operation::Watch {
            template, after, ..
        } => format!("watch {space} {template} after {after:?}"),
        Operation::Survey { template, .. } => format!("survey {space} {template}"),
        Operation::InAll { template, .. } => format!("inall {space} {template}"),
        Operation::RdAll { template, .. } => format!("rdall {space} {template}"),
        Operation::Cas {
            template, tuple, ..
        } => format!("cas {space} {template} {tuple}"),
        Operation::Replace {
            template, tuple, ..
        } => format!("replace {space} {template} {tuple}"),
    }
}

/// How a script spells an answer.
pub(super) fn answer(bytes: &[u8]) -> String {
    match Answer::decode(bytes) {
        Err(error) => format!("what is no answer: {error}"),
        Ok(Answer::Created) => "created".to_owned(),
        Ok(Answer::Cancelled(true)) => "cancelled".to_owned(),
        Ok(Answer::Cancelled(false)) => "did not wait".to_owned(),
        Ok(Answer::Spaces(names)) => {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            format!("spaces {}", names.join(" "))
        }
        Ok(Answer::Refused(refused)) => format!("refused: {refused}"),
        Ok(Answer::Outcome(Outcome::Done)) => "done".to_owned(),
        Ok(Answer::Outcome(Outcome::Match(None))) => "nothing".to_owned(),
        Ok(Answer::Outcome(Outcome::Match(Some(tuple)))) => tuple.to_string(),
        Ok(Answer::Outcome(Outcome::Count(count))) => format!("count {count}"),
        Ok(Answer::Outcome(Outcome::Page { tuples, .. })) => {
            let tuples: Vec<String> = tuples.iter().map(ToString::to_string).collect();
            format!("[{}]", tuples.join(" "))
        }
        Ok(other) => format!("{other:?}"),
    }
}
