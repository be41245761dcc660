"""The command line: python -m charlm.report."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from charlm.corpus import print_utf8
from charlm.protocol import Study
from charlm.report.execute import ReportError
from charlm.report.make import make_report
from charlm.show import inline
from charlm_core import CharlmError


def parser() -> argparse.ArgumentParser:
    def count(text: str) -> int:
        if not text.isdecimal() or not int(text):
            raise argparse.ArgumentTypeError(f"{text!r}: give a whole number of at least 1")
        return int(text)

    full = Study()
    it = argparse.ArgumentParser(
        prog="python -m charlm.report",
        description="Train what is missing, execute the notebooks, and write report.html, report.pdf and results.json. "
        "Without options it makes the whole study, in report/. A study with other options goes to a folder of its own "
        "in build/.",
    )
    it.add_argument("--seeds", type=count, metavar="N", help=f"runs for each model, one a seed ({full.seeds})")
    it.add_argument("--epochs", type=count, metavar="N", help=f"epochs of training, at most ({full.epochs})")
    it.add_argument("--corpus", metavar="TEXT", help=f"a known corpus, or a UTF-8 text file ({full.corpus})")
    it.add_argument("--out", type=Path, metavar="FOLDER", help="folder for the report and its figures")
    it.add_argument(
        "--studies", type=str.split, default=[], metavar="NAMES", help="make long studies again: names, or all (hours)"
    )
    it.add_argument("--quick", action="store_true", help="a small study, to try it: about a minute")
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    print_utf8()
    given = parser().parse_args(arguments)
    base = Study.quick() if given.quick else Study()
    changed = {k: v for k in ("seeds", "epochs", "corpus") if (v := getattr(given, k)) is not None}
    try:
        out = make_report(dataclasses.replace(base, **changed), given.out, partial(print, flush=True), given.studies)
    except (CharlmError, ReportError) as error:
        print(f"charlm.report: {inline(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, CharlmError) else 1
    except OSError as error:
        print(f"charlm.report: {inline(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("charlm.report: interrupted; what is trained is kept", file=sys.stderr)
        return 130
    print(f"{inline(str(out / 'report.html'))} and report.pdf are there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
