# seg-edge. `make demo` and `make test` need Python >= 3.10 with headers, a C compiler and make; everything else is installed into .venv.
PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= all,dev
BIN := $(VENV)/bin
PY := $(BIN)/python
SEG := $(BIN)/seg-edge
STAMP := $(VENV)/.installed
AARCH64_CC ?= aarch64-linux-gnu-gcc
QEMU_AARCH64 ?= qemu-aarch64-static
CLANG ?= clang
SECONDS ?= 60
CORPUS := tests/runtime/csrc/corpus
KERNELS := CMakeLists.txt $(wildcard runtime/csrc/*)

# Compiled modules are kept, whatever the shell says: the tests start hundreds of processes, and each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check docs wheel format bench table asan tsan fuzz coverage aarch64 avx512 clean

help:  ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(STAMP)  ## Create .venv and install seg-edge into it

$(STAMP): pyproject.toml __init__.py $(KERNELS)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("seg-edge needs Python 3.10 or newer, and %s is %d.%d; pass another: make PYTHON=python3.12 …" % (sys.executable, *sys.version_info[:2]))'
	@$(PYTHON) -c 'import os, sys, sysconfig; d = sysconfig.get_paths()["include"]; os.path.exists(d + "/Python.h") or sys.exit("the C headers of %s are missing (%s/Python.h); install them (Debian: apt-get install python3-dev)" % (sys.executable, d))'
	@command -v $${CC:-cc} >/dev/null || { echo "no C compiler found (cc); install one (Debian: apt-get install gcc)" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python -m venv failed; install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	@# Apart: pip 23 can't resolve these together with the rest. Without them `make test` skips what needs an S3 server or a cluster.
	@test "$(EXTRAS)" != all,dev || $(BIN)/pip install --quiet --disable-pip-version-check -e '.[servers]' || \
		echo "no S3 server, no Ray and no ncnn for the tests: those that need them are skipped" >&2
	@# The GUI build of OpenCV needs libGL; on a machine without it everything but the window works with the headless build.
	@$(PY) -c 'import cv2' 2>/dev/null || { echo "OpenCV's window build does not load here (libGL is missing): using its headless build; no --sink window"; \
		$(BIN)/pip uninstall --quiet --yes opencv-python && $(BIN)/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps opencv-python-headless; }
	@touch $@

demo: setup  ## Train, export, verify, run and measure on generated street scenes (about 5 minutes on 2 cores after installation)
	@SEG=$(SEG) sh benchmarks/demo.sh demo

# Threads of OpenMP sleep while they wait for each other: the tests share the cores, and spinning doubles what a small training costs.
test: export OMP_WAIT_POLICY ?= passive
test: setup  ## Run the tests
	$(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: setup  ## Lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p build/mypy && ln -sfn ../.. build/mypy/seg_edge
	$(BIN)/mypy
	@git ls-files 'runtime/csrc/*.[ch]' 'runtime/cuda/*.h' 'runtime/cuda/*.cu' 'tests/**/*.[ch]' | xargs -r $(BIN)/clang-format --dry-run --Werror

$(VENV)/.docs: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs  ## Build the documentation's site into build/site; any warning is an error
	@mkdir -p build/mypy && ln -sfn ../.. build/mypy/seg_edge
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

wheel: setup  ## Build sdist and wheel into dist, and run the wheel in a bare environment without a compiler
	.ci/wheel $(PY)

format: setup  ## Format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@git ls-files 'runtime/csrc/*.[ch]' 'runtime/cuda/*.h' 'runtime/cuda/*.cu' 'tests/**/*.[ch]' | xargs -r $(BIN)/clang-format -i

asan: setup  ## Kernel tests under the address and undefined-behaviour sanitizers
	$(BIN)/cmake -S tests/runtime/csrc -B build/asan -G "Unix Makefiles"
	$(BIN)/cmake --build build/asan
	build/asan/fuzz_kernels
	build/asan/replay $(CORPUS)
	build/asan/pool_test

tsan: setup  ## The kernels' pool under the thread sanitizer
	$(BIN)/cmake -S tests/runtime/csrc -B build/tsan -G "Unix Makefiles" -DSANITIZE=thread
	$(BIN)/cmake --build build/tsan
	build/tsan/fuzz_kernels 500

fuzz: setup  ## libFuzzer on every entry of segedge.h, SECONDS (60) each, under sanitizers (clang)
	@command -v $(CLANG) >/dev/null || { echo "make fuzz: $(CLANG) not found; install it (Debian: apt-get install clang libclang-rt-dev)" >&2; exit 1; }
	$(PY) tests/runtime/csrc/fuzz.py --seconds $(SECONDS) --cmake $(BIN)/cmake --clang $(CLANG)

coverage: setup  ## Lines of the kernels that their tests run: at least 95 % of each file (gcc)
	VENV=$(VENV) .ci/coverage

aarch64: setup  ## Cross-compile the kernels for 64-bit Arm, run them under qemu: NEON against scalar
	@for tool in $(AARCH64_CC) $(QEMU_AARCH64); do command -v $$tool >/dev/null || { echo "make aarch64: $$tool not found; install it \
	(Debian: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)" >&2; exit 1; }; done
	$(BIN)/cmake -S tests/runtime/csrc -B build/aarch64 -G "Unix Makefiles" -DSANITIZE= -DCMAKE_SYSTEM_NAME=Linux \
		-DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=$(AARCH64_CC) -DCMAKE_EXE_LINKER_FLAGS=-static
	$(BIN)/cmake --build build/aarch64
	$(QEMU_AARCH64) build/aarch64/fuzz_kernels 600
	$(QEMU_AARCH64) build/aarch64/replay $(CORPUS)

avx512: setup  ## AVX-512 kernels with the instructions emulated in C (SIMDe), against scalar: on any x86-64
	@test -e /usr/include/simde/x86/avx512.h || { echo "make avx512: SIMDe's headers not found; install them \
	(Debian: apt-get install libsimde-dev)" >&2; exit 1; }
	$(BIN)/cmake -S tests/runtime/csrc -B build/avx512 -G "Unix Makefiles" -DSANITIZE= \
		-DSEG_EDGE_EMULATE_AVX512=$(CURDIR)/tests/runtime/csrc/emulate_avx512.h
	$(BIN)/cmake --build build/avx512
	build/avx512/fuzz_kernels 1500
	build/avx512/replay $(CORPUS)

bench: setup  ## Measure the quick set into build/bench, under 5 minutes; MODEL=artefact adds the end-to-end benchmark
	$(PY) benchmarks/kernels.py
	$(SEG) bench $(or $(MODEL),tests/data/street.int8.onnx) --threads 1,2 --source camera:30 --duration 5 \
		--json build/bench/bench.json --html build/bench/bench.html --csv build/bench/bench.csv --plots build/bench
	$(PY) benchmarks/roofline.py
	@test -z "$(MODEL)" || $(PY) benchmarks/end_to_end.py --model "$(MODEL)" --duration 10

table: setup  ## Re-run the published networks beside ours into build/bench, under 10 minutes on 2 cores; MODEL=artefact adds it
	$(SEG) bench --table $(MODEL) --wait 60 --json build/bench/table.json --html build/bench/table.html --plots build/bench/table

clean:  ## Remove everything that make made
	rm -rf $(VENV) build demo .pytest_cache .mypy_cache .ruff_cache
