import unittest

from book_pb2 import Book
from note_pb2 import Note


class Notes(unittest.TestCase):
    def test_a_book_is_read_as_it_was_written(self):
        note = Note(text="rain")
        note.written.FromSeconds(12)
        book = Book(owner="me", notes=[note])
        self.assertEqual(Book.FromString(book.SerializeToString()).notes[0].written.seconds, 12)
