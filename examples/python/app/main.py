"""usage: count FILE..."""

import sys

from tabulate import tabulate

from words import count


def main(paths: list[str]) -> int:
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    for path in paths:
        with open(path, encoding="utf-8") as file:
            print(tabulate(count(file.read()), headers=["word", "times"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
