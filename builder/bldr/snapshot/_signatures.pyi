# What signatures.c makes, see `bldr.snapshot.proofs.differing_here`.
VERSION: int

def differing_here(directory: str, names: tuple[str, ...], packed: bytes, follow: bool, /) -> list[int] | None: ...
