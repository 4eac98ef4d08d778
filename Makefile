# Three commands do everything on a fresh machine: `make demo`, `make test` and `make docs`.
PYTHON ?= python3
BIN := .venv/bin
# torch is pinned in the same command as everything that needs it: a bare `torch` may pull gigabytes of CUDA packages.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

CASES ?= 3000

.PHONY: install demo docs dist test test-slow test-processors mutants fuzz lint format bench guard clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed. Got " + sys.version.split()[0] + " instead. Name another with `make PYTHON=...`.")'
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --editable .
	@touch $@

.venv/tested: .venv/installed
	$(PIP_INSTALL) --editable '.[test,lint]'
	@touch $@

demo: install
	$(BIN)/vaekit train digits --recipe digits --out runs/digits
	$(BIN)/vaekit evaluate runs/digits
	$(BIN)/vaekit report runs/digits

# A process for each core: one alone would take twice as long on two.
test: .venv/tested
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

# Builds the site into build/site. Every block of code on its pages is run, and a warning or a broken link is an error.
docs: .venv/documented
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

.venv/documented: .venv/installed
	$(PIP_INSTALL) --editable '.[docs]'
	@touch $@

# Builds wheel and sdist into dist, and runs the first lines of the README with the wheel alone.
dist: .venv/installed
	$(PIP_INSTALL) --editable '.[dist]'
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	sh tests/first_lines.sh $(PYTHON)

test-slow: .venv/tested
	$(BIN)/python -m pytest -m slow

# Rounding differs between processors: the tests that compare numbers, with the kernels that others would choose.
# `make test-processors PROCESSORS=default` tries one of them alone.
PROCESSORS ?= default avx2 sse41 bf16 threads
PROCESSOR_default = ATEN_CPU_CAPABILITY=default
PROCESSOR_avx2 = ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
PROCESSOR_sse41 = ONEDNN_MAX_CPU_ISA=SSE41
PROCESSOR_bf16 = ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16
PROCESSOR_threads = OMP_NUM_THREADS=2
NUMERICAL = $(addprefix tests/,distributions evaluation models networks objectives training/test_loop_oracle.py \
	test_conditional.py test_contracts.py test_estimator.py test_run.py test_table_run.py)

test-processors: $(addprefix test-processor-,$(PROCESSORS))

test-processor-%: .venv/tested
	env $(PROCESSOR_$*) $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal $(NUMERICAL)

# Faults put in on purpose, each of which a test must find: some minutes.
mutants: .venv/tested
	$(BIN)/python tests/mutants.py
# Damaged and hostile inputs of each form, the same ones each time; minutes. On Linux.
fuzz: .venv/tested
	@for script in tests/fuzz/fuzz_*.py; do \
		echo "$$script"; $(BIN)/python "$$script" --cases $(CASES) --seed 0 || failed=1; \
	done; exit $${failed:-0}

lint: .venv/tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Training and verbs beside others; the peers' environment is made on first use. Wants an idle machine and the data folder.
bench: .venv/tested
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/scaling.py

guard: .venv/tested
	$(BIN)/python benchmarks/guard.py

format: .venv/tested
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
