use std::os::raw::c_int;

extern "C" {
    fn year_of_build() -> c_int;
}

fn main() {
    let path = std::env::args().nth(1).expect("usage: count FILE");
    let counts = words::count(&std::fs::read_to_string(path).expect("a text"));
    let year = unsafe { year_of_build() };
    println!("{} {} {} {} {}", counts.lines, counts.words, counts.stop_words, words::Done.shout(), year);
}
