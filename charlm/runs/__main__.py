"""The command line: python -m charlm.runs list | train | verify | remove."""

from charlm.command import Say, begin, command, complain

if __name__ == "__main__":
    begin()

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
from charlm.runs.folder import RUNS, run_folders
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


def _parsed(arguments: Sequence[str] | None) -> Namespace:
    """What was typed."""
    parser = Parser(
        prog="python -m charlm.runs",
        description="Look after trained runs, and train more. They are in runs/, or where CHARLM_RUNS says.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | train | verify | remove")

    def subcommand(name: str, text: str) -> Parser:
        return commands.add_parser(name, help=text, description=text)

    subcommand(
        "list",
        "a line for each run: finished, diverged, unfinished, damaged or of another version, and how far it came",
    )
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
    it = subcommand("verify", "read every file of the runs; exit code 1 when one is damaged")
    it.add_argument("names", nargs="*", metavar="RUN", help="default: all")
    it = subcommand("remove", "delete runs for good")
    it.add_argument("names", nargs="+", metavar="RUN")
    return parser.parse_args(arguments)


@command("charlm.runs", kept="every finished epoch is kept, the same command goes on from there")
def main(arguments: Sequence[str] | None = None) -> int:
    given = _parsed(arguments)
    try:
        match given.command:
            case "list":
                shown = [run_status(folder) for folder in run_folders(RUNS)]
            case "train":
                shown = train_file(given)
            case "verify":
                shown = [run_status(folder, deep=True) for folder in run_folders(RUNS, given.names)]
            case _:
                shown = [removed(folder) for folder in run_folders(RUNS, list(dict.fromkeys(given.names)))]
    except CharlmError as e:
        complain("charlm.runs", e)
        return 2
    for about in shown:
        print(_line(about))
    wrong = [about for about in shown if "problem" in about]
    return 1 if wrong and given.command != "list" else 0


def train_file(given: Namespace) -> list[dict]:
    """Train what a sweep file spans, and tell what became of each run."""
    name, configs = read_sweep(given.sweep)
    corpus = load_corpus(name)
    records = train_sweep(configs, corpus, RUNS, given.workers, given.scheduler, given.insecure, Say("stderr"))
    shown = [run_status(RUNS / r["run_id"]) for r in records]
    for about in shown:
        if about["status"] == "diverged":
            about["problem"] = "try a lower learning rate"
    return shown


def removed(folder: Path) -> dict:
    """Remove a run, and tell what became of it."""
    try:
        remove_run(folder)
    except CharlmError as e:
        return {"run_id": folder.name, "status": "kept", "problem": str(e)}
    return {"run_id": folder.name, "status": "removed"}


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
    if "problem" in about:
        parts.append(about["problem"])
    return inline(", ".join(parts))


if __name__ == "__main__":
    sys.exit(main())
