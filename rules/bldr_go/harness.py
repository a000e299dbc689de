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
/^=== (RUN|CONT|NAME|PAUSE) / {
    said = $3
    if (!(said in known)) { known[said] = 1; names[++count] = said }
    next
}
/^ *--- (PASS|FAIL|SKIP): / {
    said = $3
    ended[said] = $2
    times[said] = substr($4, 2, length($4) - 3)
    if ($2 == "SKIP:") skipped++
    next
}
{ texts[said] = texts[said] $0 "\n" }
END {
    for (i = 1; i <= count; i++) if (ended[names[i]] !~ /PASS|SKIP/) failures++
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
