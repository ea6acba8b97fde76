//! The flags that every command takes, and how a time is written.
//!
//! Below all commands, which read them; what commands there are is not known here.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::FalseyValueParser};

/// Flags every command takes; each has an environment variable, which the flag overrides.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The cluster file, instead of a context's
    #[arg(long, global = true, env = "BEZANT_CLUSTER", value_name = "FILE")]
    pub(crate) cluster: Option<PathBuf>,
    /// The context to use instead of the current one
    #[arg(long, global = true, env = "BEZANT_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The client's private key
    #[arg(long, global = true, env = "BEZANT_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// How long to wait for an answer, for example 500ms, 10s, 2m
    #[arg(
        long,
        global = true,
        env = "BEZANT_TIMEOUT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = duration
    )]
    pub(crate) timeout: Duration,
    /// How to print data
    #[arg(
        short,
        long,
        global = true,
        env = "BEZANT_OUTPUT",
        value_name = "FORMAT",
        value_enum,
        default_value_t = Format::Table
    )]
    pub(crate) output: Format,
    /// Print more; twice for the program's log
    #[arg(short, long, global = true, env = "BEZANT_VERBOSE", action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// No colours (also NO_COLOR)
    #[arg(
        long,
        global = true,
        env = "BEZANT_NO_COLOR",
        action = clap::ArgAction::SetTrue,
        value_parser = FalseyValueParser::new()
    )]
    pub(crate) no_color: bool,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// The bare data and nothing around it.
    Raw,
}

/// Parses `500ms`, `10s`, `2m`; a bare number is refused, so that nobody guesses the unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let wrong = || format!("{text:?} is not a time; write for example 500ms, 10s or 2m");
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    match number.checked_mul(unit_ms) {
        Some(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in [
            "",
            "10",
            "0s",
            "-1s",
            "s",
            "1.5s",
            "10 s",
            "99999999999999999h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
