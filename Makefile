# Everything a reader runs. Each target sets up .venv by itself; nothing needs root, LaTeX or Node, and a browser only the tests
# of the page, which make test leaves out and says so where there is none.
# Written for GNU make 3.81 (macOS) and a POSIX shell; the checkout's path may hold spaces.

# The first Python that is new enough, and not too new for the wheels in requirements.lock.
PYTHON ?= $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c '$(SUPPORTED)' 2>/dev/null && echo "$$p" && break; done),python3)
SUPPORTED = import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
VENV_PYTHON = .venv/bin/python

# Given on make's own command line, they take the place of these; what the environment has by such common names does not.
SEEDS =
EPOCHS =
CORPUS =
OUT =
STUDIES =
OWN_TEXT =
CELL =
SEED =

# They reach the recipe's shell through its environment, so any text is safe in them. Here and in the recipes, exec makes the
# program a child of make, which passes on to its children what ends it, and a shell would not.
REPORT = exec $(VENV_PYTHON) -m charlm.report $${SEEDS:+"--seeds=$$SEEDS"} $${EPOCHS:+"--epochs=$$EPOCHS"} \
	$${CORPUS:+"--corpus=$$CORPUS"} $${OUT:+"--out=$$OUT"} $${STUDIES:+"--studies=$$STUDIES"} $${OWN_TEXT:+--own-text}

.DELETE_ON_ERROR:
.PHONY: help report quick pages benchmark test types bench tidy lab corpus clean clean-runs lock

help:
	@echo 'make report      train what is missing, execute the notebooks, write build/report/report.html and report.pdf'
	@echo '                 SEEDS=1 EPOCHS=2 CORPUS=my.txt OUT=elsewhere: each is optional, alone or together;'
	@echo '                 OUT=report replaces the committed report (git checkout report figures brings it back)'
	@echo '                 OWN_TEXT=1 puts a text of your own into the page, where counting and the search for copies need it'
	@echo '                 STUDIES=all (or names: see charlm/studies.py) makes the long studies again, which takes hours'
	@echo 'make quick       the same on a small scale, a minute or two, into build/'
	@echo 'make benchmark   one row of the benchmark on all of tiny shakespeare, trained and measured: an LSTM takes about 45 minutes on a core of an AMD EPYC'
	@echo '                 CELL=lstm SEED=0: rnn, lstm or gru, and any seed'
	@echo 'make test        format, lint, types, corpus, tests'
	@echo 'make types       names of the standard library that macOS or Windows lacks'
	@echo 'make bench       print how fast it is against the plain way, in a few minutes'
	@echo 'make tidy        format the code, and clear what running left in the notebooks'
	@echo 'make lab         JupyterLab in notebooks/'
	@echo 'make corpus      fetch and verify the two corpora of the study (the others do it when they need it)'
	@echo 'make pages       the notebooks, executed at their quick defaults, as web pages in build/pages (or OUT=elsewhere)'
	@echo 'make clean       remove what can be made again in a minute; spares .venv, corpora and trained runs'
	@echo 'make clean-runs  remove the trained runs'
	@echo 'make lock        pin again what pyproject.toml pulls in (requirements.lock)'
	@echo
	@echo 'Set-up happens on first use. PYTHON=/path/to/python names the interpreter (3.11 to 3.14), and TORCH_INDEX'
	@echo 'an index that has another build of torch. On Linux without an NVIDIA GPU the build for CPUs comes by itself.'

report: .venv/ready
	@$(REPORT)

quick: .venv/ready
	@$(REPORT) --quick

pages: .venv/ready
	@exec $(VENV_PYTHON) -m nbconvert --execute --to html --output-dir "$${OUT:-build/pages}" \
		--HTMLExporter.require_js_url= --HTMLExporter.jquery_url= notebooks/*.ipynb

benchmark: .venv/ready
	@exec $(VENV_PYTHON) -m charlm.benchmark $${CELL:+"--cell=$$CELL"} $${SEED:+"--seed=$$SEED"}

test: corpus
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy --platform linux
	exec env OMP_WAIT_POLICY=passive $(VENV_PYTHON) -m pytest -n auto

types: .venv/ready
	$(VENV_PYTHON) -m mypy --platform darwin --no-site-packages --ignore-missing-imports --cache-dir .mypy_cache/darwin
	$(VENV_PYTHON) -m mypy --platform win32 --no-site-packages --ignore-missing-imports --cache-dir .mypy_cache/win32

bench: .venv/ready
	@exec $(VENV_PYTHON) benchmarks/bench.py

tidy: .venv/ready
	$(VENV_PYTHON) -m nbconvert --clear-output --ClearMetadataPreprocessor.enabled=True \
		--ClearMetadataPreprocessor.preserve_nb_metadata_mask="{'kernelspec', ('language_info', 'name')}" \
		--ClearMetadataPreprocessor.preserve_cell_metadata_mask=tags notebooks/*.ipynb
	$(VENV_PYTHON) -m ruff check --fix --exit-zero .
	$(VENV_PYTHON) -m ruff format .

lab: .venv/ready
	$(VENV_PYTHON) -m jupyterlab --ServerApp.root_dir=. --ServerApp.preferred_dir=notebooks

corpus: .venv/ready
	$(VENV_PYTHON) -m charlm.corpus shakespeare-268k tiny-shakespeare

clean:
	rm -rf build charlm.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . \( -path ./.git -o -path ./.venv -o -path ./runs \) -prune -o \
		-type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

clean-runs:
	rm -rf runs

# Into .venv go the locked packages, whatever pip is told elsewhere: its configuration may hold a mirror or a proxy, which
# count here too, and a place, a constraint or a rule for other packages, which do not. Our own package is built with the locked
# setuptools, without isolation: a pip within pip would be told all that again.
PIP = env PIP_CONSTRAINT=/dev/null PIP_DRY_RUN=0 PIP_NO_DEPS=0 PIP_REQUIRE_HASHES=0 $(VENV_PYTHON) -m pip install \
	--no-user --target= --prefix="$$PWD/.venv" --root=/ --no-binary=:none: \
	--disable-pip-version-check --progress-bar off --quiet

# PyPI's torch for Linux brings what an NVIDIA GPU needs. Where there is no driver of one, torch's CPU build comes first, which
# meets the lock.
WITHOUT_GPU = test "$$(uname)" = Linux && test ! -e /proc/driver/nvidia && ! command -v nvidia-smi >/dev/null
CPU_INDEX = https://download.pytorch.org/whl/cpu
CPU_TORCH = $(PIP) --no-deps --retries=0 --timeout=15 --index-url=$(CPU_INDEX) \
	"$$(sed -n 's/^\(torch==[^ ]*\).*/\1+cpu/p' requirements.lock)"

# The stamp is the last thing written, and holds the place and what was set up, not when: a set-up that was cut short, a
# checkout that was moved or copied, pins that have changed, and an interpreter that is gone all lack it, and are set up
# from nothing.
STAMP = pwd -P; cksum requirements.lock pyproject.toml
ifneq ($(shell test -x $(VENV_PYTHON) && cat .venv/ready 2>/dev/null),$(shell $(STAMP)))
.PHONY: .venv/ready
endif
.venv/ready:
	@"$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null || { echo 'charlm needs Python 3.11 to 3.14, and "$(PYTHON)" is' \
		'none of them: name one with make PYTHON=/path/to/python' >&2; exit 1; }
	@echo 'Setting up .venv: a few minutes and 2 GB, the first time only'
	@"$(PYTHON)" -m venv --clear .venv
	@if test -z "$$TORCH_INDEX" && $(WITHOUT_GPU); then $(CPU_TORCH) 2>/dev/null || \
		echo 'No CPU build of torch from $(CPU_INDEX): the build for GPUs comes, and makes it 4.5 GB'; fi
	@exec $(PIP) $${TORCH_INDEX:+"--extra-index-url=$$TORCH_INDEX"} -r requirements.lock
	@exec $(PIP) --no-deps --no-build-isolation -e .
	@{ $(STAMP); } > $@

# One lock for every platform and every supported Python. It names versions only, no index and no hash, so that a mirror
# or a CPU build of torch serves as well.
lock:
	"$(PYTHON)" -m venv --clear build/lock
	build/lock/bin/python -m pip install --disable-pip-version-check --quiet uv==0.13.9
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
		--custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml
