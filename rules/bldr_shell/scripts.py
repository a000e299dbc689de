"""The scripts that actions run, as texts. They ask for nothing but what POSIX has."""

CHECK = """\
#!/bin/sh
# check.sh STAMP [OPTIONS] -- SCRIPTS: what is checked leaves an empty file.
stamp=$1
shift
shellcheck --norc --external-sources --source-path=SCRIPTDIR:. --severity=warning --color=never "$@" >&2 && : >"$stamp"
"""

ASSEMBLE = """\
#!/bin/sh
# assemble.sh MAIN PROGRAM [TREE LAUNCHER FILES]: MAIN becomes PROGRAM; or TREE gets all of FILES, one a line, and
# LAUNCHER becomes PROGRAM.
set -eu
main=$1 program=$2
line=
IFS= read -r line <"$main" || :  # an empty file, or one line without an end
case $line in
'#!'*) ;;
*)
    echo "$main has no line that says what runs it: begin it with #!/bin/sh" >&2
    exit 1
    ;;
esac
if [ $# = 2 ]; then
    cp -- "$main" "$program"
else
    tree=$3
    mkdir -p -- "$tree"
    while IFS= read -r path; do
        case $path in */*) mkdir -p -- "$tree/${path%/*}" ;; esac
        cp -RP -- "$path" "$tree/$path"
        chmod -R u+w -- "$tree/$path"
    done <"$5"
    chmod 755 -- "$tree/$main"
    cp -- "$4" "$program"
fi
chmod 755 -- "$program"
"""

LAUNCH = """\
#!/bin/sh
# Starts a script in the tree beside this file, which RUNFILES_DIR tells it.
self=$(readlink -f -- "$0" 2>/dev/null) || self=$0
case $self in
*/*) ;;
*) self=$(command -v -- "$self") ;;
esac
RUNFILES_DIR=$self.runfiles
export RUNFILES_DIR
exec "$RUNFILES_DIR/"@MAIN@ "$@"
"""

RUN_TEST = """\
#!/bin/sh
# run_test.sh SCRIPT [ARGUMENTS]: by what its first line says, also where it is no program of its own.
script=$1
shift
case $script in /*) ;; *) script=./$script ;; esac
IFS= read -r line <"$script"
case $line in
'#!'*) ;;
*) exec sh "$script" "$@" ;;
esac
# as the kernel does it: a program, all the rest of the line as one argument, then the script
read -r program argument <<END
${line#??}
END
exec "${program:-sh}" ${argument:+"$argument"} "$script" "$@"
"""
