# What people type. Two Pythons: .venv (torch, the library, the backend) and .venv-qgis (QGIS's own, for the plugin).
PYTHON ?= python3
QGIS_PYTHON ?= /usr/bin/python3
VENV := .venv/bin
VERSION := $(shell sed -n 's/^version=//p' metadata.txt)
PLUGIN := dist/timo_qgis-$(VERSION).zip
# A process a core; a file's tests stay together, with what they share. Each process takes up to 2 GB of memory.
FAULTS := tests/timo_backend/faults
# It judges a time, and so runs alone.
GARBAGE := $(FAULTS)/test_garbage.py
PROCESSES := -n auto --maxprocesses 4 --dist loadfile
PYTEST := $(VENV)/python -m pytest $(PROCESSES)
QGIS_PYTEST := sh tools/in_qgis.sh .venv-qgis/bin/python -m pytest $(PROCESSES) -c tests/qgis_plugin/pytest.ini

.PHONY: help setup demo docs test test-all soak lint bench gpu plugin schemas clean
.DELETE_ON_ERROR:

help:
	@echo "make setup     install what is needed: Debian packages, .venv, .venv-qgis"
	@echo "make demo      the main job, in a real QGIS: train on 4 years of a forest, map its clear-cuts"
	@echo "make docs      the pictures of the user guide, taken in a real QGIS"
	@echo "make test      all tests that CI runs;  make test-all  the long ones too"
	@echo "make soak      whatever may happen to the backend, ten times as often as in test-all: hours"
	@echo "make lint      ruff, mypy, import rules, bandit"
	@echo "make bench     speed and memory, printed and written to benchmarks/results/"
	@echo "make gpu       the models' parity, speed and memory on a CUDA GPU, where there is one"
	@echo "make plugin    build $(PLUGIN);  make schemas  export the specs for its forms"
	@echo "make clean     remove what was built"

setup: .venv/.done .venv-qgis/.done

build/.system: tools/system_packages.sh
	@mkdir -p build
	sh tools/system_packages.sh
	@touch $@

.venv/.done: pyproject.toml constraints.txt metadata.txt | build/.system
	test -x $(VENV)/python || $(PYTHON) -m venv .venv
	$(VENV)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.venv-qgis/.done: tests/qgis_plugin/requirements.txt | build/.system
	test -x .venv-qgis/bin/python || $(QGIS_PYTHON) -m venv --system-site-packages .venv-qgis
	.venv-qgis/bin/python -m pip install --quiet --disable-pip-version-check -r tests/qgis_plugin/requirements.txt
	@touch $@

schemas: .venv/.done
	$(VENV)/python tools/export_schemas.py

plugin: .venv/.done
	$(VENV)/python tools/build_plugin.py

demo: setup plugin
	$(VENV)/python tools/demo.py

docs: setup plugin
	$(VENV)/python tools/docs.py

# One process more than there are cores: tests wait for each other's servers a third of the time.
test: export PYTEST_XDIST_AUTO_NUM_WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
test: setup plugin
	$(PYTEST) -m "not slow"
	$(QGIS_PYTEST) -m "not slow" tests/qgis_plugin

test-all: setup plugin
	TIMO_FAULTS=all $(PYTEST)
	$(QGIS_PYTEST) tests/qgis_plugin

soak: .venv/.done
	TIMO_FAULTS=soak $(VENV)/python -m pytest $(GARBAGE)
	TIMO_FAULTS=soak $(PYTEST) $(FAULTS) --deselect $(GARBAGE)
	TIMO_FAULTS=soak $(PYTEST) -m fault

lint: .venv/.done
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports
	$(VENV)/bandit --quiet --recursive --configfile pyproject.toml qgis_plugin

bench: setup plugin
	$(VENV)/python benchmarks/run.py

gpu: .venv/.done
	$(VENV)/python -m benchmarks.gpu

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
