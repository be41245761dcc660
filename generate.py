"""Print text that a trained run makes up. With no arguments: five prompts, 100 characters each, temperature 0.5."""

import argparse
import json
import sys

from charlm.corpus import print_utf8


def main(arguments: list[str] | None = None) -> int:
    print_utf8()
    parser = argparse.ArgumentParser(
        description="Text from a trained run. With no options: the run with the lowest validation loss, prompts A, a, "
        "B, b, C (or the first letters of another vocabulary), 100 characters each at temperature 0.5.",
    )
    parser.add_argument("--run", metavar="RUN", help="name of a run in runs/ (default: lowest validation loss)")
    parser.add_argument("--prompt", action="append", metavar="TEXT", help="text to start from; may be repeated")
    parser.add_argument("--length", type=int, default=100, help="characters drawn after each prompt (default 100)")
    parser.add_argument(
        "--temperature", type=float, default=0.5, help="0 takes the likeliest character each time (default 0.5)"
    )
    parser.add_argument("--samples", type=int, default=1, help="texts for each prompt (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers; same seed, same text (default 0)")
    parser.add_argument("--json", action="store_true", help="a list of objects instead of plain text")
    options = parser.parse_args(arguments)
    from charlm_core import CharlmError  # torch: imported after the options have been read, so that --help is quick

    try:
        texts = generate(options)
    except CharlmError as e:
        say(str(e))
        return 2
    if options.json:
        print(json.dumps(texts, indent=1))
    else:
        for item in texts:
            print(f"--- {json.dumps(item['prompt'], ensure_ascii=False)}, sample {item['sample']}\n{item['text']}\n")
    return 0


def generate(options: argparse.Namespace) -> list[dict]:
    """All texts, made as one batch: {"run", "prompt", "sample", "temperature", "seed", "text"}."""
    from charlm import sampling
    from charlm_core import CharlmError

    if options.samples < 1:
        raise CharlmError(f"--samples {options.samples}: needs a whole number of at least 1")
    run, (weights, config, vocab) = model(options.run)
    prompts = options.prompt or sampling.default_prompts(vocab)
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


def model(name: str | None) -> tuple[str, tuple]:
    """The run of that name, and its weights, configuration and vocabulary; for None that with the lowest validation loss
    of those that can be read, and the others are named on stderr."""
    from charlm.runs.files import Damaged
    from charlm.runs.folder import RUNS, best_record, load_weights, run_folders, stored_records

    if name is not None:
        (folder,) = run_folders(RUNS, [name])
        return name, load_weights(folder)
    records = stored_records(say=say)
    while True:
        name = best_record(records)["run_id"]
        try:
            return name, load_weights(RUNS / name)
        except Damaged as e:
            say(f"passed over: {e}")
            records = [r for r in records if r["run_id"] != name]


def say(line: str) -> None:
    print("generate.py:", "".join(c if c.isprintable() else "\ufffd" for c in line), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
