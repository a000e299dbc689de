"""The kit for authors of plugins, for tests with pytest: `pytest_plugins = ["bldr.testing"]` in the top conftest.py.

It is loaded only by those who ask for it: an installed bldr changes nobody else's run of pytest.
"""

from bldr.testing.eject import Ejected
from bldr.testing.fake_sandbox import FakeSandbox
from bldr.testing.fakes import Analyzed, FakeContext, FakeDep, FakeDetector, analyze, fake_toolchain
from bldr.testing.fixtures import bldr_warm, bldr_warm_cache, golden_keys, project, pytest_addoption
from bldr.testing.golden import GoldenKeys
from bldr.testing.handlers import Edit, HandlerContract, bldr_contract_build, bldr_contract_project
from bldr.testing.outcome import TAGS, Failure, Outcome
from bldr.testing.project import Project
from bldr.testing.sandboxes import SandboxContract, bldr_launch_box

__all__ = [
    "TAGS", "Analyzed", "Edit", "Ejected", "Failure", "FakeContext", "FakeDep", "FakeDetector", "FakeSandbox",
    "GoldenKeys", "HandlerContract", "Outcome", "Project", "SandboxContract", "analyze", "bldr_contract_build",
    "bldr_contract_project", "bldr_launch_box", "bldr_warm", "bldr_warm_cache", "fake_toolchain", "golden_keys",
    "project", "pytest_addoption",
]  # fmt: skip
