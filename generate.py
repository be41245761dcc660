"""Print text that a trained run makes up. With no arguments: five prompts, 100 characters each, temperature 0.5."""

from charlm.command import begin, command, complain

if __name__ == "__main__":
    begin()

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial

from charlm.options import Parser, real_number, whole_number
from charlm.printable import inline, visible

MOST_CHARACTERS = 10_000_000  # in all texts together, each of which takes 150 bytes while they are written
say = partial(complain, "generate.py")


@command("generate.py")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="generate.py",
        description="Text from a trained run. With no options: the run with the lowest validation loss, prompts A, a, "
        "B, b, C (or the first letters of another vocabulary), 100 characters each at temperature 0.5.",
    )
    parser.add_argument(
        "--run",
        metavar="RUN",
        help="a run's name in runs/, its folder, or a file in it (default: lowest validation loss)",
    )
    parser.add_argument("--prompt", action="append", metavar="TEXT", help="text to start from; may be repeated")
    parser.add_argument(
        "--length",
        type=whole_number(1, 1_000_000),
        default=100,
        help="characters drawn after each prompt (default 100)",
    )
    parser.add_argument(
        "--temperature",
        type=real_number(0, 1e6),
        default=0.5,
        help="0 takes the likeliest character each time (default 0.5)",
    )
    parser.add_argument("--samples", type=whole_number(1, 100_000), default=1, help="texts for each prompt (default 1)")
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        help="of the random numbers; same seed, same text (default 0)",
    )
    parser.add_argument("--json", action="store_true", help="a list of objects instead of plain text")
    options = parser.parse_args(arguments)
    from charlm_core import CharlmError  # torch: imported after the options have been read, so that --help is quick

    try:
        texts = generate(options)
    except CharlmError as e:
        say(e)
        return 2
    if options.json:
        print(json.dumps(texts, indent=1))
    else:
        for item in texts:
            prompt = inline(json.dumps(item["prompt"], ensure_ascii=False))
            print(f"--- {prompt}, sample {item['sample']}\n{visible(item['text'])}\n")
    return 0


def generate(options: Namespace) -> list[dict]:
    """All texts, made as one batch: {"run", "prompt", "sample", "temperature", "seed", "text"}."""
    from charlm import sampling
    from charlm_core import CharlmError

    run, (weights, config, vocab) = model(options.run)
    prompts = options.prompt or sampling.default_prompts(vocab)
    characters = len(prompts) * options.samples * (options.length + max(map(len, prompts)))
    if characters > MOST_CHARACTERS:
        raise CharlmError(
            f"--length {options.length}, --samples {options.samples}: {characters} characters in all texts together, of"
            f" {MOST_CHARACTERS} at most; write fewer at a time (another --seed writes others)"
        )
    rows = [(prompt, number) for prompt in prompts for number in range(options.samples)]
    texts = sampling.sample(
        weights,
        config,
        vocab,
        [prompt for prompt, _ in rows],
        options.length,
        options.temperature,
        options.seed,
        [number for _, number in rows],
    )
    made = {"run": run, "temperature": options.temperature, "seed": options.seed}
    return [
        {**made, "prompt": prompt, "sample": number, "text": text}
        for (prompt, number), text in zip(rows, texts, strict=True)
    ]


def model(given: str | None) -> tuple[str, tuple]:
    """The name of the run that was meant, and its weights, configuration and vocabulary; for None that with the lowest
    validation loss of those that can be read, and the others are named on stderr. Raises CharlmError for a run that
    diverged."""
    from charlm.runs.files import Damaged
    from charlm.runs.folder import RUNS, best_record, find_run, load_weights, read_run, stored_records
    from charlm_core import CharlmError

    if given is not None:
        folder = find_run(given, RUNS)
        if where := read_run(folder)["diverged"]:
            raise CharlmError(
                f"the run {folder.name} diverged in epoch {where['epoch']}, its loss was no finite number any more: choose"
                " another, or train it again with a lower learning rate"
            )
        return folder.name, load_weights(folder)
    records = stored_records(RUNS, say)
    while True:
        name = best_record(records)["run_id"]
        try:
            return name, load_weights(RUNS / name)
        except Damaged as e:
            say(f"passed over: {e}")
            records = [r for r in records if r["run_id"] != name]


if __name__ == "__main__":
    sys.exit(main())
