"""A stand-in for bubblewrap 0.11: its command line, for programs that call `bwrap`, and for people as `bldr sandbox`.

Options become frozen values (`options`), checked against each other and the system (`settings`); `namespaces` makes the
process inside, where `operations` builds the new root out of them (`newroot`); `status` tells the caller, and `waiting`
holds the two processes that stay. `main` is the order of it all. Like the launcher it must start quickly and fork
cheaply, so nothing here imports what it can do without.
"""
