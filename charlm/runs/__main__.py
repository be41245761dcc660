"""The command line: python -m charlm.runs list | show | train | verify | remove."""

from charlm.command import Say, begin, command, complain

if __name__ == "__main__":
    begin()

import json
import math
import sys
import tomllib
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import fields
from itertools import product
from pathlib import Path

from charlm.corpus import load_corpus
from charlm.files import read_bytes
from charlm.options import Parser, whole_number
from charlm.printable import inline
from charlm.records import counted
from charlm.runs.folder import RUNS, run_folders, run_record
from charlm.runs.inventory import remove_run, run_status
from charlm.runs.sweep import train_sweep
from charlm_core import CharlmError, Config

MOST_RUNS = 10_000  # in a sweep
MOST_BYTES = 2**20  # of a sweep file


def read_sweep(path: Path) -> tuple[str, list[Config]]:
    """The corpus and the configurations that a sweep file spans: every combination of the values it lists.

    A key is `corpus` or a field of core.Config, its value one value or a list of them; what is not named keeps its
    default. Raises CharlmError for a file that cannot be read, an unknown key, or a value that makes no sense.
    """
    try:
        table = tomllib.loads(read_bytes(path, MOST_BYTES).decode("utf-8-sig"))
    except OSError as e:
        raise CharlmError(f"cannot read {path}: {e.strerror}: give the path of a TOML file that lists values") from e
    except (ValueError, RecursionError) as e:
        raise CharlmError(f"{path} is not TOML: {e}") from e
    corpus = table.pop("corpus", "shakespeare-268k")
    known = [f.name for f in fields(Config)]
    for key in table:
        if key not in known:
            raise CharlmError(f"{path}: unknown key {key!r}; it may be corpus, {', '.join(known)}")
    if not isinstance(corpus, str):
        raise CharlmError(f"{path}: corpus: needs one name or path")
    lists = {key: value if isinstance(value, list) else [value] for key, value in table.items()}
    for key, values in lists.items():
        if not values:
            raise CharlmError(f"{path}: {key} = []: spans no run; give at least one value")
        if any(isinstance(value, list | dict) for value in values):
            raise CharlmError(f"{path}: {key}: needs one value, or a list of single values")
    spanned = math.prod(map(len, lists.values()))
    if spanned > MOST_RUNS:
        raise CharlmError(f"{path}: spans {spanned} runs, of {MOST_RUNS} at most: list fewer values")
    return corpus, [Config(**dict(zip(lists, values, strict=True))) for values in product(*lists.values())]


@command("charlm.runs", kept="every finished epoch is kept, the same command goes on from there")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m charlm.runs", description="Look after trained runs, and train more.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | show | train | verify | remove")

    def subcommand(name: str, text: str) -> Parser:
        it = commands.add_parser(name, help=text, description=text)
        it.add_argument("--runs", type=Path, metavar="DIR", help="folder of the runs (default: runs/)")
        it.add_argument("--json", action="store_true", help="print JSON instead of text")
        return it

    subcommand(
        "list",
        "a line for each run: finished, diverged, unfinished, damaged or of another version, and how far it came",
    )
    it = subcommand("show", "everything that is known of runs: configuration, losses, time, machine, code")
    it.add_argument("names", nargs="+", metavar="RUN")
    it = subcommand("train", "train what a TOML file spans, for example: cell = ['rnn', 'lstm'], seed = [0, 1]")
    it.add_argument("sweep", type=Path, metavar="SWEEP.toml")
    it.add_argument(
        "--workers",
        type=whole_number(1, 1000),
        default=0,
        metavar="N",
        help="processes on this machine (default: one a core)",
    )
    it.add_argument("--scheduler", default="", metavar="ADDRESS", help="train on a Dask cluster, as tls://host:8786")
    it.add_argument("--insecure", action="store_true", help="allow a scheduler on another machine without TLS")
    it = subcommand("verify", "check every file of the runs; exit code 1 when one is damaged or does not belong there")
    it.add_argument("names", nargs="*", metavar="RUN", help="default: all")
    it = subcommand("remove", "delete runs for good")
    it.add_argument("names", nargs="+", metavar="RUN")
    given = parser.parse_args(arguments)
    try:
        if given.runs and given.command != "train" and not given.runs.is_dir():
            raise CharlmError(f"--runs {given.runs}: no such folder; give the folder of the runs")
        given.runs = given.runs or RUNS
        shown, good = COMMANDS[given.command](given)
    except CharlmError as e:
        complain("charlm.runs", e)
        return 2
    if given.json:
        print(json.dumps(shown, indent=1, allow_nan=False))
    else:
        for item in shown:
            print(_line(item) if given.command != "show" else json.dumps(item, indent=1, allow_nan=False))
    return 0 if good else 1


def _list(given: Namespace) -> tuple[list[dict], bool]:
    return [run_status(folder) for folder in run_folders(given.runs)], True


def _show(given: Namespace) -> tuple[list[dict], bool]:
    about = [run_status(folder) for folder in run_folders(given.runs, given.names)]
    done = ("finished", "diverged")
    full = [run_record(given.runs / a["run_id"]) if a["status"] in done else a for a in about]
    return full, all("problem" not in a for a in about)


def _train_file(given: Namespace) -> tuple[list[dict], bool]:
    name, configs = read_sweep(given.sweep)
    corpus = load_corpus(name)
    records = train_sweep(configs, corpus, given.runs, given.workers, given.scheduler, given.insecure, Say("stderr"))
    return [run_status(given.runs / r["run_id"]) for r in records], all(r["status"] == "finished" for r in records)


def _verify(given: Namespace) -> tuple[list[dict], bool]:
    about = [run_status(folder, deep=True) for folder in run_folders(given.runs, given.names)]
    return about, all("problem" not in a for a in about)


def _remove(given: Namespace) -> tuple[list[dict], bool]:
    about = []
    for folder in run_folders(given.runs, list(dict.fromkeys(given.names))):
        try:
            remove_run(folder)
            about.append({"run_id": folder.name, "status": "removed"})
        except CharlmError as e:
            about.append({"run_id": folder.name, "status": "kept", "problem": str(e)})
    return about, all("problem" not in a for a in about)


COMMANDS = {"list": _list, "show": _show, "train": _train_file, "verify": _verify, "remove": _remove}


def _line(about: dict) -> str:
    """One line of text about a run."""
    parts = [f"{about['status']:10}  {about['run_id']}"]
    if about.get("epochs") is not None:
        parts.append(counted(about["epochs"], "epoch"))
    if about.get("val_loss_best") is not None:
        parts.append(f"validation {about['val_loss_best']:.4f} in epoch {about['best_epoch']}")
    if about.get("seconds"):
        parts.append(f"{about['seconds'] / 60:.1f} min on {about['machine']['cpu']}")
    if about.get("code_is_current") is False:
        parts.append("made by other code than today's")
    return inline(", ".join([*parts, *([about["problem"]] if "problem" in about else [])]))


if __name__ == "__main__":
    sys.exit(main())
