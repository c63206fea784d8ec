# Everything a newcomer types. Each target makes the virtual environment that it needs, and says so.

VENV := .venv
# Not `PYTHON`: that is the name for which `PYTHON=/path/to/python3 make` is read (scripts/setup.sh).
IN_VENV := $(VENV)/bin/python
FUZZ_CASES := 100000
SOAK_SECONDS := 600
SOAK_REQUESTS := 300000
BOOKS := 100000
ROWS := 10000000
# On all cores and two more (tests/conftest.py); the tests of one file stay together, since they share what they
# start. Files in their own order: by default those with few tests come last, and the longest tests stand alone in theirs.
SIDE_BY_SIDE := -n auto --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help run test books clients test-all soak lint format docs bench bench-analytics bench-strategies

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.run ## Set up and show the gateway at work: simulated provider, sample traffic (ARGS="--port N")
	@echo "Starting headgate demo"
	@$(VENV)/bin/headgate demo $(ARGS)

# What was compiled once is kept, whatever the environment says: each of the test processes loads all tests.
test: $(VENV)/.dev ## Set up and run all tests (ARGS="tests/config -k NAME")
	@echo "Running the tests"
	@PYTHONDONTWRITEBYTECODE= $(IN_VENV) -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-all: $(VENV)/.dev ## The same with forty times as many fuzz cases, every start a fresh one: takes hours (FUZZ_CASES=N)
	@echo "Running the tests, with $(FUZZ_CASES) cases of each fuzz test"
	@HEADGATE_TEST_FUZZ_CASES=$(FUZZ_CASES) HEADGATE_TEST_STARTS=installed $(IN_VENV) -m pytest --timeout 0 $(SIDE_BY_SIDE) $(ARGS)

soak: $(VENV)/.dev ## Two gateways under all that may happen, for ten minutes; memory over 300 000 requests (SOAK_SECONDS=N, SOAK_REQUESTS=N)
	@echo "Soaking for $(SOAK_SECONDS) seconds, then with $(SOAK_REQUESTS) requests"
	@HEADGATE_TEST_SOAK_SECONDS=$(SOAK_SECONDS) HEADGATE_TEST_MEMORY_REQUESTS=$(SOAK_REQUESTS) HEADGATE_TEST_MEMORY_WARM_UP=60000 \
		$(IN_VENV) -m pytest --timeout 0 -s tests/journeys/test_soak.py tests/journeys/test_memory.py $(ARGS)

books: $(VENV)/.dev ## Usage and cost of 100 000 requests against the provider's books, with a death every few seconds (BOOKS=N)
	@echo "Asking $(BOOKS) requests on each database"
	@HEADGATE_TEST_BOOKS=$(BOOKS) $(IN_VENV) -m pytest --timeout 0 -s tests/journeys/test_books.py $(ARGS)

clients: $(VENV)/.dev ## Install the real command-line clients (about 400 MB) and drive them (ARGS="-k NAME")
	@bash scripts/clients.sh
	@echo "Driving the real clients"
	@$(IN_VENV) -m pytest tests/clients $(ARGS)

lint: $(VENV)/.dev ## Check style, types, imports between rooms, and the repository's own rules
	@echo "Checking style"
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@echo "Checking types"
	@$(VENV)/bin/mypy
	@echo "Checking imports between rooms"
	@$(VENV)/bin/lint-imports
	@echo "Checking the repository's own rules"
	@$(IN_VENV) -m scripts.check_repository

format: $(VENV)/.dev ## Mend what can be mended by itself
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

docs: $(VENV)/.run ## Write the generated pages anew
	@$(IN_VENV) -m scripts.generate_docs

bench: $(VENV)/.dev ## Measure against nginx, side by side (ARGS="--rounds 1 --only small")
	@echo "Measuring: takes a few minutes and both cores"
	@$(IN_VENV) -m bench $(ARGS)

bench-analytics: $(VENV)/.dev ## Ten million requests made, summed and asked, on both databases (ROWS=1000000, ARGS="--only sqlite")
	@echo "Making a long history twice: takes a while and some 10 GB of disk"
	@$(IN_VENV) -m bench.analytics --rows $(ROWS) $(ARGS)

bench-strategies: $(VENV)/.dev ## Compare the strategies on twenty made-up days (ARGS="--seeds 3 --only session,headroom")
	@echo "Letting twenty days pass by each strategy: takes some minutes and all cores"
	@$(IN_VENV) -m bench.strategies $(ARGS)

$(VENV)/.run: pyproject.toml constraints.txt scripts/setup.sh
	@bash scripts/setup.sh run

$(VENV)/.dev: $(VENV)/.run
	@bash scripts/setup.sh dev
