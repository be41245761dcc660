"""The command line: python -m charlm.report."""

from charlm.command import Say, begin, command, complain

if __name__ == "__main__":
    begin()

import dataclasses
import sys
from collections.abc import Sequence

from charlm.options import Parser, folder, whole_number
from charlm.protocol import MOST_SEEDS, Study
from charlm.report.execute import ReportError
from charlm.report.make import make_report
from charlm_core import RANGES, CharlmError


def parser() -> Parser:
    full = Study()
    it = Parser(
        prog="python -m charlm.report",
        description="Train what is missing, execute the notebooks, and write report.html, report.pdf and results.json. "
        "Without options it makes the whole study, in build/report/. A study with other options goes to a folder of its own "
        "in build/.",
    )
    it.add_argument(
        "--seeds",
        type=whole_number(1, MOST_SEEDS),
        metavar="N",
        help=f"runs for each model, one a seed ({full.seeds})",
    )
    it.add_argument(
        "--epochs",
        type=whole_number(1, int(RANGES["epochs"][1])),
        metavar="N",
        help=f"epochs of training, at most ({full.epochs})",
    )
    it.add_argument("--corpus", metavar="TEXT", help=f"a known corpus, or a UTF-8 text file ({full.corpus})")
    it.add_argument("--out", type=folder, metavar="FOLDER", help="folder for the report and its figures")
    it.add_argument(
        "--studies", type=str.split, default=[], metavar="NAMES", help="make long studies again: names, or all (hours)"
    )
    it.add_argument(
        "--own-text", action="store_true", help="put a text of your own into the page too, which people may send on"
    )
    it.add_argument("--quick", action="store_true", help="a small study, to try it: a minute or two")
    return it


@command("charlm.report", kept="what is trained is kept")
def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    base = Study.quick() if given.quick else Study()
    options = {"seeds": given.seeds, "epochs": given.epochs, "corpus": given.corpus}
    changed = {name: value for name, value in options.items() if value is not None}
    say = Say()
    try:
        out = make_report(dataclasses.replace(base, **changed), given.out, say, given.studies, given.own_text)
    except (CharlmError, ReportError) as error:
        complain("charlm.report", error)
        return 2 if isinstance(error, CharlmError) else 1
    say(f"{out / 'report.html'} and report.pdf are there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
