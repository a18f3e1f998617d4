//! What holds for every file: modules say what they are, nothing points into one person's machine, and what the README shows is
//! what there is.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every file below a directory, but for what tools have put there.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_a_tools =
            name.starts_with("target") || name == "node_modules" || name == ".git" || name == ".tools";
        // In a worktree `.git` is a file.
        if is_a_tools {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn every_module_says_first_what_it_is() {
    let mut found = Vec::new();
    for part in ["crates", "examples", "tests"] {
        files(&root().join(part), &mut found);
    }
    let modules: Vec<_> = found
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect();
    assert!(modules.len() > 50, "{} modules", modules.len());
    for path in modules {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("//! "), "{} opens with `//!`", path.display());
    }
}

#[test]
fn no_file_points_into_one_persons_machine() {
    // Put together here, so that this file has none of them either.
    let places = ["home", "root", "Users", "work"].map(|name| format!("/{name}/"));
    let mut found = Vec::new();
    files(root(), &mut found);
    for path in found {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let place = places.iter().find(|place| points_to(line, place));
            assert_eq!(place, None, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

/// Whether an absolute path in this line begins so; the middle of a longer one, or of a URL, is something else.
fn points_to(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || "._-}/~".contains(before))
    })
}

#[test]
fn the_readme_shows_the_smallest_application_as_it_is() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown: Vec<_> = readme
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let application = fs::read_to_string(root().join("examples/hello/src/main.rs")).unwrap();
    assert_eq!(shown, [application]);
    assert!(shown[0].lines().count() <= 40, "it is the smallest");
}

#[test]
fn the_guide_to_migrating_shows_its_example_as_it_is() {
    let guide = fs::read_to_string(root().join("docs/migrating.md")).unwrap();
    let mut found = Vec::new();
    files(&root().join("examples/migrating/src"), &mut found);
    let example: Vec<_> = found
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let shown: Vec<_> = guide
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(shown.len() >= 6, "{} pieces", shown.len());
    for piece in shown {
        let is_there = example.iter().any(|file| file.contains(piece));
        assert!(is_there, "the example has no such lines:\n{piece}");
    }
}

#[test]
fn the_protocol_is_small_enough_for_a_client_of_150_lines() {
    let client = fs::read_to_string(root().join("examples/python-client/client.py")).unwrap();
    assert!(client.lines().count() <= 150, "{} lines", client.lines().count());
    for (number, line) in client.lines().enumerate() {
        assert!(line.chars().count() <= 100, "line {} is no line", number + 1);
    }
}
