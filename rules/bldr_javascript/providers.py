"""What reaches a target of JavaScript from its deps, and how it is handed on."""

import msgspec

from bldr.api import Artifact, Context


class ModuleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a user of a library needs, transitive: `modules` in the tree, `packages` (files that are found by name) and
    `node_modules`, the directories that hold the latter."""

    modules: tuple[Artifact, ...] = ()
    packages: tuple[Artifact, ...] = ()
    node_modules: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Artifact, ...]:
        return (*self.modules, *self.packages)


def info_of_deps(context: Context, attributes: tuple[str, ...] = ("deps",)) -> ModuleInfo:
    """All that deps offer, of several attributes."""
    infos = []
    for attribute in attributes:
        for dep in context.deps(attribute):
            info = dep.get(ModuleInfo)
            if info is None:
                hint = "generated sources are named in sources, files to read in data"
                context.fail(f"{dep.label} is no library of JavaScript or TypeScript", hint, attribute)
            infos.append(info)
    return merge(infos, context)


def merge(infos: list[ModuleInfo], context: Context) -> ModuleInfo:
    """Several deps as one. There is one node_modules in a tree: two of them cannot meet."""
    directories = tuple(dict.fromkeys(directory for info in infos for directory in info.node_modules))
    if len(directories) > 1:
        context.fail(
            f'packages of "{directories[0]}" and of "{directories[1]}" meet here', "pin them in one lock file", "deps"
        )
    return ModuleInfo(
        modules=tuple(dict.fromkeys(file for info in infos for file in info.modules)),
        packages=tuple(dict.fromkeys(file for info in infos for file in info.packages)),
        node_modules=directories,
    )
