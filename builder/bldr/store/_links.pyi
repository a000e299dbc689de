# What links.c makes, see `bldr.store.links.make_links`.
VERSION: int
SOURCE: str  # the SHA-256 of what it was compiled from

def make_links(
    wanted: tuple[tuple[str, int, int, str], ...], from_fd: int, to_fd: int, modified_ns: int, /
) -> list[int]: ...
