"""Counts the words of a text, without those that say little."""

from words.counting import Count, count

__all__ = ["Count", "count"]
