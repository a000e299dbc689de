"""Profiles of the macOS sandbox, read and evaluated without a Mac: written from what is public about SBPL and Seatbelt,
and independent of the plugin that prints them.

What public sources disagree on is not guessed: `Profile.decide` asks all readings, and where they differ the answer is
"doubtful", which no test accepts for an allowance and none for a denial.
"""

from seatbelt.operations import UnknownOperationError
from seatbelt.profile import Decision, Profile, Rule
from seatbelt.questions import Mac, Target, question
from seatbelt.reader import ProfileError

__all__ = ["Decision", "Mac", "Profile", "ProfileError", "Rule", "Target", "UnknownOperationError", "question"]
