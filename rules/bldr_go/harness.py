"""How a test is run: what the package testing prints becomes a report of each case."""

# Arguments: the program, then those of the target. The program itself chooses by TESTBRIDGE_TEST_ONLY and its shard.
RUN_TEST = r"""
program=$1
shift
[ -n "${XML_OUTPUT_FILE:-}" ] || exec "$program" "$@"
{ code=0; "$program" -test.v "$@" 2>&1 || code=$?; echo "$code" >"$TMPDIR/code"; } | tee "$TMPDIR/said"
awk '
function escaped(text) {
    gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); gsub(/"/, "\\&quot;", text)
    gsub(/[\001-\010\013\014\016-\037]/, "", text)
    return text
}
# Where a test printed no end of its line, what is said of it stands behind: hello--- PASS: TestX (0.00s)
match($0, /=== (RUN   |CONT  |NAME  |PAUSE )[^ ]+$/) {
    if (RSTART > 1) texts[said] = texts[said] substr($0, 1, RSTART - 1) "\n"
    said = substr($0, RSTART + 10)
    if (!(said in known)) { known[said] = 1; names[++count] = said }
    next
}
match($0, /--- (PASS|FAIL|SKIP): [^ ]+ \([0-9.]+s\)$/) {
    split(substr($0, RSTART), words, " ")
    if (words[3] in known) {
        before = substr($0, 1, RSTART - 1)
        if (before ~ /[^ ]/) texts[said] = texts[said] before "\n"
        said = words[3]
        ended[said] = words[2]
        times[said] = substr(words[4], 2, length(words[4]) - 3)
        next
    }
}
{ texts[said] = texts[said] $0 "\n" }
END {
    for (i = 1; i <= count; i++) {
        if (ended[names[i]] == "SKIP:") skipped++
        else if (ended[names[i]] != "PASS:") failures++
    }
    target = escaped(ENVIRON["TEST_TARGET"])
    print "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
    printf "<testsuite name=\"%s\" tests=\"%d\" failures=\"%d\" skipped=\"%d\">\n", target, count, failures, skipped
    for (i = 1; i <= count; i++) {
        name = names[i]
        message = ended[name] == "FAIL:" ? "failed" : "did not end"
        text = escaped(texts[name])
        printf "<testcase classname=\"%s\" name=\"%s\" time=\"%s\">", target, escaped(name), times[name] + 0
        if (ended[name] == "SKIP:") printf "<skipped/>"
        else if (ended[name] != "PASS:") printf "<failure message=\"%s\">%s</failure>", message, text
        print "</testcase>"
    }
    print "</testsuite>"
}' "$TMPDIR/said" >"$XML_OUTPUT_FILE"
exit "$(cat "$TMPDIR/code")"
"""
