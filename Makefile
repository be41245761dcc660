# Everything a reader runs. Each target sets up .venv by itself; nothing needs root, LaTeX or Node, and a browser only the tests
# of the page, which make test leaves out and says so where there is none.
# Written for GNU make 3.81 (macOS) and a POSIX shell; the checkout's path may hold spaces.

# The first Python that is new enough, and not too new for the wheels in requirements.lock.
PYTHON ?= $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c '$(SUPPORTED)' 2>/dev/null && echo "$$p" && break; done),python3)
SUPPORTED = import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
VENV_PYTHON = .venv/bin/python

# A variable given to make reaches the recipe's shell through the environment, so any text is safe in it. Only what stands on
# make's own command line counts: somebody's environment may well have a SEED or an OUT of its own.
given = $(if $(filter command,$(firstword $(origin $1))),$${$1:+"--$2=$$$1"})
REPORT = $(VENV_PYTHON) -m charlm.report $(call given,SEEDS,seeds) $(call given,EPOCHS,epochs) \
	$(call given,CORPUS,corpus) $(call given,OUT,out) $(call given,STUDIES,studies) \
	$(if $(filter command,$(firstword $(origin OWN_TEXT))),$${OWN_TEXT:+--own-text})

.DELETE_ON_ERROR:
.PHONY: help report quick pages benchmark test bench tidy lab corpus clean clean-runs lock

help:
	@echo 'make report      train what is missing, execute the notebooks, write report/report.html and report.pdf'
	@echo '                 SEEDS=1 EPOCHS=2 CORPUS=my.txt OUT=elsewhere: each is optional, alone or together'
	@echo '                 OWN_TEXT=1 puts a text of your own into the page, where counting and the search for copies need it'
	@echo '                 STUDIES=all (or names: see charlm/studies.py) makes the long studies again, which takes hours'
	@echo 'make quick       the same on a small scale, a minute or two, into build/'
	@echo 'make benchmark   one row of the benchmark on all of tiny shakespeare, trained and measured: an LSTM takes about 20 minutes on a core with AMX'
	@echo '                 CELL=lstm SEED=0: rnn, lstm or gru, and any seed'
	@echo 'make test        format, lint, types, names that a system lacks, corpus, tests'
	@echo 'make bench       print how fast it is against the plain way, in a few minutes'
	@echo 'make tidy        format the code, and clear what running left in the notebooks'
	@echo 'make lab         JupyterLab in notebooks/'
	@echo 'make corpus      fetch and verify the two corpora of the study (the others do it when they need it)'
	@echo 'make pages       the notebooks, executed at their quick defaults, as web pages in build/pages (or OUT=elsewhere)'
	@echo 'make clean       remove what can be made again in a minute; spares .venv, corpora and trained runs'
	@echo 'make clean-runs  remove the trained runs'
	@echo 'make lock        pin again what pyproject.toml pulls in (requirements.lock)'
	@echo
	@echo 'Set-up happens on first use. PYTHON=/path/to/python names the interpreter (3.11 to 3.14), and'
	@echo 'TORCH_INDEX=… names another index of torch than PyPI; Linux without an NVIDIA GPU gets the small CPU build by itself.'

# Each recipe execs: a signal to make alone then reaches the program itself, and not a shell that leaves it running.
report: .venv/ready
	@exec $(REPORT)

quick: .venv/ready
	@exec $(REPORT) --quick

pages: .venv/ready
	@exec $(VENV_PYTHON) -m charlm.report.notebook_pages "$(or $(if $(filter command,$(firstword $(origin OUT))),$$OUT),build/pages)"

benchmark: .venv/ready
	@exec $(VENV_PYTHON) -m charlm.benchmark $(call given,CELL,cell) $(call given,SEED,seed)

test: corpus
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy --platform linux
	$(VENV_PYTHON) -m mypy --platform darwin --no-site-packages --ignore-missing-imports --cache-dir .mypy_cache/darwin
	$(VENV_PYTHON) -m mypy --platform win32 --no-site-packages --ignore-missing-imports --cache-dir .mypy_cache/win32
	OMP_WAIT_POLICY=passive $(VENV_PYTHON) -m pytest -n auto

bench: .venv/ready
	@exec $(VENV_PYTHON) benchmarks/bench.py

tidy: .venv/ready
	$(VENV_PYTHON) -m nbconvert --clear-output --ClearMetadataPreprocessor.enabled=True \
		--ClearMetadataPreprocessor.preserve_nb_metadata_mask="{'kernelspec', ('language_info', 'name')}" \
		--ClearMetadataPreprocessor.preserve_cell_metadata_mask=tags notebooks/*.ipynb
	$(VENV_PYTHON) -m ruff check --fix --exit-zero .
	$(VENV_PYTHON) -m ruff format .

lab: .venv/ready
	exec $(VENV_PYTHON) -m jupyterlab --ServerApp.root_dir=. --ServerApp.preferred_dir=notebooks

corpus: .venv/ready
	$(VENV_PYTHON) -m charlm.corpus shakespeare-268k tiny-shakespeare

clean:
	rm -rf build charlm.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . \( -path ./.git -o -path ./.venv -o -path ./runs \) -prune -o \
		-type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

clean-runs:
	rm -rf runs

# The stamp is the last thing written, and holds the place and what was set up, not when: a set-up that was cut short, a
# checkout that was moved or copied, pins that have changed, and an interpreter that is gone all lack it, and are set up
# from nothing.
STAMP = pwd -P; cksum requirements.lock pyproject.toml
ifneq ($(shell test -x $(VENV_PYTHON) && cat .venv/ready 2>/dev/null),$(shell $(STAMP)))
.PHONY: .venv/ready
endif
# Into .venv, wherever a user's configuration of pip would have its packages go.
PIP = $(VENV_PYTHON) -m pip install --no-user --target= --prefix="$$PWD/.venv" --root=/ --disable-pip-version-check --progress-bar off --quiet
# PyPI's torch for Linux brings gigabytes for NVIDIA's GPUs. Without such a GPU the CPU build is taken, from its own index.
CPU_INDEX = https://download.pytorch.org/whl/cpu
CPU_TORCH = if [ -z "$$TORCH_INDEX" ] && [ "$$(uname)" = Linux ] && ! [ -e /proc/driver/nvidia ] \
	&& ! command -v nvidia-smi >/dev/null; then \
	$(PIP) --no-deps --retries 0 --timeout 15 --index-url=$(CPU_INDEX) "$$(grep ^torch== requirements.lock)" 2>/dev/null \
	|| echo 'The index of CPU builds of torch was not reached: the build for GPUs is installed, 4.5 GB in place of 1.5'; fi
.venv/ready:
	@"$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null || { echo 'charlm needs Python 3.11 to 3.14, and "$(PYTHON)" is' \
		'none of them: name one with make PYTHON=/path/to/python' >&2; exit 1; }
	@echo 'Setting up .venv: a few minutes, the first time only'
	"$(PYTHON)" -m venv --clear .venv
	@$(CPU_TORCH)
	$(PIP) $${TORCH_INDEX:+"--extra-index-url=$$TORCH_INDEX"} -r requirements.lock -e .
	@{ $(STAMP); } > $@

# One lock for every platform and every supported Python. It names versions only, no index and no hash, so that a mirror
# or a CPU build of torch serves as well.
lock:
	"$(PYTHON)" -m venv --clear build/lock
	build/lock/bin/python -m pip install --disable-pip-version-check --quiet uv==0.13.9
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
		--custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml
