"""Zig for bldr: programs, libraries (for C too) and tests, by the compiler from PyPI."""
