"""Shell scripts: libraries, programs, tests, and what shellcheck says of them."""
