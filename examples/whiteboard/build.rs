//! Lists the files below `page/`, so that each is in the binary and none is forgotten: `FILES`, sorted, each with its path below that.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = Path::new("page");
    // By which cargo is told.
    #[allow(clippy::print_stdout)]
    {
        println!("cargo::rerun-if-changed=page");
    }
    let mut files = Vec::new();
    collect(page, &mut files)?;
    let mut names = Vec::new();
    for file in files {
        let name = file.strip_prefix(page)?.to_str().ok_or("its name is text")?;
        names.push((name.replace('\\', "/"), fs::canonicalize(&file)?));
    }
    names.sort();
    let mut list = String::from("const FILES: &[(&str, &[u8])] = &[\n");
    for (name, file) in names {
        writeln!(list, "    ({name:?}, include_bytes!({file:?})),")?;
    }
    list.push_str("];\n");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("page.rs");
    fs::write(out, list)?;
    Ok(())
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
