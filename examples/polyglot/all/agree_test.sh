#!/bin/sh
set -eu
for program in c rust python java javascript go; do
    for numbers in "1 2 6 5" "3" "2 2.5 9"; do
        # shellcheck disable=SC2086 # several words
        said=$("$program/stats" $numbers)
        # shellcheck disable=SC2086
        wanted=$(c/stats $numbers)
        test "$said" = "$wanted" || { echo "$program says \"$said\", C says \"$wanted\"" >&2; exit 1; }
        echo "$program: $said"
    done
done
