"""The command line: python -m charlm.benchmark. One row of the benchmark, from its training to its losses."""

from charlm.command import begin, command, complain

if __name__ == "__main__":
    begin()

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

from charlm.benchmark.measures import benchmark_rows, with_benchmark_losses
from charlm.corpus import load_corpus
from charlm.options import Parser, whole_number
from charlm.printable import inline
from charlm.runs.sweep import train_sweep
from charlm.studies import WHOLE_TEXT, last_tenth
from charlm_core import CELLS, RANGES, CharlmError


@command("charlm.benchmark", kept="every finished epoch is kept, the same command goes on from there")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m charlm.benchmark",
        description="Train one run of the benchmark on the first nine tenths of tiny shakespeare, and print its losses on the "
        "last: an LSTM takes about 45 minutes on one core of an AMD EPYC.",
    )
    parser.add_argument("--cell", choices=sorted(CELLS), default="lstm", help="kind of recurrent layer (lstm)")
    low, high = RANGES["seed"]
    parser.add_argument(
        "--seed", type=whole_number(int(low), int(high)), default=0, metavar="N", help="random seed (0)"
    )
    try:
        for line in _lines(parser.parse_args(arguments)):
            print(line)
    except CharlmError as error:
        complain("charlm.benchmark", error)
        return 2
    return 0


def _lines(given: Namespace) -> list[str]:
    """A line an evaluation: what results.json has of it."""
    corpus = load_corpus(WHOLE_TEXT)
    made = [config for config in last_tenth(corpus) if config.cell == given.cell]
    if not made:
        raise CharlmError("the runs that choose its configuration are not made: make report STUDIES=short_runs")
    runs = train_sweep([replace(made[0], seed=given.seed)], corpus, say=_say)
    rows = benchmark_rows(with_benchmark_losses(runs, corpus), corpus.name)
    lines = []
    for row in rows:
        fields = [f"{key} {value}" for key, value in row.items()]
        lines.append(inline("  ".join(fields)))
    return lines


def _say(line: str) -> None:
    print(inline(line), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
