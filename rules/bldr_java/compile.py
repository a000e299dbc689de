"""Sources and resources become a jar, jars become a program: one action each, whose script stands here."""

import posixpath

from bldr.api import TREE_ROOT, Action, Artifact, Context
from bldr_java.attributes import AnyJavaAttributes, JavaExecutableAttributes
from bldr_java.providers import JavaInfo, info_of_deps

TOOLCHAINS = ("java", "shell")
QUICK_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""For programs that run for a second: less time is spent on making them fast."""
_DATE = "1980-01-01T00:00:02Z"  # the first that an archive can hold whatever the time zone is
_COMPILE = """\
jar=$1 sources=$2 directories=$3 resources=$4
shift 4
classes=$jar.classes all=$jar.all
mkdir "$classes"
cat "$sources" > "$all"
while IFS= read -r directory; do
    find "$directory" -name '*.java' | LC_ALL=C sort | sed 's/.*/"&"/' >> "$all"
done < "$directories"
test ! -s "$all" || javac -d "$classes" "$@" "@$all"
tab=$(printf '\\t')
while IFS=$tab read -r from to; do
    mkdir -p "$(dirname "$classes/$to")"
    cp -RL -- "$from" "$classes/$to"
done < "$resources"
jar --create --date=DATE --file "$jar" -C "$classes" .
""".replace("DATE", _DATE)
# Of several files with one name the first counts, as on a class path; lists of services are joined.
_MERGE = """\
program=$1 main=$2 start=$3
shift 3
all=$PWD/$program.all one=$PWD/$program.one
mkdir -p "$all/META-INF/services"
for jar; do
    jar=$PWD/$jar
    mkdir "$one"
    (cd "$one" && jar --extract --file "$jar")
    rm -f "$one/META-INF/MANIFEST.MF" "$one/META-INF/INDEX.LIST" "$one/module-info.class"
    for signature in "$one"/META-INF/*.SF "$one"/META-INF/*.RSA "$one"/META-INF/*.DSA "$one"/META-INF/*.EC; do
        rm -f "$signature"
    done
    for service in "$one"/META-INF/services/*; do
        test -f "$service" || continue
        { cat "$service"; echo; } >> "$all/META-INF/services/${service##*/}"
        rm "$service"
    done
    (cd "$one" && find . -type d) | while read -r directory; do mkdir -p "$all/$directory"; done
    (cd "$one" && find . -type f) | while read -r file; do test -e "$all/$file" || mv "$one/$file" "$all/$file"; done
    chmod -R u+w "$one"
    rm -rf "$one"
done
rmdir "$all/META-INF/services" 2>/dev/null || true
manifest=$program.manifest
echo "Main-Class: $main" > "$manifest"
test ! -d "$all/META-INF/versions" || echo "Multi-Release: true" >> "$manifest"
jar --create --date=DATE --file "$program.merged" --manifest "$manifest" -C "$all" .
{ printf '#!/bin/sh\\n%s\\n' "$start"; cat "$program.merged"; } > "$program"
chmod 755 "$program"
""".replace("DATE", _DATE)


# Where it really stands: it may be run through a link, and then what it needs is not beside that.
_SELF = 'self=$(readlink -f -- "$0" 2>/dev/null) || self=$0\n'


def compile_jar(
    attributes: AnyJavaAttributes, info: JavaInfo, context: Context, made: tuple[tuple[str, str], ...] = ()
) -> Action | None:
    """The action that makes `<name>.jar`; None where the target has nothing to put into one.

    `made` are sources of ours as pairs of path and text.
    """
    sources, resources = context.files("sources"), context.files("resources")
    for source in sources:
        if not source.is_directory and not source.path.endswith(".java"):
            context.fail(f'"{source.path}" is no source of Java', "other files are resources or data", "sources")
    if not sources and not resources and not made:
        return None
    jar = context.declare_file(f"{context.label.name}.jar")
    processors = info_of_deps(context, "processors")
    files = [source.path for source in sources if not source.is_directory] + [path for path, _ in made]
    listed = "".join(f"{_quoted(path)}\n" for path in files)
    directories = "".join(f"{source.path}\n" for source in sources if source.is_directory)
    copied = "".join(f"{file.path}\t{_place(file, attributes, context)}\n" for file in resources)
    arguments, to_search, to_copy = f"{jar.path}.sources", f"{jar.path}.directories", f"{jar.path}.resources"
    return Action(
        argv=(
            "sh",
            "-euc",
            _COMPILE,
            "sh",
            jar.path,
            arguments,
            to_search,
            to_copy,
            *_flags(attributes, info, processors, context),
        ),
        inputs=tuple(dict.fromkeys((*sources, *resources, *info.jars, *processors.jars))),
        outputs=(jar,),
        mnemonic="Javac",
        message=f"Compiling {context.label}",
        files=(*made, (arguments, listed), (to_search, directories), (to_copy, copied)),
        toolchains=TOOLCHAINS,
    )


def merge_jars(attributes: JavaExecutableAttributes, info: JavaInfo, context: Context) -> Action:
    """The action that makes a program out of jars: a script with a jar at its end, which both can be read as such."""
    program = context.declare_file(context.label.name)
    start = f'{_SELF}exec java {_joined(attributes.jvm_flags)}{_library_path(program, info)}-jar "$self" "$@"'
    return Action(
        argv=("sh", "-euc", _MERGE, "sh", program.path, attributes.main_class, start, *(jar.path for jar in info.jars)),
        inputs=info.jars,
        outputs=(program,),
        mnemonic="JavaLink",
        message=f"Linking {context.label}",
        toolchains=TOOLCHAINS,
    )


def library_path(info: JavaInfo) -> tuple[str, ...]:
    """The flag of the virtual machine for shared libraries in an action's tree."""
    directories = dict.fromkeys(f"{TREE_ROOT}/{posixpath.dirname(library.path)}" for library in info.native)
    return (f"-Djava.library.path={':'.join(directories)}",) if directories else ()


def _library_path(program: Artifact, info: JavaInfo) -> str:
    """The same for a program that stands beside its libraries, wherever that is."""
    own = posixpath.dirname(program.path)
    directories = dict.fromkeys(posixpath.relpath(posixpath.dirname(item.path), own or ".") for item in info.native)
    if not directories:
        return ""
    path = ":".join(f"${{self%/*}}/{directory}" for directory in directories)
    return f'-Djava.library.path="{path}" '


def _flags(attributes: AnyJavaAttributes, info: JavaInfo, processors: JavaInfo, context: Context) -> tuple[str, ...]:
    flags = [f"-J{flag}" for flag in QUICK_JVM]
    flags += ["-encoding", "UTF-8", "-implicit:none", "-sourcepath", ":"]
    flags += ["-g"] if context.configuration.mode == "debug" else []
    flags += ["--release", str(attributes.release)] if attributes.release is not None else []
    flags += ["-processorpath", _class_path(processors)] if processors.jars else ["-proc:none"]
    # an empty class path is the working directory
    flags += ["-classpath", _class_path(info) or "/nothing"]
    return (*flags, *context.configuration.flags_of("java"), *attributes.flags)


def _class_path(info: JavaInfo) -> str:
    return ":".join(jar.path for jar in info.jars)


def _place(file: Artifact, attributes: AnyJavaAttributes, context: Context) -> str:
    """Where a resource stands in the jar."""
    root = posixpath.join(context.label.directory, attributes.resource_root.rstrip("/")).rstrip("/")
    if "\t" in file.path or "\n" in file.path:
        context.fail(f'"{file.path}" has a tab or a line break in its name', "give it another", "resources")
    if not root:
        return file.path
    if not file.path.startswith(f"{root}/"):
        context.fail(f'the resource "{file.path}" is not below "{root}"', "set resource_root", "resources")
    return file.path.removeprefix(f"{root}/")


def _quoted(path: str) -> str:
    """A word of an argument file of javac."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _joined(flags: tuple[str, ...]) -> str:
    return "".join("'" + flag.replace("'", "'\\''") + "' " for flag in flags)
