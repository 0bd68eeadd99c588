# One command each; `make` alone lists them. Everything runs in a virtual environment of this folder.

PYTHON ?= python3
TORCH ?= 2.12.1
NEML2 ?= 3.1.0

DEFAULT_TORCH := 2.12.1
DEFAULT_NEML2 := 3.1.0
other = $(if $(filter-out $2,$3),-$1$3)
VENV ?= .venv$(call other,torch,$(DEFAULT_TORCH),$(TORCH))$(call other,neml2-,$(DEFAULT_NEML2),$(NEML2))
BIN := $(VENV)/bin

# Objects built for one torch must not end in a package for another.
BUILD := build/$(notdir $(VENV))
export DIST_EXTRA_CONFIG := $(CURDIR)/$(BUILD)/setup.cfg
# Kernels run serially under our threads; one thread also keeps small tests fast.
export OMP_NUM_THREADS ?= 1

PACKAGE_FILES := pyproject.toml setup.cfg setup.py README.md LICENSE \
    _neml2_aoti_plugin_autoload.py _neml2_aoti_plugin_pytest.py \
    $(shell find csrc neml2_aoti_plugin -name '*.cpp' -o -name '*.h' -o -name '*.py' -o -name '*.pyi' \
        -o -name py.typed | grep -v _built_with.py | sort)

PYTEST_FLAGS ?=
BENCH_FLAGS ?=
FUZZ_SECONDS ?= 60
FUZZ_COUNT ?= 10000
SOAK_CALLS ?= 100000
SANITIZER ?= address
COMPILE_JOBS ?= 2
TEST_JOBS ?= 2
# Tests of one file share what it compiles or computes, so they stay together.
spread = -n $(TEST_JOBS) --dist loadfile
# The core of the suite is what another release of torch or neml2 could break.
# Under another neml2 than the usual one every artifact would have to be compiled again, by that release.
# What is its own there (layout, graph signatures, settings in the stub, typed values, drivers) is all in
# the cases that tests are written for. The catalogue of other examples asks nothing further of it and takes
# long to compile, so there only their native models run, which call the solvers of this package. The C++ tests
# know no neml2, and the command line and what pages show are for those who compile with the usual one.
other_neml2 = $(filter-out $(DEFAULT_NEML2),$(NEML2))
CORE_MARKS = not slow$(if $(other_neml2), and not catalogue)
CORE_TESTS ?= tests inputs --ignore tests/test_layers.py --ignore tests/artifact \
    $(if $(other_neml2),--ignore tests/test_cpp.py --ignore tests/cli --ignore tests/test_snippets.py) -m '$(CORE_MARKS)'
MATRIX_TARGET ?= core
MATRIX ?= 2.12.1/3.1.0 2.12.1/3.0.6 2.13.0/3.1.0 2.13.0/3.0.6 2.15.0/3.1.0 2.15.0/3.0.6
SMOKE_TESTS ?= inputs tests/test_examples.py tests/model/test_parity.py tests/activation/test_native_models.py \
    tests/activation/test_import_order.py
SMOKE_CASES ?= elasticity or chaboche or native_models or first_import
# The torch whose artifacts the tests take from their cache, instead of compiling with the installed one.
COMPILED_WITH ?=
junit = $(if $(JUNIT),--junitxml='$(JUNIT)')
# From elsewhere, as here the sources would be imported in place of the package.
report = cd $(VENV) && $(abspath $(BIN)/python) -m neml2_aoti_plugin
compiled_with = $(if $(COMPILED_WITH),NEML2_AOTI_TEST_COMPILED_WITH=$(COMPILED_WITH))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20
	@echo
	@echo "Variables: PYTHON=$(PYTHON) TORCH=$(TORCH) NEML2=$(NEML2) VENV=$(VENV) PYTEST_FLAGS=$(PYTEST_FLAGS)"
	@echo "           BENCH_FLAGS=$(BENCH_FLAGS) MATRIX=$(MATRIX)"
	@echo "           FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_COUNT=$(FUZZ_COUNT) SOAK_CALLS=$(SOAK_CALLS) SANITIZER=$(SANITIZER)"

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
	$(BIN)/python -m pip install --no-build-isolation '.[neml2,cli,jax,test,demo,examples,docs]' torch==$(TORCH) neml2==$(NEML2)
	touch $@

# --- work

.PHONY: demo
demo: $(VENV)/.installed ## run a compiled model through cyclic loading, draw and compare it
	$(BIN)/python examples/demo/demo.py

.PHONY: example-calibration
example-calibration: $(VENV)/.installed ## fit parameters to cyclic tests with torch.optim, through a compiled model
	$(BIN)/python examples/calibration/calibrate.py

.PHONY: example-posterior
example-posterior: $(VENV)/.installed ## sample the posterior of these parameters with pyro
	$(BIN)/python examples/calibration/posterior.py

.PHONY: example-finite-elements
example-finite-elements: $(VENV)/.installed ## stretch a plate with a hole, with scikit-fem around a compiled model
	$(BIN)/python examples/finite_elements/plate.py

.PHONY: example-composed
example-composed: $(VENV)/.installed ## run a native material around a compiled flow rule, draw and compare it
	$(BIN)/python examples/composed/composed.py

# Artifacts are compiled ahead, two at a time, unless PYTEST_FLAGS chooses among the tests: then
# each is compiled by the first test that needs it. What fails to compile fails again in its test.
# The catalogue is a third of all compiling. Of its cases, `test` runs the native models alone.
.PHONY: test
test: $(VENV)/.installed ## run the tests, all but the compiled models of the catalogue (PYTEST_FLAGS='-k chaboche' for some)
	$(if $(PYTEST_FLAGS),,-$(BIN)/python tests/artifact_cache.py --jobs $(COMPILE_JOBS) --without-catalogue)
	$(BIN)/pytest $(spread) -m 'not catalogue' $(PYTEST_FLAGS)

.PHONY: test-all
test-all: $(VENV)/.installed ## run all tests, for which all examples are compiled
	-$(BIN)/python tests/artifact_cache.py --jobs $(COMPILE_JOBS)
	$(BIN)/pytest $(spread)

.PHONY: sanitize
sanitize: $(VENV)/.installed ## run the C++ tests with the address, undefined and thread sanitizers
	NEML2_AOTI_TEST_SANITIZE=address $(BIN)/pytest tests/test_cpp.py -k 'without_torch'
	NEML2_AOTI_TEST_SANITIZE=undefined $(BIN)/pytest tests/test_cpp.py -k 'without_torch'
	NEML2_AOTI_TEST_SANITIZE=thread $(BIN)/pytest tests/test_cpp.py -k 'without_torch'

# The extension is built once more, in a folder of its own, and imported from there.
SANITIZED := build/sanitized-$(SANITIZER)
.PHONY: sanitize-python
sanitize-python: $(VENV)/.installed ## call models with SANITIZER=address, undefined or thread built into the extension
	NEML2_AOTI_SANITIZE=$(SANITIZER) $(BIN)/python setup.py -q build --build-base $(SANITIZED) --build-lib $(SANITIZED)/lib
	$(BIN)/python tests/sanitized.py $(SANITIZER) $(SANITIZED)/lib

.PHONY: fuzz-metadata
fuzz-metadata: $(VENV)/.installed ## look for metadata that break the reader, guided by coverage (FUZZ_SECONDS=60)
	$(BIN)/python -m pip install -q atheris
	$(BIN)/python fuzz/metadata.py --seconds $(FUZZ_SECONDS)

.PHONY: fuzz-documents
fuzz-documents: $(VENV)/.installed ## read metadata mutated at random, and tabulate the refusals (FUZZ_COUNT=10000)
	$(BIN)/python fuzz/metadata.py --count $(FUZZ_COUNT)

.PHONY: fuzz-cpp
fuzz-cpp: $(VENV)/.installed ## look for inputs that break shapes, blocks and LU of the core (FUZZ_SECONDS=60; needs clang++)
	$(BIN)/python fuzz/cpp_targets.py --seconds $(FUZZ_SECONDS)

.PHONY: fuzz-packages
fuzz-packages: $(VENV)/.installed ## load artifacts with damaged graphs, and tabulate the refusals (FUZZ_COUNT=10000)
	$(BIN)/python fuzz/packages.py --count $(FUZZ_COUNT)

.PHONY: soak
soak: $(VENV)/.installed ## call models again and again and watch what the process holds (SOAK_CALLS=100000)
	$(BIN)/python benchmarks/soak.py --calls $(SOAK_CALLS)

.PHONY: smoke
smoke: $(VENV)/.installed ## run a few central tests on another torch: make smoke TORCH=2.13.0
	$(report)
	$(compiled_with) $(BIN)/pytest $(spread) -m 'not catalogue' $(PYTEST_FLAGS) $(junit) $(SMOKE_TESTS) -k '$(SMOKE_CASES)'

.PHONY: core
core: $(VENV)/.installed ## run the core tests: make core TORCH=2.13.0 NEML2=3.0.6
	$(report)
	$(compiled_with) $(BIN)/pytest $(spread) $(PYTEST_FLAGS) $(junit) $(CORE_TESTS)

.PHONY: test-matrix
test-matrix: ## run the core tests (or MATRIX_TARGET=smoke) on every torch/neml2 of MATRIX, and tabulate
	COMPILED_WITH='$(COMPILED_WITH)' $(PYTHON) tests/matrix.py --target $(MATRIX_TARGET) $(MATRIX)

.PHONY: writers
writers: $(VENV)/.installed ## measure the artifacts of five releases of neml2, and print the table of docs/compatibility.md
	$(BIN)/python tests/model/writers.py

.PHONY: bench
bench: $(VENV)/.installed ## compare the speed with that of neml2's own runtime (BENCH_FLAGS=--quick)
	env -u OMP_NUM_THREADS $(BIN)/python benchmarks $(BENCH_FLAGS)

.PHONY: bench-gradients
bench-gradients: $(VENV)/.installed ## measure what the gradient of a history costs (BENCH_FLAGS='--rows 1 1024')
	env -u OMP_NUM_THREADS $(BIN)/python benchmarks/gradients.py $(BENCH_FLAGS)

.PHONY: lint
lint: $(VENV)/.installed ## check formatting, style and types
	$(BIN)/clang-format --dry-run -Werror $(filter %.h %.cpp,$(PACKAGE_FILES))
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

.PHONY: docs
docs: $(VENV)/.installed ## build the site of docs/, in docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build/html

.PHONY: first-plot
first-plot: ## time the first commands of README, in a fresh clone and an empty environment
	$(PYTHON) tests/first_plot.py

.PHONY: golds
golds: $(VENV)/.installed ## write the gold results of inputs/ again, with neml2's native models
	$(BIN)/python inputs/write_golds.py

.PHONY: clean
clean: ## remove builds, caches and written results; environments stay
	rm -rf build dist *.egg-info .cache .pytest_cache .hypothesis .mypy_cache .ruff_cache examples/*/output benchmarks/results docs/_build
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
