"""A Mac that is made up: its links and files, a launch as the engine makes it there, and the profile for it."""

from collections.abc import Sequence
from typing import NamedTuple

from seatbelt import Mac, Profile

from bldr.api import Input, Launch, NetworkPolicy, Output, SandboxSpec, StagedTree, Temp
from bldr_macos.host import Resolved
from bldr_macos.permission import Permissions
from bldr_macos.profile import make_profile
from bldr_unmounted.confinement import Scratch

USER_DIRECTORIES = ("/private/var/folders/zz/abc0123/T", "/private/var/folders/zz/abc0123/C")


class Places(NamedTuple):
    """Where things are on it."""

    home: str = "/Users/alice"
    root: str = "/Users/alice/Library/Caches/bldr/v1"

    @property
    def place(self) -> str:
        return f"{self.root}/staging/4711/9"

    @property
    def sysroot(self) -> str:
        return f"{self.root}/sysroots/k2x9"

    @property
    def names(self) -> dict[str, str]:
        """What `$NAME` stands for in a table."""
        return {
            "HOME": self.home,
            "ROOT": self.root,
            "PLACE": self.place,
            "TREE": f"{self.place}/upper",
            "TMP": f"{self.place}/scratch/tmp-0",
            "TOOLS": f"{self.place}/tools",
            "SYSROOT": self.sysroot,
            "CLT": "/Library/Developer/CommandLineTools",
            "USERTMP": USER_DIRECTORIES[0],
            "USERCACHE": USER_DIRECTORIES[1],
        }

    def fill(self, text: str) -> str:
        for name, value in sorted(self.names.items(), reverse=True):  # $TOOLS before $TO
            text = text.replace(f"${name}", value)
        return text


class MadeUpHost:
    """What the plugin asks of the machine; see `bldr_macos.host.Host`."""

    def __init__(self, mac: Mac, files: Sequence[str]) -> None:
        self._mac = mac
        self._files = tuple(files)

    def resolve(self, path: str) -> Resolved:
        return Resolved(*self._mac.resolve(path))

    def files_below(self, directory: str) -> Sequence[str]:
        if directory in self._files:
            return ("",)
        return [file[len(directory) + 1 :] for file in self._files if file.startswith(f"{directory}/")]

    def is_copy(self, path: str, source: str) -> bool:
        return source in self._files and (path in self._files or self._mac.resolve(path)[0] in self._files)

    def user_directories(self) -> tuple[str, ...]:
        return USER_DIRECTORIES


def launch(
    places: Places,
    *,
    staged: Sequence[str] = (),
    roots: Sequence[str] = (),
    inputs: Sequence[Input] = (),
    outputs: Sequence[str] = (),
    network: NetworkPolicy = NetworkPolicy(),  # noqa: B008  # frozen
) -> tuple[Launch, Scratch]:
    """As the engine makes it: programs are staged copies below one directory, large roots are shown where they are."""
    tops = sorted({"/" + path.split("/")[1] for path in staged} | {"/toolchain"})
    declared = [
        *(Input(top, f"{places.sysroot}{top}") for top in tops),
        *map(Input, roots),
        Input("/tools", places.names["TOOLS"]),
        *inputs,
    ]
    spec = SandboxSpec(
        inputs=tuple(sorted(declared)),
        outputs=(Output("/build", is_directory=True), *map(Output, outputs)),
        temps=(Temp("/tmp"),),
        network=network,
    )
    tree = StagedTree("/build", f"{places.place}/lower", places.names["TREE"], f"{places.place}/scratch")
    asked = Launch(launch_id=1, spec=spec, argv=("/bin/sh",), cwd="/build", stdin=0, stdout=1, stderr=2, tree=tree)
    return asked, Scratch(tree.work, {"/tmp": places.names["TMP"]})


def profile_text(
    asked: tuple[Launch, Scratch], host: MadeUpHost, places: Places, *, loopback: bool = False
) -> tuple[str, dict[str, str]]:
    """What the plugin prints, and the parameters beside it."""
    protected = f"{places.root}/profiles-x"
    made = Permissions(host, places.root, protected, loopback=loopback, case_insensitive=True)
    permission, values = made.permission(*asked)
    return make_profile(permission), values


def profile(asked: tuple[Launch, Scratch], host: MadeUpHost, places: Places, *, loopback: bool = False) -> Profile:
    """The same, read by the evaluator."""
    return Profile(*profile_text(asked, host, places, loopback=loopback))


def host(places: Places, staged: Sequence[str] = (), links: dict[str, str] | None = None) -> tuple[MadeUpHost, Mac]:
    """A machine that has these files, and their staged copies."""
    commands = {f"{places.sysroot}/toolchain/cc/bin/clang": "/Library/Developer/CommandLineTools/usr/bin/clang"}
    mac = Mac({**commands, **(links or {})})
    return MadeUpHost(mac, [*staged, *(f"{places.sysroot}{path}" for path in staged)]), mac
