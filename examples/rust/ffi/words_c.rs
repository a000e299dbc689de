//! What C calls.

use std::{ffi::CStr, os::raw::c_char};

/// # Safety
/// `text` is a string of C.
#[no_mangle]
pub unsafe extern "C" fn count_words(text: *const c_char) -> usize {
    words::count(&CStr::from_ptr(text).to_string_lossy()).words
}
