"""The program that runs tests of JUnit: what a Builderfile need not say, and what a report needs."""

import os

RUNNER_CLASS = "BldrJUnitRunner"
"""Stands in no package, where a test's own classes rarely do. Needs the module junit-platform-launcher."""

with open(os.path.join(os.path.dirname(__file__), f"{RUNNER_CLASS}.java"), encoding="utf-8") as file:
    RUNNER_SOURCE = file.read()
