"""The evaluator that all else relies on: it reads what a Mac reads, refuses what a Mac refuses, and guesses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seatbelt import Mac, Profile, ProfileError, UnknownOperationError
from seatbelt.filters import path_text
from seatbelt.operations import GROUPS, SINGLE, covers
from seatbelt.reader import FORM_LIMIT_BYTES, Regex, Symbol, read

# Text


def values(text):
    return [form.value for form in read(text if isinstance(text, bytes) else text.encode())]


def test_forms_are_read_with_their_comments_and_places():
    text = b'; a comment (with "signs\n(version 1) ; more\n(allow file-read* (literal "/a;b") #t)'
    first, second = read(text)
    assert first.value == ("version", 1)
    assert second.value == ("allow", "file-read*", ("literal", "/a;b"), True)
    assert (second.line, text[second.start : second.end]) == (3, text[text.index(b"(allow") :])
    assert isinstance(second.value[1], Symbol)
    assert not isinstance(second.value[2][1], Symbol)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r'"a\"b\\c"', 'a"b\\c'),
        (r'"\n\t\r"', "\n\t\r"),
        (r'"\x0a\x7f"', "\n\x7f"),
        (r'"\xf0\x9f\x98\x80"', "😀"),
        ('"😀 é"', "😀 é"),
        (r'"\xff"', "\udcff"),
        ('"a\nb"', "a\nb"),
    ],
)
def test_strings(written, meant):
    assert values(f"({written})") == [(meant,)]


def test_a_raw_string_keeps_its_backslashes():
    ((regex,),) = values(r'(#"^/dev/tty\.[0-9]$")')
    assert isinstance(regex, Regex)
    assert regex == r"^/dev/tty\.[0-9]$"


@pytest.mark.parametrize(
    "text",
    [
        "(version 1",
        "(version 1))",
        '(literal "/a',
        r'(literal "\q")',
        r'(literal "\x0")',
        r'(literal "\x00")',
        r'(literal "\101")',
        '(literal #"a)',
        r'(regex #"a\"b")',
        "version",
        '"text"',
        "(a'b)",
        "(a\0b)",
        '(literal"/a")x',
        '("/a"#)',
    ],
)
def test_what_is_not_understood_is_refused(text):
    with pytest.raises(ProfileError):
        read(text.encode())


def test_a_form_may_have_64_kib_and_no_byte_more():
    def form(size):
        return f"({'x' * (size - 2)})".encode()

    assert len(read(form(FORM_LIMIT_BYTES))) == 1
    with pytest.raises(ProfileError, match="65537 bytes"):
        read(form(FORM_LIMIT_BYTES + 1))


@given(st.binary().filter(lambda name: b"\0" not in name))
def test_any_bytes_survive_being_written_by_the_book(name):
    escaped = name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    ((text,),) = values(b'("' + escaped + b'")')
    assert text.encode(errors="surrogateescape") == name


# Whole profiles


@pytest.mark.parametrize(
    ("forms", "error"),
    [
        ("(deny default)", "the first form"),
        ("(version 4)(deny default)", "no version"),
        ("(version 1)", "nothing says what holds"),
        ("(version 1)(version 1)", "the first form"),
        ("(version 1)(allow file-read*)(deny default)", "before all other rules"),
        ("(version 1)(deny default)(deny default)", "once"),
        ("(version 1)(deny default file-read*)", "stands alone"),
        ('(version 1)(import "system.sb")(deny default)', "import"),
        ("(version 1)(deny default)(debug deny)", "no form of a profile"),
        ("(version 1)(deny default)(if #t (allow file*))", "no form of a profile"),
        ("(version 1)(deny default)(allow)", "of no operation"),
        ('(version 1)(deny default)(allow (literal "/"))', "of no operation"),
        ("(version 1)(deny default)(allow process-exec (with no-sandbox))", "no modifier"),
        ("(version 1)(deny default)(allow signal (with no-log))", "does not apply"),
        ("(version 1)(deny default)(deny signal (with report))", "does not apply"),
        ("(version 1)(deny default)(allow file-read* (literal x))", "unbound variable: x"),
        ('(version 1)(deny default)(allow file-read* (literal (param "X")))', "is not given"),
        ('(version 1)(deny default)(define a "/a")(define a "/b")', "a name that is new"),
        ('(version 1)(deny default)(allow file-read* "/a")', "is no filter"),
    ],
)
def test_profiles_that_are_refused(forms, error):
    with pytest.raises(ProfileError, match=error):
        Profile(forms)


def test_an_unknown_operation_is_refused_with_its_line():
    with pytest.raises(UnknownOperationError, match='line 3: no operation "file-reed"'):
        Profile("(version 1)\n(deny default)\n(allow file-reed)")


@pytest.mark.parametrize(
    ("operation", "filter", "error"),
    [
        ("file-read*", '(subpath "/a/")', "ends with a slash"),
        ("file-read*", '(literal "a")', "not absolute and normal"),
        ("file-read*", '(literal "/a/../b")', "not absolute and normal"),
        ("file-read*", '(literal "/a//b")', "not absolute and normal"),
        ("file-read*", '(subpath "/a/.")', "not absolute and normal"),
        ("file-read*", '(litteral "/a")', r"no filter \(litteral\)"),
        ("file-read*", "(literal)", "says nothing"),
        ("file-read*", "(literal 1)", "wants a string"),
        ("file-read*", '(literal #"/a")', "wants a string"),
        ("file-read*", '(global-name "a")', "is for service"),
        ("file-read*", "(vnode-type FILE)", "no vnode-type"),
        ("file-read*", '(regex "(?i)/a")', "the kernel's matcher"),
        ("file-read*", r'(regex #"\d")', "the kernel's matcher"),
        ("file-read*", '(regex "[")', "unterminated"),
        ("file-read*", "(require-any)", "of 0 filters"),
        ("mach-lookup", '(literal "/a")', "is for path"),
        ("mach-lookup", '(extension "a")', "is for path"),
        ("file-read*", "(extension a)", "wants strings"),
        ("file-read* mach-lookup", '(literal "/a")', "is about service too"),
        ("signal", "(target somebody)", "no target"),
        ("network-outbound", '(remote ip "127.0.0.1:80")', r"must be \* or localhost"),
        ("network-outbound", '(remote sctp "*:80")', "no address"),
    ],
)
def test_filters_that_are_refused(profile, operation, filter, error):
    with pytest.raises(ProfileError, match=error):
        profile(f"(allow {operation} {filter})")


def test_values_are_defined_given_and_appended(profile):
    it = profile(
        '(define top (string-append (param "TOP") "/x"))',
        '(allow file-read* (subpath (string-append top "/y")))',
        TOP="/a b",
    )
    assert it.answer("file-read-data /a b/x/y/z").action == "allow"
    assert it.answer("file-read-data /a b/x/z").action == "deny"


# Decisions


def decided(profile, *questions, mac=None):
    return [profile.answer(question, mac).action for question in questions]


def test_the_last_rule_wins_and_is_told(profile):
    it = profile(
        '(allow file-read* (subpath "/a"))',
        '(deny file-read-data (subpath "/a/b"))',
        '(allow file-read-data (literal "/a/b/c"))',
    )
    asked = ["file-read-data /a/x", "file-read-data /a/b/x", "file-read-metadata /a/b/x", "file-read-data /a/b/c"]
    assert decided(it, *asked, "file-read-data /ab") == ["allow", "deny", "allow", "allow", "deny"]
    assert it.answer("file-read-data /a/b/x").rule.form.line == 4
    assert it.answer("file-read-data /ab").rule is None


def test_a_rule_without_filters_after_one_with_some_is_doubtful(profile):
    """Homebrew relies on the earlier one, and Apple's manual on the later one."""
    it = profile('(allow file-write* (subpath "/a"))', "(deny file-write-setugid)")
    assert decided(it, "file-write-data /a/b", "file-write-setugid /a/b") == ["allow", "doubtful"]
    certain = profile('(allow file-write* (subpath "/a"))', '(deny file-write-setugid (subpath "/"))')
    assert decided(certain, "file-write-data /a/b", "file-write-setugid /a/b") == ["allow", "deny"]


def test_what_sources_disagree_on_is_doubtful(profile):
    it = profile('(allow process-exec file-read* (subpath "/a"))')
    asked = ("process-exec /a/b", "process-exec-interpreter /a/b", "file-read-data /a/b", "file-test-existence /a/b")
    assert decided(it, *asked) == ["allow", "doubtful", "allow", "doubtful"]
    both = profile('(allow process-exec* file-read* file-test-existence (subpath "/a"))')
    assert decided(both, *asked) == ["allow"] * 4


def test_groups_stand_for_what_begins_like_them():
    assert covers("file-read*", "file-read-data", wide=False)
    assert covers("file*", "file-map-executable", wide=False)
    assert not covers("file-read*", "file-map-executable", wide=True)
    assert not covers("file-read-data", "file-read-metadata", wide=True)
    assert not covers("process-fork", "process-exec", wide=True)
    assert all(any(covers(group, name, wide=False) for name in SINGLE) for group in GROUPS)


@pytest.mark.parametrize(
    ("filter", "matched", "missed"),
    [
        ('(literal "/a/b")', "/a/b", "/a/b/c"),
        ('(literal "/a" "/b")', "/b", "/c"),
        ('(subpath "/a/b")', "/a/b", "/a/bc"),
        ('(subpath "/")', "/x", None),
        ('(prefix "/a/b")', "/a/bc", "/a"),
        ('(path-ancestors "/a/b/c")', "/a", "/a/b/c"),
        (r'(regex #"^/dev/ttys[0-9]+$")', "/dev/ttys12", "/dev/ttysx"),
        ('(require-all (subpath "/a") (require-not (literal "/a/b")))', "/a/c", "/a/b"),
        ('(require-any (literal "/a") (literal "/b"))', "/b", "/c"),
        ("(vnode-type REGULAR-FILE)", "/x", None),
    ],
)
def test_filters_of_paths(profile, filter, matched, missed):
    it = profile(f"(allow file-read* {filter})")
    assert it.answer(f"file-read-data {matched}").action == "allow"
    assert missed is None or it.answer(f"file-read-data {missed}").action == "deny"


def test_an_extension_is_what_a_process_was_given(profile):
    own = r'(require-all (regex #"^/dev/ttys[0-9]+$") (extension "com.apple.sandbox.pty"))'
    it = profile(f"(allow file-read-data {own})")
    asked = "file-read-data|TTY{} /dev/ttys{}"
    assert it.answer(asked.format("+com.apple.sandbox.pty", "004")).action == "allow"
    assert it.answer(asked.format("+com.apple.sandbox.pty", "x")).action == "deny"
    assert it.answer(asked.format("+com.apple.app-sandbox.read", "004")).action == "deny"
    assert it.answer(asked.format("", "004")).action == "deny"


def test_the_kernel_sees_resolved_paths_and_reads_links_on_its_way(profile, mac):
    unresolved = profile('(allow file-read* (subpath "/tmp") (subpath "/etc") (subpath "/var"))')
    assert decided(unresolved, "file-read-data /tmp/x", "file-read-data /etc/hosts", mac=mac) == ["deny", "deny"]
    linkless = profile('(allow file-read* (subpath "/private"))')
    assert decided(linkless, "file-read-data /private/tmp/x", "file-read-data /tmp/x", mac=mac) == [
        "allow",
        "deny",
    ]
    whole = profile('(allow file-read* (subpath "/private"))', '(allow file-read-metadata (literal "/tmp"))')
    assert decided(whole, "file-read-data /tmp/x", "lstat /tmp", "file-write-data /tmp/x", mac=mac) == [
        "allow",
        "allow",
        "deny",
    ]


def test_links_lead_on_and_up_and_not_in_circles():
    mac = Mac({"/a": "b", "/b/c": "../d", "/loop": "loop"})
    assert mac.resolve("/a/c/e") == ("/d/e", ("/a", "/b/c"))
    assert mac.resolve("/a/c", follow=False) == ("/b/c", ("/a",))
    assert mac.resolve("/") == ("/", ())
    with pytest.raises(OSError, match="too many links"):
        mac.resolve("/loop")


def test_targets_that_are_no_paths(profile):
    it = profile(
        '(allow mach-lookup (global-name "com.apple.logd") (global-name-prefix "org.x."))',
        "(allow signal (target same-sandbox))",
        '(allow sysctl-read (sysctl-name "hw.ncpu"))',
        '(allow network* (remote ip "localhost:*") (local ip "localhost:*"))',
        '(allow network-outbound (remote unix-socket (path-literal "/private/tmp/s")))'.replace(
            "path-literal", "literal"
        ),
    )
    allowed = (
        "mach-lookup com.apple.logd",
        "mach-lookup org.x.y",
        "signal self",
        "signal same-sandbox",
        "sysctl-read hw.ncpu",
        "network-outbound tcp 127.0.0.1:80",
        "network-outbound udp ::1:53",
        "network-bind tcp 127.0.0.1:0",
        "network-outbound unix /private/tmp/s",
    )
    denied = (
        "mach-lookup com.apple.logdx",
        "signal others",
        "sysctl-read hw.memsize",
        "sysctl-write hw.ncpu",
        "network-outbound tcp 192.0.2.1:80",
        "network-bind tcp 0.0.0.0:80",
        "network-outbound unix /private/tmp/other",
    )
    assert set(decided(it, *allowed)) == {"allow"}
    assert set(decided(it, *denied)) == {"deny"}


def test_a_question_about_a_group_is_a_mistake_of_the_test(profile):
    with pytest.raises(ValueError, match=r"file-read\*"):
        profile().answer("file-read* /")


def test_without_a_form_it_is_as_if_it_had_not_been_written(profile):
    it = profile('(allow file-read* (literal "/a"))', '(allow file-read* (literal "/b"))')
    less = it.without(it.forms[2])
    assert decided(less, "file-read-data /a", "file-read-data /b") == ["deny", "allow"]


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_every_name_of_a_file_can_be_asked_for(name):
    if name not in (".", ".."):
        assert path_text(f"/{name}", of="literal") == f"/{name}"
