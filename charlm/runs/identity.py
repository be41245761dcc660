"""Identity: what a run is named by, and what it was made on."""

import ast
import hashlib
import inspect
import json
import os
import platform
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

import charlm_core as core
from charlm_core import CharModel, Config, Corpus


def code_hash(*parts: Callable | ModuleType) -> str:
    """sha256 over the code of functions and modules without comments and docstrings: it changes when what they compute
    may."""
    digest = hashlib.sha256()
    for part in parts:
        tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        digest.update(ast.unparse(tree).encode())
    return digest.hexdigest()


@cache
def code_of_module(name: str) -> str:
    """code_hash() of a module, of all modules of ours that it imports, and so on: so that nobody can forget a part. Only
    charlm.runs is left out, which stores what others compute."""
    found: dict[str, ModuleType] = {}
    todo = [name]
    while todo:
        name = todo.pop()
        found[name] = sys.modules[name]
        imported: set[str] = set()
        for node in ast.walk(ast.parse(inspect.getsource(found[name]))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported |= {f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)}
        for other in imported & sys.modules.keys() - found.keys():
            if other.startswith("charlm") and not other.startswith("charlm.runs"):
                todo.append(other)
    return code_hash(*(found[name] for name in sorted(found)))


# Two sources of the training, as hashes, that are known to give the same bits: today's counts as the first, so that a run
# keeps its name when code only moves or is written more clearly. tests/runs/test_identity.py trains with the yardstick in
# tests/yardstick.py, which is the first source to the letter, and with today's; while both give the same bits, and only
# then, today's hash may stand here.
SAME_BITS = (
    "35dddedefef0f78d078b1d3797042ca0fe7fc5055f350f8e7adffcc5a775c66a",
    "4755490419b6245a5cfea6a71b5097345824cb02d86c8b4122a7f01c67b39e10",
)


def training_source_hash() -> str:
    """Hash of the code that decides a run's result: the functions and numbers of the core that training is made of."""
    parts: dict[str, Callable] = {}
    numbers: dict[str, int] = {}
    todo = ["initial_weights", "is_finished", "train_epoch"]
    while todo:
        name = todo.pop()
        parts[name] = getattr(core, name)
        tree = ast.parse(textwrap.dedent(inspect.getsource(parts[name])))
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for other in used & vars(core).keys() - parts.keys():
            value = getattr(core, other)
            if isinstance(value, int):
                numbers[other] = value
            elif value is CharModel or (inspect.isfunction(value) and value.__module__ == core.__name__):
                todo.append(other)
    code = code_hash(*(parts[name] for name in sorted(parts)))
    return hashlib.sha256(f"{code} {sorted(numbers.items())}".encode()).hexdigest()


@cache
def training_code_hash(cell: str) -> str:
    """The hash that stands for the training of a cell in the identity of its runs: that of the first source with the
    same bits, together with the source of a cell of one's own."""
    source = training_source_hash()
    if source in SAME_BITS:
        source = SAME_BITS[0]
    own = core.CELLS[cell]
    if own.__module__.startswith("torch."):
        return source
    return hashlib.sha256(f"{source} {code_hash(own)}".encode()).hexdigest()


# The fields that every run is named by. One that was added to Config later counts only where it is not at its default,
# so that runs which know nothing of it keep their names.
FIRST_FIELDS = frozenset(
    "cell hidden_size layers learning_rate batch_size chunk_length validation_share epochs patience seed split split_seed "
    "device precision threads".split()
)


def decisive_fields(config: Config) -> dict:
    """The fields of a configuration that its run is named by, as JSON values."""
    decisive = {}
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name in FIRST_FIELDS or value != f.default:
            decisive[f.name] = value
    return decisive


def run_identity(config: Config, corpus: Corpus) -> dict:
    """All that decides the result of a resolved configuration, as JSON values."""
    return {
        "config": decisive_fields(config),
        "corpus_sha256": corpus.sha256,
        "torch": torch.__version__.partition("+")[0],
        "code": training_code_hash(config.cell),
    }


RUN_NAME = r".+-\d+-lr[\d.e+-]+-seed\d+-[0-9a-f]{12}"  # as run_name() makes it


def run_id(config: Config, corpus: Corpus) -> str:
    """The name of the run of a resolved configuration."""
    return run_name(config, run_identity(config, corpus))


def run_name(config: Config, identity: dict) -> str:
    """A readable name ending in the first 12 hexadecimal digits of the identity's sha256."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return f"{config.cell}-{config.hidden_size}-lr{config.learning_rate:g}-seed{config.seed}-{digest[:12]}"


@cache
def machine_facts() -> dict:
    """What a run was made on, without names of host, user or folders."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        named = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8", "replace"))
        if named:
            cpu = named[1]
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
