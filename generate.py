"""Print text that a trained run makes up. With no arguments: five prompts, 100 characters each, temperature 0.5."""

from charlm.command import begin, command, complain

if __name__ == "__main__":
    begin()

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from itertools import product

from charlm.options import Parser, real_number, whole_number
from charlm.printable import inline, visible

MOST_CHARACTERS = 10_000_000  # in all texts together, each of which takes 150 bytes while they are written
say = partial(complain, "generate.py")


def _parsed(arguments: Sequence[str] | None) -> Namespace:
    """What was typed."""
    parser = Parser(
        prog="generate.py",
        description="Text from a trained run. With no options: the run with the lowest validation loss, prompts A, a, "
        "B, b, C (or the first letters of another vocabulary), 100 characters each at temperature 0.5.",
    )
    parser.add_argument(
        "--run",
        metavar="RUN",
        help="a run's name in runs/, or its folder (default: lowest validation loss)",
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
        action="append",
        metavar="T",
        help="0 takes the likeliest character each time (default 0.5); may be repeated",
    )
    parser.add_argument(
        "--top-k",
        type=whole_number(0, 1_000_000),
        default=0,
        metavar="K",
        help="draw from the K likeliest characters (default 0: from all)",
    )
    parser.add_argument(
        "--top-p",
        type=real_number(0, 1),
        default=1.0,
        metavar="P",
        help="draw from the fewest likeliest characters that reach this probability together (default 1: from all)",
    )
    parser.add_argument(
        "--weights",
        choices=("float32", "float16"),
        default="float32",
        help="as they were trained, or rounded as in the report's page (default float32)",
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
    options.temperature = options.temperature or [0.5]
    return options


@command("generate.py")
def main(arguments: Sequence[str] | None = None) -> int:
    options = _parsed(arguments)
    from charlm_core import CharlmError  # torch: imported after the options have been read, so that --help is quick

    try:
        texts = generate(options)
    except CharlmError as e:
        say(e)
        return 2
    if options.json:
        print(json.dumps(texts, indent=1))
    else:
        print("\n")
        for item in texts[1:]:
            print(f"{heading(item, options)}\n{visible(item['text'])}\n")
    return 0


def heading(item: dict, options: Namespace) -> str:
    """The line over a text."""
    prompt = inline(json.dumps(item["prompt"], ensure_ascii=False))
    temperature = f", temperature {item['temperature']:g}" if len(options.temperature) > 1 else ""
    return f"--- {prompt}{temperature}, sample {item['sample']}"


def generate(options: Namespace) -> list[dict]:
    """All texts, made as one batch: {"run", "weights", "prompt", "temperature", "top_k", "top_p", "sample", "seed", "text"}.
    Unless they are for JSON, the first is printed while it is written."""
    from charlm import sampling
    from charlm.runs.embedded import float16_weights
    from charlm_core import CharlmError

    run, (weights, config, vocab) = model(options.run)
    if options.weights == "float16":
        weights = float16_weights(weights)
    prompts = options.prompt or sampling.default_prompts(vocab)
    characters = len(prompts) * len(options.temperature) * options.samples * (options.length + max(map(len, prompts)))
    if characters > MOST_CHARACTERS:
        raise CharlmError(
            f"--length {options.length}, --samples {options.samples}: {characters} characters in all texts together, of"
            f" {MOST_CHARACTERS} at most; write fewer at a time (another --seed writes others)"
        )
    made = {"run": run, "weights": str(weights["head.bias"].dtype).removeprefix("torch.")}
    made |= {"top_k": options.top_k, "top_p": options.top_p, "seed": options.seed}
    items = [
        {**made, "prompt": prompt, "temperature": temperature, "sample": number}
        for prompt, temperature, number in product(prompts, options.temperature, range(options.samples))
    ]
    begun = False

    def watch(piece: str) -> None:
        nonlocal begun
        if not begun:
            print(heading(items[0], options))
            begun = True
        print(visible(piece), end="", flush=True)

    texts = sampling.sample(
        weights,
        config,
        vocab,
        [item["prompt"] for item in items],
        options.length,
        [item["temperature"] for item in items],
        options.seed,
        [item["sample"] for item in items],
        options.top_k,
        options.top_p,
        None if options.json else watch,
    )
    return [{**item, "text": text} for item, text in zip(items, texts, strict=True)]


def model(given: str | None) -> tuple[str, tuple]:
    """The name of the run that was meant, and its weights, configuration and vocabulary; for None that with the lowest
    validation loss of those that can be read, and the others are named on stderr. What is not trained here but stands in the
    report's page comes from there, and a line on stderr says so. Raises CharlmError for a run that diverged."""
    from charlm.files import Damaged
    from charlm.runs.folder import RUNS, best_record, find_run, load_weights, read_run, stored_records
    from charlm_core import CharlmError

    if given is not None:
        try:
            folder = find_run(given, RUNS)
        except CharlmError:
            found = from_page(given)
            if found is None:
                raise
            return found
        where = read_run(folder)["diverged"]
        if where:
            raise CharlmError(
                f"the run {folder.name} diverged in epoch {where['epoch']}, its loss was no finite number any more: choose"
                " another, or train it again with a lower learning rate"
            )
        return folder.name, load_weights(folder)
    records = stored_records(RUNS, say)
    if not records:
        found = from_page(None)
        if found:
            return found
    while True:
        name = best_record(records)["run_id"]
        try:
            return name, load_weights(RUNS / name)
        except Damaged as e:
            say(f"passed over: {e}")
            records = [r for r in records if r["run_id"] != name]


def from_page(given: str | None) -> tuple[str, tuple] | None:
    """The same out of the report's page: the run of that name, for None the one with the lowest validation loss; None where
    the page has none."""
    from charlm.runs import embedded

    for found in embedded.read_page(embedded.PAGE):
        if given in (None, found.run_id):
            say(f"not trained here: the weights of {found.run_id} are those in {embedded.PAGE}, rounded to float16")
            return found.run_id, (found.weights, found.config, found.vocab)
    return None


if __name__ == "__main__":
    sys.exit(main())
