"""Build scripts (`build.rs`): compiled, then run in an action of their own, and what they say is handed to rustc."""

from bldr.api import TREE_ROOT, Action, Context, first_of_each
from bldr_rust.attributes import AnyRustAttributes
from bldr_rust.compile import Crate, Script, compile_crate
from bldr_rust.crates import crate_name, manifest_directory, source_named
from bldr_rust.providers import deps_of

_RUN = r"""
root=$PWD
mkdir -p "$OUT_DIR"
eval "$(rustc --print cfg | awk "$CFG_TO_VARIABLES")"
export RUSTC=rustc
(cd "$CARGO_MANIFEST_DIR" && exec "$root/$1") >"$2.said"
awk -v arguments="$2" -v environment="$3" "$SAID_TO_FILES" "$2.said"
rm "$2.said"
"""

# target_os="linux" becomes CARGO_CFG_TARGET_OS=linux, unix becomes CARGO_CFG_UNIX=, values of one name have commas.
_CFG_TO_VARIABLES = r"""
{
    at = index($0, "=")
    name = at ? substr($0, 1, at - 1) : $0
    value = at ? substr($0, at + 2, length($0) - at - 2) : ""
    if (name ~ /[^A-Za-z0-9_]/) next
    values[name] = (name in values) ? values[name] "," value : value
}
END { for (name in values) print "export CARGO_CFG_" toupper(name) "='" values[name] "'" }
"""

# The protocol of https://doc.rust-lang.org/cargo/reference/build-scripts.html
SAID_TO_FILES = r"""
BEGIN { printf "" >arguments; printf "" >environment }
/^cargo::?/ {
    line = $0
    sub(/^cargo::?/, "", line)
    at = index(line, "=")
    if (!at) next
    key = substr(line, 1, at - 1)
    value = substr(line, at + 1)
    if (key == "rustc-cfg") print "--cfg\n" value >arguments
    else if (key == "rustc-link-lib") print "-l\n" value >arguments
    else if (key == "rustc-link-search") print "-L\n" value >arguments
    else if (key ~ /^rustc-(link-arg|cdylib-link-arg)(-bins)?$/) print "-Clink-arg=" value >arguments
    else if (key == "rustc-flags") {
        n = split(value, words)
        for (i = 1; i <= n; i++) {
            if (words[i] ~ /^-[lL]$/ && i < n) print words[i++] >arguments
            else if (words[i] !~ /^-[lL]./) {
                print "error: rustc-flags may say -l and -L only, and not: " words[i] >"/dev/stderr"
                failed = 1
            }
            print words[i] >arguments
        }
    }
    else if (key == "rustc-env") {
        at = index(value, "=")
        text = substr(value, at + 1)
        gsub(/'/, "'\\''", text)
        print "export " substr(value, 1, at - 1) "='" text "'" >environment
    }
    else if (key == "warning") print "warning: " value >"/dev/stderr"
    else if (key == "error") { print "error: " value >"/dev/stderr"; failed = 1 }
}
END { exit failed }
"""


def build_script(attributes: AnyRustAttributes, context: Context) -> tuple[tuple[Action, ...], Script | None]:
    """The actions that compile and run the target's build script; none where it has none."""
    if not attributes.build_script:
        return (), None
    stem = f"{context.label.name}.build"
    program = context.declare_file(f"{stem}/script")
    source = source_named(attributes.build_script, "build_script", context)
    sources = context.files("sources")
    crate = Crate("build_script_build", source, program, "bin", sources, deps_of(attributes, context, "build_deps"))
    script = Script(
        context.declare_file(f"{stem}/arguments"),
        context.declare_file(f"{stem}/environment"),
        context.declare_directory(f"{stem}/out"),
    )
    shared = crate.deps.native.shared_libraries
    run = Action(
        argv=("sh", "-euc", _RUN, "sh", program.path, script.arguments.path, script.environment.path),
        inputs=first_of_each(((program,), sources, shared, crate.deps.runtime, context.files("data"))),
        outputs=tuple(script),
        mnemonic="BuildScript",
        message=f"Running {attributes.build_script} of {context.label}",
        env={
            **_environment(attributes, context),
            "OUT_DIR": f"{TREE_ROOT}/{script.directory.path}",
            "CFG_TO_VARIABLES": _CFG_TO_VARIABLES,
            "SAID_TO_FILES": SAID_TO_FILES,
        },
        toolchains=("shell", "rust", "cc"),
    )
    return (compile_crate(crate, attributes, context), run), script


def _environment(attributes: AnyRustAttributes, context: Context) -> dict[str, str]:
    """As cargo sets it. `NUM_JOBS` is fixed, because the number of processors is no input."""
    host = context.toolchain("rust").attributes["host"]
    release = context.configuration.mode == "release"
    features = {f"CARGO_FEATURE_{name.upper().replace('-', '_')}": "1" for name in attributes.features}
    return {
        "CARGO_MANIFEST_DIR": manifest_directory(attributes, context),
        "CARGO_CRATE_NAME": crate_name(attributes, context),
        "TARGET": host,
        "HOST": host,
        "NUM_JOBS": "1",
        "OPT_LEVEL": "3" if release else "0",
        "DEBUG": "true" if context.configuration.mode == "debug" else "false",
        "PROFILE": "release" if release else "debug",
        "CARGO_ENCODED_RUSTFLAGS": "",
        **features,
        **attributes.rustc_env,
    }
