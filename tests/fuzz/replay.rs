//! Replays the corpus: whatever was found once is never found again.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use dualcast_fuzz::TARGETS;

/// A session runs in a task of its own, where a panic ends that task alone.
static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

#[test]
fn every_input_of_the_corpus_passes() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        HAS_PANICKED.store(true, Ordering::Relaxed);
        report(panicked);
    }));
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"));
    for (name, target) in TARGETS {
        let inputs: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().collect();
        assert!(inputs.len() > 5, "{name} has a corpus");
        for input in inputs {
            let path = input.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let outcome = panic::catch_unwind(|| target(&bytes));
            let is_fine = outcome.is_ok() && !HAS_PANICKED.load(Ordering::Relaxed);
            assert!(is_fine, "{name}: {}", path.file_name().unwrap().display());
        }
    }
}

#[test]
fn every_directory_of_the_corpus_is_a_targets() {
    let directories = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus")).unwrap();
    let directories = directories.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let targets = TARGETS.map(|(name, _)| name.to_owned());
    assert_eq!(directories.collect::<BTreeSet<_>>(), BTreeSet::from(targets));
}
