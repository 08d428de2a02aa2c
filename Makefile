# Every target makes what it needs; `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV    := .venv
PY      := $(VENV)/bin/python
COMPOSE ?= docker compose
# with byte code on disk, as an installed program has it: the tests start the exporter hundreds of times. Go's programs look
# for garbage four times less often: promtool's tests of the rules take a quarter less
PYTEST  := PYTHONDONTWRITEBYTECODE= GOGC=400 $(PY) -m pytest
# four processes for two processors: many tests wait for other programs. A file stays together, for its fixtures
PARALLEL ?= -n 4 --dist loadfile --no-loadscope-reorder
# the newest suitable interpreter on this machine
PYTHON  ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: help
help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Use it

.PHONY: run
run: $(VENV)/.run ## run the exporter alone on SQLite under data/ (ARGS="--log.level debug" adds flags)
	@mkdir -p data
	@exec $(VENV)/bin/device-exporter serve $(ARGS)

.PHONY: setup
setup: ## ask what the stack should know (language, address, whom to tell), try it, write .env
	@$(or $(PYTHON),python3) -m scripts.setup

.PHONY: up
up: ## bring the whole stack up, or take a changed .env into use, and wait until it is healthy
	@scripts/upgrade.sh up

.PHONY: down
down: ## stop the stack; the volumes stay
	$(COMPOSE) --profile '*' down

.PHONY: secret
secret: ## print the webhook secret of the running stack
	@$(COMPOSE) exec -T exporter sh -c 'cat /run/secrets/webhook_secret 2>/dev/null || cat /data/webhook-secret'

.PHONY: password
password: ## print the password of the user admin, for the exporter's pages and Grafana, that the first start made
	@$(COMPOSE) exec -T exporter cat /rendered/exporter-password; echo

.PHONY: reload
reload: ## take changed files of config/ and secrets/ into use, without a gap
	$(COMPOSE) run --rm --no-deps -T settings
	$(COMPOSE) kill -s HUP exporter alertmanager prometheus

.PHONY: backup
backup: ## write backups/TIME.tar: all that is yours, without stopping anything
	@scripts/backup.sh backup

.PHONY: restore
restore: ## put a backup back: make restore FILE=backups/TIME.tar
	@scripts/backup.sh restore "$(FILE)"

.PHONY: upgrade
upgrade: ## back up, then build or pull and start what .env and this checkout name
	@scripts/upgrade.sh upgrade

.PHONY: rollback
rollback: ## go back to the images and the backup from before the last upgrade
	@scripts/upgrade.sh rollback

.PHONY: demo
demo: $(VENV)/.run programs ## a month of history and a live fleet without Docker; with Grafana: COMPOSE_PROJECT_NAME=demo docker compose --profile demo up -d --wait
	@exec $(PY) -m scripts.demo $(ARGS)

## Work on it

.PHONY: venv
venv: $(VENV)/.dev ## create .venv with everything that development needs

.PHONY: programs
programs: # what the demo needs of the tools
	@scripts/get_tools.sh

.PHONY: tools
tools: ## fetch prometheus, promtool, alertmanager, amtool, helm, Caddy, axe and the Pushgateway (for a benchmark) into .tools/bin
	@scripts/get_tools.sh prometheus-pushgateway helm caddy axe

.PHONY: lint
lint: $(VENV)/.dev ## ruff check, ruff format --check, mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

.PHONY: format
format: $(VENV)/.dev ## let ruff mend and format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: test
test: $(VENV)/.dev tools lint ## the tests of every day, some minutes on two cores (ARGS="-k timeline" chooses)
	$(PYTEST) $(PARALLEL) -m "not slow" $(ARGS)

.PHONY: test-slow
test-slow: $(VENV)/.dev tools ## long campaigns, months of history and the benchmarks' own tests
	$(PYTEST) $(PARALLEL) -m slow $(ARGS)

.PHONY: test-all
test-all: test test-slow stack-test ## every test there is

.PHONY: stack-test
stack-test: $(VENV)/.dev ## the whole stack on a real Docker engine, as a newcomer brings it up
	STACK_TEST=1 $(PYTEST) -s -v --timeout 1200 tests/stack $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev tools ## every benchmark in one table, saved as docs/benchmarks.md (ARGS="--only webhook" chooses)
	@$(PY) -m bench $(ARGS)

.PHONY: generate
generate: $(VENV)/.dev tools ## write the generated files: SLO rules, dashboards, parts of the chart
	$(PY) prometheus/slo_rules.py
	$(PY) -m grafana.build
	$(PY) -m scripts.chart --example

.PHONY: check-generated
check-generated: generate ## fail when a generated file differs from what is committed
	git diff --exit-code -- grafana/dashboards prometheus/rules deploy

.PHONY: requirements
requirements: ## pin the container's dependencies with hashes (UPGRADE=1 takes newer ones)
	UPGRADE=$(UPGRADE) scripts/requirements.sh

.PHONY: clean
clean: ## remove what the targets above made, except data/ and backups/
	rm -rf $(VENV) .tools .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp holds until pyproject.toml changes. `make run` takes the first one only: no development dependencies.
$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "could not create a virtual environment (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	@echo "installing the exporter into $(VENV)"
	@set -o pipefail; $(PY) -m pip install --disable-pip-version-check -e . | sed -u -n 's/^ *\(Collecting\|Downloading\|Installing\|Successfully\)/  \1/p'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing the development dependencies into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.run
