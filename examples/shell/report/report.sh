#!/bin/sh
# usage: report FILE: the sum of the numbers in it, one a line

set -eu
# shellcheck source=log/log.sh
. "$RUNFILES_DIR/log/log.sh"

if [ $# != 1 ]; then
    log error "usage: report FILE"
    exit 2
fi
sum=0
while read -r number; do
    sum=$((sum + number))
done <"$1"
cat "$RUNFILES_DIR/report/title.txt"
echo "$sum"
