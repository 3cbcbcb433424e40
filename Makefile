# Two commands for everybody: `make demo` and `make test`. Everything else serves them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
ONCE   ?= 0
TESTS  ?= tests
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test check check-types check-dashboard format hub dashboard bench fuzz fuzz-rest soak faults loss simulate cluster model lock long docs looks screenshots clean chromium

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

# One environment for people who run Writ, and the same with the test tools for those who build it.
$(VENV)/.hub: requirements/hub.txt pyproject.toml
	@echo "setting up $(VENV) (hub) ..." >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/hub.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	@echo "setting up $(VENV) (development) ..." >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(VENV)/.hub $@

# The dashboard's pages, built once from sources without a Node of the machine's own. Where npm's
# registry cannot be reached, everything else goes on.
WRIT_DASHBOARD_WORK ?= build/dashboard
export WRIT_DASHBOARD_WORK

dashboard: $(VENV)/.hub ## build the dashboard, when its sources have changed
	@$(BIN)/python -m controlplane.dashboard.build --if-possible

demo: $(VENV)/.hub dashboard ## the main job on real input, start to finish (ONCE=1: exit when done)
	@ONCE=$(ONCE) $(BIN)/python -m examples.demo

hub: $(VENV)/.hub dashboard ## a hub on http://127.0.0.1:8080
	@$(BIN)/writ hub run

# Hundreds of processes are started: what they import has to be compiled once, not by each.
test: $(VENV)/.dev chromium dashboard ## the tests, against real servers, within twenty minutes
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(TESTS) -n $(JOBS) --dist loadfile --no-loadscope-reorder -q -m "not long"

long: $(VENV)/.dev chromium dashboard ## what `make test` leaves out to keep within its time
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(TESTS) -n $(JOBS) --dist loadfile --no-loadscope-reorder -q -m long

# Debian's browser for the dashboard's tests, where we may install it; elsewhere another one is taken,
# or they are skipped by name. WRIT_TEST_CHROME names yours.
SHELL_PACKAGE := chromium-headless-shell
chromium:
	@command -v $${WRIT_TEST_CHROME:-$(SHELL_PACKAGE)} >/dev/null 2>&1 \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
	    && echo "installing $(SHELL_PACKAGE) for the dashboard's tests ..." >&2 \
	    && { apt-get install -y -qq --no-install-recommends $(SHELL_PACKAGE) >/dev/null 2>&1 \
	      || { apt-get update -qq >/dev/null 2>&1 \
	        && apt-get install -y -qq --no-install-recommends $(SHELL_PACKAGE) >/dev/null 2>&1; }; }; } \
	  || command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 \
	  || echo "no chromium: the dashboard's tests will be skipped" >&2

check: $(VENV)/.dev ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(MAKE) --no-print-directory -j 2 check-types check-dashboard
	@$(BIN)/lint-imports --no-cache
	@sh .ci/hygiene

check-types: $(VENV)/.dev
	@$(BIN)/mypy

check-dashboard: $(VENV)/.dev
	@$(BIN)/python -m controlplane.dashboard.build --check --if-possible

format: $(VENV)/.dev ## put the code into its one form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

fuzz: $(VENV)/.dev ## three minutes of hostile frames
	@$(BIN)/python -m tests.protocol.fuzz_envelope --seconds 180

fuzz-rest: $(VENV)/.dev ## ten minutes of hostile requests to every operation, on both databases
	@$(BIN)/python -m tests.controlplane.rest.fuzz --seconds 300
	@$(BIN)/python -m tests.controlplane.rest.fuzz --seconds 300 --postgres

faults: $(VENV)/.dev ## kill -9 at every named point, on both databases, many times over
	@WRIT_FAULT_ROUNDS=10 $(BIN)/python -m pytest tests/faults -q --timeout=1800

SEEDS ?= 100

simulate: $(VENV)/.dev ## SEEDS (100) lives of hub and agent in a simulated world (SEED=n: from that one on)
	@$(BIN)/python -m tests.simulator --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

SOAK_MINUTES ?= 60

soak: $(VENV)/.dev ## steady load for SOAK_MINUTES (60): memory, handles, latency, and whether anything grows
	@mkdir -p build
	@$(BIN)/python -m tests.soak --minutes $(SOAK_MINUTES) --plot build/soak.svg

ORDERS ?= 100000

loss: $(VENV)/.dev ## 100,000 orders (ORDERS=n) while hubs, agents, Postgres and NATS die: none lost, none twice
	@$(BIN)/python -m tests.faults.loss --orders $(ORDERS) $(if $(SEED),--seed $(SEED))

model: $(VENV)/.dev ## every order of events a small world can meet, deeper and longer than in the tests
	@WRIT_MODEL_DEPTH=8 WRIT_MODEL_WALKS=2000 $(BIN)/python -m pytest tests/model -q -s --timeout=3600

cluster: $(VENV)/.dev ## two hub processes, NATS and sleep: 20 rounds of kills in mid-order
	@WRIT_CLUSTER_ROUNDS=20 WRIT_CLUSTER_ORDERS=60 $(BIN)/python -m pytest tests/cluster/test_killed_processes.py -q -s --timeout=3600

$(VENV)/.bench: requirements/bench.txt $(VENV)/.dev
	@$(PIP) install --require-hashes -r requirements/bench.txt
	@touch $@

# What people use instead is measured beside it where its server is, or can be had, and else named.
bench: $(VENV)/.bench ## the numbers: one run, one report in docs/reference/benchmarks.md (BENCH="--quick" for a look)
	@command -v redis-server >/dev/null 2>&1 \
	  || { [ "$$(id -u)" = 0 ] && { apt-get install -y -qq --no-install-recommends redis-server >/dev/null 2>&1 \
	    || { apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq --no-install-recommends redis-server >/dev/null 2>&1; }; }; } \
	  || echo "no redis-server: Celery will be left out" >&2
	@$(BIN)/python -m tests.benchmarks $(BENCH)

lock: $(VENV)/.dev ## resolve requirements/*.txt anew (hashes, no addresses)
	@$(PIP) install uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra hub --extra s3 pyproject.toml requirements/build.in -o requirements/hub.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra hub --extra postgres --extra s3 --extra nats --extra dev pyproject.toml requirements/build.in -o requirements/dev.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --constraint requirements/dev.txt requirements/bench.in -o requirements/bench.txt

looks: $(VENV)/.dev chromium dashboard ## the dashboard's tests, every page in each scheme at each width
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest tests/browser -q

screenshots: $(VENV)/.dev chromium dashboard ## take the pictures of the dashboard's docs anew
	@mkdir -p build/screenshots
	@WRIT_SCREENSHOTS=$(CURDIR)/build/screenshots $(BIN)/python -m pytest tests/browser -q
	@for one in docs/dashboard/*.png; do cp build/screenshots/$$(basename $$one) $$one || exit 1; done

docs: $(VENV)/.dev ## write docs/reference/cli.md and settings.md anew
	@$(BIN)/python -m docs.generate

clean: ## remove what the other targets made
	@rm -rf $(VENV) .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis controlplane/dashboard/dist
