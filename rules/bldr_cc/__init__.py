"""C and C++: libraries, executables and tests, compiled by gcc or clang."""
