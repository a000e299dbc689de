import unittest

import stats_of


class Numbers(unittest.TestCase):
    def test_three(self):
        self.assertEqual((stats_of.mean([1, 2, 6]), stats_of.median([1, 2, 6])), (3, 2))

    def test_none(self):
        self.assertEqual((stats_of.mean([]), stats_of.median([])), (0, 0))
