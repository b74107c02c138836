# `make demo` and `make test` set up all they need in .venv on their first run.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint format bench figures screenshots int8 notebooks messages vendor wheel clean

demo: .venv/core
	@$(BIN)/python examples/demo.py

# A file's tests stay together, as they share what is dear to make; a process takes a gigabyte or two.
test: .venv/dev
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Speed, memory and scale of this machine, which should do nothing else for those twenty minutes.
bench: .venv/dev
	LANGUAGE=en $(BIN)/python benchmarks/all.py docs/benchmarks.md

# The pictures of the README, from the two photos that come with scikit-learn.
figures: .venv/dev
	@photos=$$($(BIN)/python -c 'import pathlib, sklearn.datasets as d; print(pathlib.Path(d.__file__).parent / "images")'); \
	export LANGUAGE=en; set -ex; \
	$(BIN)/hashtagger explain "$$photos/china.jpg" --tag 여행 --tag 등산 --out docs/figures/explain-palace.webp; \
	$(BIN)/hashtagger detect "$$photos/china.jpg" --tag 여행 --out docs/figures/detect.webp; \
	$(BIN)/hashtagger features "$$photos/china.jpg" --level 4 --out docs/figures/features.webp

# The bundled int8 network and its figures, from photos like ../shared/photos (train/, and a manifest with a split val).
WEIGHTS := weights/drn_c_26-hashtags_ko
int8: .venv/dev
	$(BIN)/hashtagger export --weights $(WEIGHTS).safetensors --int8 --calibrate $(PHOTOS)/train --check $(PHOTOS) \
	    $(WEIGHTS).int8.onnx

# Pictures of the web page for docs/web.md and the README.
screenshots: .venv/dev
	$(BIN)/python docs/screenshots.py docs/figures

# Run the notebooks anew and keep what they show.
notebooks: .venv/dev
	LANGUAGE=en $(BIN)/jupyter execute --inplace notebooks/*.ipynb

# Korean messages: after editing the .po, compile the .mo that the package reads.
messages: .venv/dev
	$(BIN)/pybabel compile --domain hashtagger --directory src/hashtagger/locale --statistics

# Scripts and shapes of others that the web page uses, from their npm packages; committed, so that nobody else needs npm.
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
