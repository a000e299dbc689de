/// # Safety
///
/// `numbers` points to `count` numbers.
#[no_mangle]
pub unsafe extern "C" fn median(numbers: *const f64, count: usize) -> f64 {
    if count == 0 {
        return 0.0;
    }
    median::median(std::slice::from_raw_parts(numbers, count))
}
