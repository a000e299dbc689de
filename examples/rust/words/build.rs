//! Makes the stop words a table of the crate.

use std::{env, fs, path::Path};

fn main() {
    let text = fs::read_to_string("stop-words.txt").expect("stop-words.txt");
    let words: Vec<&str> = text.split_whitespace().collect();
    let table = format!("const STOP_WORDS: [&str; {}] = {:?};\n", words.len(), words);
    let out = env::var("OUT_DIR").expect("OUT_DIR");
    fs::write(Path::new(&out).join("table.rs"), table).expect("table.rs");
    println!("cargo:rustc-env=STOP_WORD_COUNT={}", words.len());
    if env::var("CARGO_CFG_UNIX").is_ok() {
        println!("cargo:rustc-cfg=has_lines");
    }
    println!("cargo:rerun-if-changed=stop-words.txt");
}
