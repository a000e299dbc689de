import unittest

from words import Count, count


class Counting(unittest.TestCase):
    def test_the_most_frequent_word_comes_first(self):
        self.assertEqual(count("rain rain go"), [Count("rain", 2), Count("go", 1)])

    def test_words_that_say_little_are_left_out(self):
        self.assertEqual(count("The rain in Spain"), [Count("rain", 1), Count("spain", 1)])

    def test_an_empty_text_has_no_words(self):
        for text in ("", " ", "\n"):
            with self.subTest(text=text):
                self.assertEqual(count(text), [])
