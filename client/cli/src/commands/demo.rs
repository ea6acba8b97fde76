//! `bezant demo [DIR]`: everything at once, on the files of a folder.
//!
//! What happens is bezant-lab's; here are the choice of the files, the progress
//! bar and the tables.

use std::path::{Path, PathBuf};

use bezant_lab::{
    bench::{Mode, Op},
    demo::{self, DemoError, Options, Progress, Report},
};
use clap::Args;
use ignore::WalkBuilder;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    connect,
    exit::{Exit, Failure},
    flags::Format,
    print::Printer,
};

/// Flags of `bezant demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder whose files are worked on; ignore files are honoured
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Workers that share the files
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Clients that contend for the counter and the queue
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=256))]
    contenders: u16,
    /// How long each of the four contests is measured
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
}

impl Demo {
    pub(crate) fn run(self, printer: &Printer) -> Result<Exit, Failure> {
        if !(0.1..=3600.0).contains(&self.seconds) {
            return Err(Failure::usage("the time makes no contest")
                .next("use between 0.1 and 3600 --seconds"));
        }
        let files = files(&self.dir, printer)?;
        let options = Options {
            files,
            folder: self.dir,
            workers: usize::from(self.workers),
            contenders: usize::from(self.contenders),
            contest_seconds: self.seconds,
        };
        let stage = Stage::new(printer);
        let bar = stage.bar.clone();
        let outcome = demo::run(&options, move |progress| stage.tell(progress));
        bar.finish_and_clear();
        let report = outcome.map_err(|error| failure_of(&error))?.report;
        print(&report, printer)?;
        if report.ok {
            return Ok(Exit::Ok);
        }
        Err(Failure::error(format!(
            "the demonstration did not go as it must: {} wrong results, disagreements {:?}",
            report.wrong, report.disagreements_by_replica
        ))
        .next("run it again with -vv and report what you see"))
    }
}

/// The regular files under `dir` that no ignore file excludes, in a stable order.
fn files(dir: &Path, printer: &Printer) -> Result<Vec<PathBuf>, Failure> {
    if !dir.is_dir() {
        return Err(Failure::usage(format!("{} is no folder", dir.display()))
            .next("name a folder with files: bezant demo DIR"));
    }
    let mut files = Vec::new();
    for entry in WalkBuilder::new(dir)
        .require_git(false)
        .sort_by_file_path(Path::cmp)
        .build()
    {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                files.push(entry.into_path());
            }
            Ok(_) => {}
            // A folder that may not be read is told and left out; the others are worked on.
            Err(error) => printer.note(&format!("left out: {error}")),
        }
    }
    if files.is_empty() {
        return Err(
            Failure::usage(format!("{} holds no files to work on", dir.display()))
                .next("name a folder with files: bezant demo DIR"),
        );
    }
    Ok(files)
}

/// The failure that `error` is.
fn failure_of(error: &DemoError) -> Failure {
    match error {
        DemoError::Lab(error) => super::dev::failure_of(error),
        DemoError::Client(error) => connect::failure_of(error),
        DemoError::Bench(error) => super::bench::failure_of(error),
        other => Failure::sentence(Exit::Error, &other.to_string()),
    }
}

/// Tells a person how it goes.
struct Stage {
    bar: ProgressBar,
    printer: Printer,
}

impl Stage {
    fn new(printer: &Printer) -> Self {
        let bar = if printer.shows_progress() {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{msg:28} {wide_bar} {pos}/{len} files") {
            bar.set_style(style);
        }
        Self {
            bar,
            printer: *printer,
        }
    }

    fn tell(&self, progress: Progress) {
        match progress {
            Progress::Started { replicas, liar } => self.say(&format!(
                "✔ {replicas} replicas ready; replica {liar} lies in every answer"
            )),
            Progress::Checked { done, of } => {
                self.bar.set_message("hashed and checked");
                self.bar.set_length(u64::try_from(of).unwrap_or(u64::MAX));
                self.bar
                    .set_position(u64::try_from(done).unwrap_or(u64::MAX));
            }
            Progress::Unreadable { file, why } => {
                self.say(&format!("cannot read {file}: {why}"));
            }
            Progress::Contest { op, mode } => {
                self.bar
                    .set_message(format!("contest: {}", contest(op, mode)));
                self.bar.tick();
            }
            _ => {}
        }
    }

    /// A line above the bar.
    fn say(&self, text: &str) {
        let printer = self.printer;
        self.bar.suspend(|| printer.note(text));
    }
}

fn contest(op: Op, mode: Mode) -> String {
    let what = match op {
        Op::Counter => "counter",
        Op::Queue => "queue",
        _ => "other",
    };
    match mode {
        Mode::Extension => format!("{what}, by extension"),
        _ => format!("{what}, by plain calls"),
    }
}

fn print(report: &Report, printer: &Printer) -> Result<(), Failure> {
    if matches!(printer.format, Format::Json | Format::Jsonl) {
        return printer.json(report);
    }
    if printer.format == Format::Raw {
        return printer.line(if report.ok { "ok" } else { "not ok" });
    }
    let told = |name: &str, value: String| vec![name.to_owned(), value];
    let disagreed = |(replica, count): (&u8, &u64)| format!("{count} by replica {replica}");
    let disagreements: Vec<String> = report
        .disagreements_by_replica
        .iter()
        .map(disagreed)
        .collect();
    let mut rows = vec![
        told("files checked", report.files.to_string()),
        told("bytes", report.bytes.to_string()),
        told("operations", report.operations.to_string()),
        told("a second", format!("{:.0}", report.ops_per_s)),
        told("p50", format!("{} µs", report.p50_us)),
        told("p99", format!("{} µs", report.p99_us)),
        told("disagreements", disagreements.join(", ")),
        told(
            "signed lies",
            format!("{}, each proven against f+1 replicas", report.evidence),
        ),
    ];
    let failed = [
        ("unreadable", report.unreadable),
        ("changed meanwhile", report.changed),
        ("wrong", report.wrong),
    ];
    let failed = failed.into_iter().filter(|(_, count)| *count > 0);
    rows.extend(failed.map(|(name, count)| told(name, count.to_string())));
    printer.table(&["work queue", ""], rows)?;
    printer.line("")?;
    let row = |name: &str, plain: f64, calls: f64, extension: f64, ext_calls: f64, ratio: f64| {
        vec![
            name.to_owned(),
            format!("{plain:.0}/s"),
            format!("{calls:.1}"),
            format!("{extension:.0}/s"),
            format!("{ext_calls:.1}"),
            format!("{ratio:.1}x"),
        ]
    };
    printer.table(
        &[
            "contended by all",
            "plain",
            "calls each",
            "extension",
            "calls each",
            "ratio",
        ],
        vec![
            row(
                "counter",
                report.counter_plain_per_s,
                report.counter_plain_calls_per_operation,
                report.counter_extension_per_s,
                report.counter_extension_calls_per_operation,
                report.counter_ratio,
            ),
            row(
                "queue",
                report.queue_plain_per_s,
                report.queue_plain_calls_per_operation,
                report.queue_extension_per_s,
                report.queue_extension_calls_per_operation,
                report.queue_ratio,
            ),
        ],
    )
}
