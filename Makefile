PYTHON ?= python3
BIN = .venv/bin
CHECKED = core extractor index server client evaluation training tests examples benchmarks docs
READY = .venv/installed

.PHONY: demo test test-slow lint bench docs dist

demo: $(READY)
	@$(BIN)/python examples/demo.py

# A file of tests is one process's, so that what it makes once is made once; with a thread each they do not wait for each other.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest --cov --cov-report=term --numprocesses auto --maxprocesses 4 --dist loadfile

test-slow: $(READY)
	$(BIN)/pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CHECKED)

bench: $(READY)
	@set -e; for file in $$(grep -l "^if __name__" benchmarks/*.py); do $(BIN)/python $$file --quick; done

docs: $(READY)
	$(BIN)/python docs/generate.py

dist: $(READY)
	$(BIN)/python -m build --no-isolation --outdir dist

$(READY): pyproject.toml constraints.txt tests/alone.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit("Cinedex needs Python 3.11 or newer, and $(PYTHON) is %d.%d; name another with make PYTHON=…" % v)'
	@echo "Installing into .venv (about 6 GB, once)."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r tests/alone.txt
	@touch $@
