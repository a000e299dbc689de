"""usage: notes OWNER TEXT...: a book of notes, as text"""

import sys

from book_pb2 import Book
from google.protobuf import text_format


def main(owner: str, *texts: str) -> None:
    book = Book(owner=owner)
    for text in texts:
        book.notes.add(text=text)
    print(text_format.MessageToString(book), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
