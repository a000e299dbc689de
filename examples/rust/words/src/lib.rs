//! Counts words.

mod count;

pub use count::{count, Counts};
use shout::Shout;

#[cfg(feature = "stop-words")]
include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// How many words count for nothing.
pub const STOP_WORD_COUNT: &str = env!("STOP_WORD_COUNT");

/// What a program says at its end.
#[derive(Shout)]
pub struct Done;

#[cfg(feature = "stop-words")]
fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_known_in_any_case() {
        assert!(is_stop_word("The") && !is_stop_word("rain"));
        assert_eq!(STOP_WORD_COUNT, STOP_WORDS.len().to_string());
    }

    #[test]
    fn a_derived_method_says_its_name() {
        assert_eq!(Done.shout(), "DONE!");
    }
}
