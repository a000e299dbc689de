"""Names that strangers chose, as a message shows them: in one line, and without what acts on a terminal."""

import re

_UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_IN_MESSAGES = "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"  # which may have lines of their own


def is_printable(name: str) -> bool:
    """Whether a name can be shown as it is."""
    return name.isprintable() or not re.search(_UNPRINTABLE, name)


def escaped(name: str) -> str:
    """A name in one line: what cannot be printed appears as Python writes it, line ends too."""
    return name if name.isprintable() else re.sub(_UNPRINTABLE, _escape, name)


def shown(message: str) -> str:
    """A whole message, whose line ends stay: whoever forgot to escape a name in it does no harm to a terminal."""
    return message if message.isprintable() else re.sub(_IN_MESSAGES, _escape, message)


def _escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]
