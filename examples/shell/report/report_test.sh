#!/usr/bin/env bash
set -euo pipefail

report=$RUNFILES_DIR/report/report
mapfile -t lines < <("$report" report/numbers.txt)
[[ ${lines[0]} == "Sum of the numbers" ]]
[[ ${lines[1]} == 42 ]]

if "$report" 2>"$TEST_TMPDIR/errors"; then
    echo "it must not do without a file" >&2
    exit 1
fi
grep -qx "error: usage: report FILE" "$TEST_TMPDIR/errors"
