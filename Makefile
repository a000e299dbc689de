# make demo | test | check | full | test-vm | test-wine | bench | bench-quick | bench-peers | clean: each makes .venv itself when it has to.
# Needs Python 3.11+, gcc and make.
#
#   make PYTHON=python3.12 test    another interpreter (remove .venv first when there is one already)
#   make TEST_JOBS=8 test          tests at once

SHELL = /bin/sh
VENV ?= .venv
PYTHON ?=
TEST_JOBS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=
VM_ARGS ?=
WINE_ARGS ?=

STAMP = $(VENV)/.installed
BIN = $(VENV)/bin

.PHONY: help demo test full test-vm test-wine check bench bench-quick bench-peers clean
help:
	@sed -n 's/^# make /make /p' Makefile

# Once, and again when the dependencies change. The script does nothing when another make was quicker.
$(STAMP): pyproject.toml .ci/venv hatch_build.py platforms/bldr_linux/compiled/cradle.c builder/bldr/snapshot/signatures.c builder/bldr/store/links.c
	@.ci/venv '$(VENV)' '$(PYTHON)'

demo: $(STAMP)
	@.ci/demo '$(VENV)'

# Quick tier: minutes, no network, no privileges.
test: $(STAMP)
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist worksteal -m 'not full and not vm and not wine and not windows' $(PYTEST_ARGS)

# What the quick tier leaves out.
full: $(STAMP)
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist worksteal -m 'full and not vm and not wine and not windows' $(PYTEST_ARGS)

# What needs a whole cgroup v2, in an emulated machine made of Debian's packages; needs qemu-system-x86, no privileges.
test-vm: $(STAMP)
	$(BIN)/python tests/vm/run.py $(VM_ARGS) $(PYTEST_ARGS)

# What needs a Windows, on Wine with a real CPython in it; needs wine, wine64 and gcc-mingw-w64-x86-64-posix, no privileges.
test-wine: $(STAMP)
	$(BIN)/python tests/wine/run.py $(WINE_ARGS) $(PYTEST_ARGS)

# All of them are run, so that one complaint does not hide the others.
check: $(STAMP)
	@failed=; \
	for tool in 'ruff check .' 'ruff format --check .' mypy 'mypy --platform win32 -p bldr_windows' 'mypy bench' 'lint-imports --no-logo'; do \
	  echo "== $$tool"; $(BIN)/$$tool || failed="$$failed, $$tool"; \
	done; \
	test -z "$$failed" || { echo "make check: failed:$${failed#,}" >&2; exit 1; }

# Beside peers, in interleaved runs: some ten minutes, and the tables of docs/performance.md. BENCH_ARGS='--help' says what else.
bench: $(STAMP)
	$(BIN)/python bench/run.py $(BENCH_ARGS)

# A minute; fails where a ratio got grossly worse.
bench-quick: $(STAMP)
	$(BIN)/python bench/run.py --quick

# The programs to compare with: Debian's as root, PyPI's into an environment of their own.
bench-peers: $(STAMP)
	$(BIN)/python bench/peers.py --install

clean:
	rm -rf '$(VENV)' .venv.lock dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find examples -name bldr-out -type d -prune -exec rm -rf {} +
