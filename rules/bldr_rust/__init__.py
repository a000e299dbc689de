"""Rust: crates by rustc."""
