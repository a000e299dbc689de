extern "C" {
    fn mean(numbers: *const f64, count: usize) -> f64;
}

fn main() {
    let numbers: Vec<f64> = std::env::args()
        .skip(1)
        .map(|word| word.parse().expect("a number"))
        .collect();
    let mean = unsafe { mean(numbers.as_ptr(), numbers.len()) };
    println!("{} {} {} {}", names::MEAN, mean, names::MEDIAN, median::median(&numbers));
}
