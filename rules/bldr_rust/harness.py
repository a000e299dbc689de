"""How a test is run: the harness of Rust in terms of Bazel's test protocol.

The harness has no stable output for programs but the lines that people read, which the report is made of.
"""

# Arguments: the program, then those of the target. A shard runs every n-th of the names that the harness lists.
RUN_TEST = r"""
program=$1
shift
filter=${TESTBRIDGE_TEST_ONLY:-}
if [ "${TEST_TOTAL_SHARDS:-1}" -gt 1 ]; then
    [ -z "${TEST_SHARD_STATUS_FILE:-}" ] || : >"$TEST_SHARD_STATUS_FILE"
    "$program" --list --format terse ${filter:+"$filter"} >"$TMPDIR/names"
    awk -v all="$TEST_TOTAL_SHARDS" -v own="$TEST_SHARD_INDEX" 'sub(/: test$/, "") && n++ % all == own' \
        "$TMPDIR/names" >"$TMPDIR/own"
    [ -s "$TMPDIR/own" ] || exit 0
    set -- "$@" --exact
    while IFS= read -r name; do set -- "$@" "$name"; done <"$TMPDIR/own"
elif [ -n "$filter" ]; then
    set -- "$filter" "$@"
fi
[ -n "${XML_OUTPUT_FILE:-}" ] || exec "$program" "$@"
{ code=0; "$program" "$@" 2>&1 || code=$?; echo "$code" >"$TMPDIR/code"; } | tee "$TMPDIR/said"
awk '
function escaped(text) {
    gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); gsub(/"/, "\\&quot;", text)
    gsub(/[\001-\010\013\014\016-\037]/, "", text)
    return text
}
/^test .* \.\.\. (ok|FAILED|ignored)/ {
    at = match($0, / \.\.\. (ok|FAILED|ignored)/)
    name = substr($0, 6, at - 6)
    sub(/ - should panic$/, "", name)
    names[++count] = name
    word = substr($0, at + 5)
    if (word ~ /^FAILED/) { failed[name] = 1; failures++ }
    if (word ~ /^ignored/) { ignored[name] = 1; skipped++ }
    next
}
/^---- .* stdout ----$/ { said = substr($0, 6, length($0) - 17); next }
/^failures:$/ { said = "" }
said != "" { texts[said] = texts[said] $0 "\n" }
END {
    target = escaped(ENVIRON["TEST_TARGET"])
    print "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
    printf "<testsuite name=\"%s\" tests=\"%d\" failures=\"%d\" skipped=\"%d\">\n", target, count, failures, skipped
    for (i = 1; i <= count; i++) {
        name = names[i]
        printf "<testcase classname=\"%s\" name=\"%s\">", target, escaped(name)
        if (name in failed) printf "<failure message=\"failed\">%s</failure>", escaped(texts[name])
        if (name in ignored) printf "<skipped/>"
        print "</testcase>"
    }
    print "</testsuite>"
}' "$TMPDIR/said" >"$XML_OUTPUT_FILE"
exit "$(cat "$TMPDIR/code")"
"""
