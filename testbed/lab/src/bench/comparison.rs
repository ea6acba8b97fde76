//! A recipe in all its forms, one after the other, and how they compare.

use std::path::PathBuf;

use bezant_client::ClusterView;
use serde::Serialize;

use super::{BenchError, Mode, Op, Options, Report, recipes, run, run_on_own_cluster};

/// What all forms of a recipe did. The names are stable.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The recipe.
    pub op: Op,
    /// Clients.
    pub clients: usize,
    /// By plain calls, as the paper's authors did.
    pub plain: Report,
    /// By plain calls, as well as we know, if that is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_plain: Option<Report>,
    /// Through an extension.
    pub extension: Report,
    /// Nothing but `inp`, each client of tuples of its own.
    pub bare_inp: Report,
    /// Operations a second of the extension against those of the plain form.
    pub ratio: f64,
    /// The same against the best plain form.
    pub ratio_best_plain: f64,
    /// The same against `inp` alone.
    pub ratio_bare_inp: f64,
    /// The median time of the plain form's operation against that of the extension's.
    pub ratio_latency: f64,
}

/// The same measurement in another form, in a space of its own: an extension is for a space.
fn form(options: &Options, op: Op, mode: Mode, name: &str) -> Options {
    Options {
        op,
        mode,
        space: format!("{}/{name}", options.space),
        ..options.clone()
    }
}

/// Compares on four replica processes for each form, started from `binary`.
///
/// # Errors
/// [`BenchError`], also for what is no recipe or has no extension.
pub async fn compare_on_own_clusters(
    binary: PathBuf,
    options: &Options,
) -> Result<Comparison, BenchError> {
    comparison(options, async |form| {
        run_on_own_cluster(binary.clone(), &form).await
    })
    .await
}

/// Compares on a running cluster.
///
/// # Errors
/// As of [`compare_on_own_clusters`].
pub async fn compare(view: &ClusterView, options: &Options) -> Result<Comparison, BenchError> {
    comparison(options, async |form| run(view, &form).await).await
}

async fn comparison(
    options: &Options,
    measure: impl AsyncFn(Options) -> Result<Report, BenchError>,
) -> Result<Comparison, BenchError> {
    let op = options.op;
    if !op.is_recipe() {
        return Err(BenchError::Options(
            "only recipes have more than one form; choose counter, queue, barrier or election",
        ));
    }
    let extension = form(options, op, Mode::Extension, "extension");
    recipes::check(&extension)?;
    let plain = measure(form(options, op, Mode::Plain, "plain")).await?;
    let best_plain = if recipes::has_best_plain(op) {
        Some(measure(form(options, op, Mode::BestPlain, "best-plain")).await?)
    } else {
        None
    };
    let extension = measure(extension).await?;
    let bare_inp = measure(form(options, Op::Inp, Mode::Plain, "inp")).await?;
    let against = |other: &Report| {
        if other.ops_per_s > 0.0 {
            extension.ops_per_s / other.ops_per_s
        } else {
            0.0
        }
    };
    let latency = |report: &Report| f64::from(u32::try_from(report.p50_us).unwrap_or(u32::MAX));
    Ok(Comparison {
        op,
        clients: options.clients,
        ratio: against(&plain),
        ratio_best_plain: against(best_plain.as_ref().unwrap_or(&plain)),
        ratio_bare_inp: against(&bare_inp),
        ratio_latency: latency(&plain) / latency(&extension).max(1.0),
        plain,
        best_plain,
        extension,
        bare_inp,
    })
}
