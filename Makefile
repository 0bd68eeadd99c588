# One command each; `make` alone lists them. Everything runs in a virtual environment of this folder.

PYTHON ?= python3
TORCH ?= 2.12.1
NEML2 ?= 3.1.0

DEFAULT_TORCH := 2.12.1
VENV ?= .venv$(if $(filter-out $(DEFAULT_TORCH),$(TORCH)),-torch$(TORCH))
BIN := $(VENV)/bin

# Objects built for one torch must not end in a package for another.
BUILD := build/$(notdir $(VENV))
export DIST_EXTRA_CONFIG := $(CURDIR)/$(BUILD)/setup.cfg
# Kernels run serially under our threads; one thread also keeps small tests fast.
export OMP_NUM_THREADS ?= 1

PACKAGE_FILES := pyproject.toml setup.cfg setup.py README.md LICENSE _neml2_aoti_plugin_autoload.py \
    $(shell find csrc neml2_aoti_plugin -name '*.cpp' -o -name '*.h' -o -name '*.py' -o -name '*.pyi' \
        -o -name py.typed | grep -v _built_with.py | sort)

PYTEST_FLAGS ?=
COMPILE_JOBS ?= 2
SMOKE_TESTS ?= tests/test_examples.py tests/model/test_parity.py tests/activation/test_native_models.py
SMOKE_CASES ?= elasticity or chaboche or native_models

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10
	@echo
	@echo "Variables: PYTHON=$(PYTHON) TORCH=$(TORCH) NEML2=$(NEML2) VENV=$(VENV) PYTEST_FLAGS=$(PYTEST_FLAGS)"

# --- environment

.PHONY: venv
venv: $(VENV)/.installed ## create $(VENV) with torch, neml2 and this package, or bring it up to date

$(VENV)/.created-$(TORCH)-$(NEML2):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install setuptools wheel pybind11 ninja torch==$(TORCH) neml2==$(NEML2)
	touch $@

# Installed, not editable: what is tested is what a user gets, and torch cannot trip over a moved checkout.
# The library is linked again each time, its objects are compiled only when a source changed.
$(VENV)/.installed: $(VENV)/.created-$(TORCH)-$(NEML2) $(PACKAGE_FILES)
	mkdir -p $(BUILD)
	rm -rf $(BUILD)/lib*
	printf '[build]\nbuild_base = %s\n' '$(BUILD)' > $(DIST_EXTRA_CONFIG)
	$(BIN)/python -m pip install --no-build-isolation '.[neml2,test,demo]' torch==$(TORCH) neml2==$(NEML2)
	touch $@

# --- work

.PHONY: demo
demo: $(VENV)/.installed ## run a compiled model through cyclic loading, draw and compare it
	$(BIN)/python examples/demo/demo.py

# All artifacts are compiled ahead, two at a time, unless PYTEST_FLAGS chooses among the tests: then
# each is compiled by the first test that needs it. What fails to compile fails again in its test.
.PHONY: test
test: $(VENV)/.installed ## run the tests (PYTEST_FLAGS='-m "not slow"' for the fast ones)
	$(if $(PYTEST_FLAGS),,-$(BIN)/python tests/artifact_cache.py --jobs $(COMPILE_JOBS))
	$(BIN)/pytest $(PYTEST_FLAGS)

.PHONY: smoke
smoke: $(VENV)/.installed ## run the core tests on another torch: make smoke TORCH=2.13.0
	$(BIN)/pytest $(PYTEST_FLAGS) $(SMOKE_TESTS) -k '$(SMOKE_CASES)'

.PHONY: bench
bench: $(VENV)/.installed ## compare the speed with that of neml2's own runtime
	env -u OMP_NUM_THREADS $(BIN)/python benchmarks/compare_runtimes.py

.PHONY: lint
lint: $(VENV)/.installed ## check formatting, style and types
	$(BIN)/clang-format --dry-run -Werror $(filter %.h %.cpp,$(PACKAGE_FILES))
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

.PHONY: golds
golds: $(VENV)/.installed ## write the gold results of inputs/ again, with neml2's native models
	$(BIN)/python inputs/write_golds.py

.PHONY: clean
clean: ## remove builds, caches and demo output; environments stay
	rm -rf build dist *.egg-info .cache .pytest_cache .hypothesis .mypy_cache .ruff_cache examples/demo/output
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
