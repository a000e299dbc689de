"""`python -m bldr`."""

from bldr.cli.main import run_process

run_process()
