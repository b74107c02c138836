# `make demo` and `make test` set up all they need in .venv on their first run.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint format bench figures screenshots int8 notebooks messages vendor wheel clean

demo: .venv/core
	@$(BIN)/python examples/demo.py

# Tests of one file run in one process, because they share expensive fixtures; each process needs a gigabyte or two.
test: .venv/dev
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Benchmarks of speed, memory and scale; about twenty minutes on an otherwise idle machine.
bench: .venv/dev
	LANGUAGE=en $(BIN)/python benchmarks/all.py docs/benchmarks.md

# The README's figures, from the two photos that come with scikit-learn.
figures: .venv/dev
	@photos=$$($(BIN)/python -c 'import pathlib, sklearn.datasets as d; print(pathlib.Path(d.__file__).parent / "images")'); \
	export LANGUAGE=en; set -ex; \
	$(BIN)/hashtagger explain "$$photos/china.jpg" --tag 여행 --tag 등산 --out docs/figures/explain-palace.webp; \
	$(BIN)/hashtagger detect "$$photos/china.jpg" --tag 여행 --out docs/figures/detect.webp; \
	$(BIN)/hashtagger features "$$photos/china.jpg" --level 4 --out docs/figures/features.webp

# The bundled int8 network and its measurements. PHOTOS has train/ and a manifest with a split val, as ../shared/photos.
WEIGHTS := weights/drn_c_26-hashtags_ko
int8: .venv/dev
	$(BIN)/hashtagger export --weights $(WEIGHTS).safetensors --int8 --calibrate $(PHOTOS)/train --check $(PHOTOS) \
	    $(WEIGHTS).int8.onnx

# Screenshots of the web page for docs/web.md and the README.
screenshots: .venv/dev
	$(BIN)/python docs/screenshots.py docs/figures

# Re-run the notebooks and save their outputs.
notebooks: .venv/dev
	LANGUAGE=en $(BIN)/jupyter execute --inplace notebooks/*.ipynb

# Compile the translations (.po) to the .mo files that the package reads.
messages: .venv/dev
	$(BIN)/pybabel compile --domain hashtagger --directory src/hashtagger/locale --statistics

# Third-party scripts and map shapes of the web page, from npm packages; committed, so that installing needs no npm.
VENDOR := src/hashtagger/serving/static/vendor
vendor:
	@set -e; folder=$$(mktemp -d); \
	npm pack --silent --pack-destination "$$folder" htmx.org@2.0.11 leaflet@1.9.4 world-atlas@2.0.2 >/dev/null; \
	for package in htmx.org leaflet world-atlas; do \
		mkdir "$$folder/$$package"; \
		tar -xzf "$$folder/$$package"-[0-9]*.tgz -C "$$folder/$$package" --strip-components 1; \
		cp "$$folder/$$package/LICENSE" "$(VENDOR)/$$package.LICENSE"; \
	done; \
	cp "$$folder"/htmx.org/dist/htmx.min.js "$$folder"/leaflet/dist/leaflet.js "$$folder"/leaflet/dist/leaflet.css \
		"$$folder"/world-atlas/countries-50m.json $(VENDOR)/; \
	rm -r "$$folder"

wheel: .venv/dev
	$(BIN)/python -m build --wheel

.venv/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
		{ echo "hashtagger takes Python 3.10 to 3.13: make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing: sudo apt install python3-venv" >&2; exit 1; }
	@$(BIN)/pip install --quiet --upgrade pip
	@touch $@

.venv/core: pyproject.toml | .venv/pip
	@echo "Installing hashtagger and PyTorch into .venv (once, a few minutes)..." >&2
	@$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/dev: pyproject.toml | .venv/pip
	@echo "Installing hashtagger, PyTorch and the test tools into .venv (once, a few minutes)..." >&2
	@$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ .venv/core

clean:
	rm -rf .venv dist demo-output
