# `make help` lists what there is. PYTHON=... picks another Python, ARGS=... goes to the command.

PYTHON ?= python3
ARGS ?=

CROSSBAR := $(CURDIR)/.venv-crossbar/bin/crossbar
UV_COMPILE = .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	--no-annotate --no-header --upgrade

# Hundreds of processes start in a run of the tests: none compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test soak soak-hostile lint matrix release bench lock clean \
	environments resolver component-environment crossbar-environment bench-environment python

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do \
		printf 'make %-12s %s\n' "$$name" "$$text"; done

run: environments ## Start PostgreSQL, Crossbar, the example application and the component
	@cd examples/shop && PGWAMP_CROSSBAR=$(CROSSBAR) exec ../../.venv/bin/pgwamp dev $(ARGS)

test: environments ## Run the whole test suite; ARGS="-k name" picks tests
	@PGWAMP_CROSSBAR=$(CROSSBAR) .venv/bin/python -m pytest -n 4 --dist worksteal $(ARGS)

soak: environments ## Kill everything again and again while it works; ARGS="--minutes 60 --seed 1"
	@PGWAMP_CROSSBAR=$(CROSSBAR) .venv/bin/python -m tests.events.oracle $(ARGS)

soak-hostile: environments ## Send hostile calls beside a victim; ARGS="--minutes 60 --seed 1"
	@PGWAMP_CROSSBAR=$(CROSSBAR) .venv/bin/python -m tests.hostile $(ARGS)

lint: component-environment ## Check style, types and the direction of imports
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

matrix: environments resolver ## Run the suite with each Python, PostgreSQL and set of dependencies
	@.venv/bin/python -m tests.matrix $(ARGS)

release: environments ## Build, check and install what a release would publish, and run the shop with it
	@PGWAMP_CROSSBAR=$(CROSSBAR) .venv/bin/python -m tests.packaging.release $(ARGS)

bench: environments bench-environment ## Measure calls per second, beside other ways of serving them
	@PGWAMP_CROSSBAR=$(CROSSBAR) .venv/bin/python -m bench $(ARGS)

lock: resolver ## Take the newest versions that setup.cfg allows into the lock files
	@echo "Locking requirements.txt ..."
	@$(UV_COMPILE) --extra dev --extra test --extra lint -o requirements.txt setup.cfg
	@echo "Locking crossbar/requirements.txt ..."
	@$(UV_COMPILE) -o crossbar/requirements.txt crossbar/requirements.in
	@echo "Locking bench/requirements.txt ..."
	@$(UV_COMPILE) -o bench/requirements.txt bench/requirements.in

resolver: python
	@test -x .venv-lock/bin/uv || { echo "Installing the resolver into .venv-lock ..."; \
		$(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip --quiet install uv; }

clean: ## Remove the environments, caches and build results; the data of `make run` stays
	@rm -rf .venv .venv-crossbar .venv-bench .venv-lock bench/postgraphile/node_modules build dist component/*.egg-info .coverage .hypothesis \
		.mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# The two environments are independent, and each takes about a minute: install them side by side.
environments:
	@$(MAKE) --no-print-directory --silent -j 2 component-environment crossbar-environment

# A lock file names every package, so pip resolves nothing (--no-deps); `pip check` says if one is
# missing. The stamps are copies, not dates: while a lock is unchanged, nothing is installed again.
component-environment: python
	@$(call install,.venv,requirements.txt,the component)
	@# pip's editable install hides this mapping in an import hook, which no type checker or editor sees.
	@ln -sfn ../../schema component/pgwamp/schema
	@cat setup.cfg pyproject.toml | cmp -s - .venv/.project || { \
		echo "Installing pgwamp itself, as a link to this checkout ..."; \
		.venv/bin/python -m pip install --no-deps --no-build-isolation --no-index --editable . \
			> .venv/install.log 2>&1 || $(call failed,.venv); \
		cat setup.cfg pyproject.toml > .venv/.project; }

crossbar-environment: python
	@$(call install,.venv-crossbar,crossbar/requirements.txt,Crossbar)

# PostGraphile needs npm, and is left out without it; a Node.js that it runs on comes with it.
bench-environment: python
	@$(call install,.venv-bench,bench/requirements.txt,the web API to compare with)
	@if ! command -v npm > /dev/null; then echo "npm is missing: PostGraphile is left out."; \
	elif ! cmp -s bench/postgraphile/package-lock.json bench/postgraphile/node_modules/.lock; then \
		echo "Installing PostGraphile to compare with ..."; \
		(cd bench/postgraphile && npm ci --no-audit --no-fund > ../../.venv-bench/npm.log 2>&1 \
			&& cp package-lock.json node_modules/.lock) \
			|| echo "PostGraphile is left out: see .venv-bench/npm.log"; fi

python:
	@test -f .venv/.lock -a -f .venv-crossbar/.lock \
		|| $(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
			2> /dev/null \
		|| { echo "pgwamp needs Python 3.11 or newer with venv, and '$(PYTHON)' is not that:" \
			"install it (Debian: apt install python3-venv) or name it: make PYTHON=python3.12" >&2; \
			exit 1; }

# $(call install,environment,lock file,for whom)
define install
cmp -s $(2) $(1)/.lock || { \
	echo "Installing $$(grep -c '^[a-z].*==' $(2)) packages for $(3) into $(1)," \
		"about a minute ..."; \
	mkdir -p $(1) && rm -f $(1)/.lock $(1)/.project; \
	$(PYTHON) -m venv $(1) > $(1)/install.log 2>&1 \
		&& $(1)/bin/python -m pip install --require-hashes --no-deps -r $(2) \
			>> $(1)/install.log 2>&1 \
		&& $(1)/bin/python -m pip check >> $(1)/install.log 2>&1 \
		&& cp $(2) $(1)/.lock || $(call failed,$(1)); \
	echo "Installed $(3)'s packages."; }
endef

failed = { tail -n 15 $(1)/install.log >&2; \
	echo "The installation failed; all of its output is in $(1)/install.log" >&2; exit 1; }
