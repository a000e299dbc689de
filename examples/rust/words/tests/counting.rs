use words::{count, Counts};

#[test]
fn a_text_is_counted() {
    let text = std::fs::read_to_string("words/tests/rain.txt").unwrap();
    assert_eq!(count(&text), Counts { lines: 2, words: 9, stop_words: 4 });
}

#[test]
fn nothing_has_no_words() {
    assert_eq!(count("").words, 0);
}
