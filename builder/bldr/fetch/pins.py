"""What pins a file from outside: a digest of its bytes, or Go's digest of the files in an archive (pure values)."""

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
GO = "h1"
_HEX = re.compile(r"[0-9a-f]+")
_FORMS = '"sha256:", "sha384:" or "sha512:" with hexadecimal digits, or "h1:" with base64'


class Pin(NamedTuple):
    """A digest that somebody wrote down. `algorithm` is one of sha256, sha384, sha512 and h1."""

    algorithm: str
    hex: str

    @property
    def key(self) -> str:
        """What files in the store are named after."""
        return self.hex if self.algorithm == "sha256" else f"{self.algorithm}-{self.hex}"

    @property
    def value(self) -> str:
        """The digest as people write it."""
        return base64.b64encode(bytes.fromhex(self.hex)).decode() if self.algorithm == GO else self.hex


def parse_pin(text: str) -> Pin:
    """Read "sha256:<hex>" and its like. Raises ValueError that says what is wrong."""
    algorithm, _, value = text.partition(":")
    if algorithm == GO:
        try:
            digest = base64.b64decode(value, validate=True)
        except binascii.Error:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise ValueError(f'"{text}" is no digest of Go: "h1:" is followed by 44 characters of base64')
        return Pin(GO, digest.hex())
    digits = _HEX_DIGITS.get(algorithm)
    if digits is None:
        raise ValueError(f'"{text}" is no digest that is known: write {_FORMS}' if text else "no hash pins it")
    if len(value) != digits or not _HEX.fullmatch(value.lower()):
        raise ValueError(f'"{text}" is no digest: "{algorithm}:" is followed by {digits} hexadecimal digits')
    return Pin(algorithm, value.lower())
