# shellcheck shell=sh
# log LEVEL TEXT...: one line to standard error

log() {
    level=$1
    shift
    printf '%s: %s\n' "$level" "$*" >&2
}
