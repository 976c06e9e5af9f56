PYTHON ?= python3
BIN = .venv/bin
CHECKED = core extractor index server client evaluation training tests examples benchmarks docs docker
READY = .venv/installed
LINTERS = .venv/linters
COVERED = .venv/covered.json
COMPOSE = $(BIN)/docker-compose --env-file docker/.env.example --profile jobs -f docker/compose.yml

.PHONY: demo test test-slow test-docker lint bench docs dist

demo: $(READY)
	@$(BIN)/python examples/demo.py

# A file of tests is one process's, so that what it makes once is made once; with a thread each they do not wait for each other.
# Files come in the order of tests/conftest.py. What is compiled is kept, for the hundreds of processes that are started.
test: $(READY)
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m slipcover --json --out $(COVERED) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations=60 --durations-min=5
	$(BIN)/python -m slipcover --merge $(COVERED) --out $(COVERED) --fail-under 90 || { echo "Less than 90 % of the lines are covered."; exit 1; }

test-slow: $(READY)
	$(BIN)/pytest -m slow

# The image built, and compose run through the whole path.
test-docker: $(READY) $(LINTERS)
	$(BIN)/pytest -m docker tests/docker

lint: $(READY) $(LINTERS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CHECKED)
	$(COMPOSE) config --quiet
	$(COMPOSE) -f docker/compose.gpu.yml config --quiet
	$(BIN)/hadolint docker/Dockerfile

bench: $(READY)
	@failed=; for file in $$(grep -l "^if __name__" benchmarks/*.py); do $(BIN)/python $$file --quick || failed="$$failed $$file"; done; \
	test -z "$$failed" || { echo "These did not end well:$$failed"; exit 1; }

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

$(LINTERS): docker/linters.txt $(READY)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r docker/linters.txt
	@touch $@
