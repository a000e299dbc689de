"""usage: count FILE..."""

import sys

from words import count


def main(paths: list[str]) -> int:
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for word, times in count(file.read()):
                print(f"{times} {word}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
