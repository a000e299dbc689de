use crate::is_stop_word;

/// Lines, words and stop words of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts {
    pub lines: usize,
    pub words: usize,
    pub stop_words: usize,
}

pub fn count(text: &str) -> Counts {
    Counts {
        lines: if cfg!(has_lines) { text.lines().count() } else { 0 },
        words: text.split_whitespace().count(),
        stop_words: text.split_whitespace().filter(|word| is_stop_word(word)).count(),
    }
}
