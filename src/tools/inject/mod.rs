//! `inject` and `uninject`: manifests on stdin, the same with (or without) the sidecar on stdout.
//!
//! Manifests are edited in their text and not written anew, so all that is not the sidecar stays as it is: order,
//! quotes, numbers, comments. Always true: `inject | uninject` gives the input back, byte by byte; both checked
//! before anything is written. On an error nothing is written.
//!
//! `tree` and `json` read, `workload` finds pod templates, `sidecar` says what is put there, `edit` puts it.

mod edit;
mod json;
mod sidecar;
mod template;
mod tree;
mod value;
mod workload;

use std::io::{Read, Write};
use std::process::ExitCode;

use super::usage;
use crate::app::AppError;
use crate::cli;
pub use sidecar::Settings;
use tree::Node;

/// Puts the sidecar into each pod template.
///
/// # Errors
/// When a flag or a document cannot be used.
pub fn main(args: &cli::Inject) -> Result<ExitCode, AppError> {
    let settings = Settings::from_cli(args).map_err(|(flag, problem)| usage(flag, problem))?;
    run(|text| inject(text, &settings))
}

/// Takes the sidecar out of each pod template.
///
/// # Errors
/// When a document cannot be used.
pub fn undo() -> Result<ExitCode, AppError> {
    run(|text| uninject(text).map(|text| (text, Vec::new())))
}

/// The manifests with the sidecar, and what to tell about templates that were left as they are.
///
/// # Errors
/// One line: which document, and what is wrong.
pub fn inject(text: &str, settings: &Settings) -> Result<(String, Vec<String>), String> {
    // What an earlier run put there in another way goes first, so that the result does not depend on it.
    let mut edits = Vec::new();
    let documents = read(text)?;
    for template in workload::templates(&documents)? {
        template::refresh(text, &template, settings, &mut edits).map_err(|why| format!("{}: {why}", template.place))?;
    }
    let clean = edit::apply(text, edits);
    let (documents, mut edits, mut notes) = (read(&clean)?, Vec::new(), Vec::new());
    for template in workload::templates(&documents)? {
        let note = template::put(&clean, &template, settings, &mut edits);
        notes.extend(
            note.map_err(|why| format!("{}: {why}", template.place))?.map(|n| format!("{}: {n}", template.place)),
        );
    }
    let done = edit::apply(&clean, edits);
    proved(&clean, &documents, &done)?;
    Ok((done, notes))
}

/// The manifests without the sidecar.
///
/// # Errors
/// One line: which document, and what is wrong.
pub fn uninject(text: &str) -> Result<String, String> {
    let (documents, mut edits) = (read(text)?, Vec::new());
    for template in workload::templates(&documents)? {
        template::take(text, &template, &mut edits).map_err(|why| format!("{}: {why}", template.place))?;
    }
    Ok(edit::apply(text, edits))
}

/// That `after` is `before` and the sidecar, and nothing else: YAML has more layouts than anyone thinks of.
fn proved(before: &str, documents: &[Node], after: &str) -> Result<(), String> {
    let refused = |number: usize| {
        format!(
            "document {number}: its layout cannot be edited: write it as kubectl does (kubectl apply --dry-run=client -o yaml)"
        )
    };
    let injected = read(after).map_err(|_| refused(1))?;
    if let Some(wrong) = documents.iter().zip(&injected).position(|(old, new)| !template::only_added(old, new)) {
        return Err(refused(wrong + 1));
    }
    match documents.len() == injected.len() && uninject(after) == uninject(before) {
        true => Ok(()),
        false => Err(refused(documents.len())),
    }
}

fn read(text: &str) -> Result<Vec<Node>, String> {
    match json::documents(text) {
        Some(documents) => Ok(documents),
        None => tree::yaml(text).map_err(|(number, why)| format!("document {number}: is neither YAML nor JSON: {why}")),
    }
}

fn run(work: impl FnOnce(&str) -> Result<(String, Vec<String>), String>) -> Result<ExitCode, AppError> {
    let failed = |what: &str, cause| AppError::System {
        what: what.into(),
        cause,
        remedy: "run it in a pipe or with redirection",
    };
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|cause| failed("stdin", cause))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        usage("stdin", format!("is not UTF-8 at byte {}: give YAML or JSON", error.utf8_error().valid_up_to()))
    })?;
    let (text, notes) = work(&text).map_err(|why| usage("stdin", why))?;
    for note in notes {
        eprintln!("udp-proxy: {note}");
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|cause| failed("stdout", cause))?;
    Ok(ExitCode::SUCCESS)
}
