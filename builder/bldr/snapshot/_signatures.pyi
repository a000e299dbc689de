# What signatures.c makes, see `bldr.snapshot.proofs.differing_here`.
VERSION: int
SOURCE: str  # the SHA-256 of what it was compiled from

def differing_here(directory: str, names: tuple[str, ...], packed: bytes, follow: bool, /) -> list[int] | None: ...
