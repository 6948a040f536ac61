# Thin: what is computed is in Snakefile and dnalib.
PYTHON ?= python3
PROFILE ?= demo
DATA ?=
SPLIT ?=
CORES ?= all
MAX_MINUTES ?=
SEEDS ?= 0
VARY ?=
SET ?=
EXECUTOR ?= local
PARTITION ?=
ACCOUNT ?=
JOBS ?=
PLACES = --data "$(DATA)" --split "$(SPLIT)"
PACK_PYTHON ?= 3.12
PACK_PRESENT ?=

VENV := .venv
INSTALLED := $(VENV)/installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# The packages' warnings of each other are for their authors, not for whoever reads a log.
export PYTHONWARNINGS ?= ignore::DeprecationWarning

# Threads that wait for each other spin; spinning for less costs a few percent on an idle machine
# and keeps a training several times faster on one that does something else as well.
export GOMP_SPINCOUNT ?= 3000

# As many processes as tests/conftest.py says, and one thread in each: two that wait for each other's
# threads take several times as long. A module's tests, and a notebook's cells, stay together and in
# their order.
SIDE_BY_SIDE := OMP_NUM_THREADS=1
WORKERS := -n auto --dist loadscope --no-loadscope-reorder

.PHONY: book sweep status test unit html lint record report pack clean

book: $(INSTALLED)
	python -m dnalib.workflow book --profile "$(PROFILE)" --cores "$(CORES)" \
	  $(PLACES) --max-minutes "$(MAX_MINUTES)"
	@echo "The book: file://$(CURDIR)/_build/$(PROFILE)/_build/html/index.html"

# Every chapter for each seed: make sweep SEEDS=0-4, on a cluster with EXECUTOR=slurm. VARY="bands 4,10"
# adds a variant for each value of a setting, SET="epochs 6" changes one for all. JOBS is how many may
# be in the cluster's queue at a time, 200 if it is not said.
sweep: $(INSTALLED)
	python -m dnalib.workflow sweep --profile "$(PROFILE)" --cores "$(CORES)" \
	  $(PLACES) --max-minutes "$(MAX_MINUTES)" --seeds "$(SEEDS)" \
	  $(if $(VARY),--vary $(VARY)) $(if $(SET),-p $(SET)) \
	  --executor "$(EXECUTOR)" --partition "$(PARTITION)" --account "$(ACCOUNT)" \
	  --jobs "$(JOBS)"

# How far the profile's last book or sweep is, here or on a cluster.
status: $(INSTALLED)
	python -m dnalib.workflow status --profile "$(PROFILE)"

test: $(INSTALLED)
	$(MAKE) --jobs 2 --output-sync lint html
	$(SIDE_BY_SIDE) python -m pytest $(WORKERS) --nbval-lax --nbval-current-env \
	  --nbval-kernel-startup-timeout 300 book tests

# The library alone, for whoever is changing it: under a minute.
unit: $(INSTALLED)
	$(SIDE_BY_SIDE) python -m pytest -q $(WORKERS) -m "not slow and not golden and not real"

# The book of the recorded run, strictly. A page that it has no more would be tested as well.
html: $(INSTALLED)
	rm -rf _build/html
	jupyter-book build book/ --all -q -n -W --keep-going
	test -f _build/html/index.html

lint: $(INSTALLED)
	ruff check benchmarks dnalib tests
	ruff format --check benchmarks dnalib tests
	mypy

# Keep a run's results for the book: data/recorded, data/weights, notebooks, README. What it lacks, also
# of the appendices, is computed first. Of SEEDS=0-2, the first is the run that all chapters show, and the
# others stand beside it.
record: $(INSTALLED)
	python -m dnalib.recording "$(PROFILE)" --compute $(if $(filter-out file,$(origin SEEDS)),--seeds "$(SEEDS)") $(if $(DATA),--data "$(DATA)") $(if $(SPLIT),--split "$(SPLIT)")

# After a change to a chapter: execute the notebooks again on what is recorded already. They draw a few
# of the real records: DATA and SPLIT say where these are, unless they are found by themselves.
report: $(INSTALLED)
	python -m dnalib.recording small --report \
	  $(if $(DATA),--data "$(DATA)") $(if $(SPLIT),--split "$(SPLIT)")

# Everything that a machine without a network needs, in _build/pack; README.md says how it is used.
pack: $(INSTALLED)
	python -m dnalib.packing --python "$(PACK_PYTHON)" \
	  $(if $(PACK_PRESENT),--present "$(PACK_PRESENT)") \
	  $(if $(DATA),--data "$(DATA)") $(if $(SPLIT),--split "$(SPLIT)")

clean:
	rm -rf _build .snakemake .mypy_cache .pytest_cache .ruff_cache

# What pip installs is compiled by all processors, less other projects' tests; pip takes one for it.
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), f"Python {sys.version.split()[0]} found; the pins are for 3.11 to 3.13. Try: make PYTHON=python3.12"'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --no-compile --upgrade -r requirements.lock
	-$(VENV)/bin/python -m compileall -qq -j 0 -x '/tests/' $(VENV)/lib
	$(VENV)/bin/python -m pip install --no-deps --no-build-isolation --editable .
	touch $@
