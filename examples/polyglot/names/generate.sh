#!/bin/sh
# generate LANGUAGE FILE: the names in FILE as a source of LANGUAGE.
set -eu
mean=$(sed -n 's/^mean=//p' "$2")
median=$(sed -n 's/^median=//p' "$2")
case $1 in
c) printf '#define MEAN "%s"\n#define MEDIAN "%s"\n' "$mean" "$median" ;;
rs) printf 'pub const MEAN: &str = "%s";\npub const MEDIAN: &str = "%s";\n' "$mean" "$median" ;;
py) printf 'MEAN = "%s"\nMEDIAN = "%s"\n' "$mean" "$median" ;;
go) printf 'package names\n\nconst Mean, Median = "%s", "%s"\n' "$mean" "$median" ;;
java) printf 'final class Names {\n    static final String MEAN = "%s", MEDIAN = "%s";\n}\n' "$mean" "$median" ;;
js) printf 'export const MEAN = "%s", MEDIAN = "%s";\n' "$mean" "$median" ;;
*) echo "no such language: $1" >&2; exit 2 ;;
esac
