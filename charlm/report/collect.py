"""What the cells showed, as the content of results.json."""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import fastjsonschema
import pandas as pd
from nbformat import NotebookNode

from charlm.corpus import ROOT
from charlm.report.execute import Job, ReportError
from charlm.runs.identity import machine_facts

SCHEMA = Path(__file__).with_name("results.schema.json")


def collect_results(executed: Sequence[tuple[Job, NotebookNode]], study: dict, figures: Path) -> dict:
    """The content of results.json, and the figures' files. Raises ReportError when two things of one id or key differ, or
    when the whole does not follow the schema.
    """
    results: dict = {"schema": 1, "study": study, "runs": []}
    results |= {part: {} for part in ("tables", "figures", "findings", "contrasts", "samples", "provenance")}
    runs: dict[str, dict] = {}

    def put(part: dict, id: str, value: object) -> None:
        if part.setdefault(id, value) != value:
            raise ReportError(f"{id} is shown twice, and the second is another one")

    def put_figure(id: str, shown: dict, svg: str, png: str) -> None:
        put(results["figures"], id, {key: shown[key] for key in ("alt", "caption", "rows")})
        write_figure(figures, id, svg, base64.b64decode(png), shown.get("narrow", ""), shown["rows"])

    for output, shown in _shown_things(executed):
        kind, id = shown.pop("kind"), shown.pop("id", "")
        for key, contrast in shown.pop("contrasts", {}).items():
            put(results["contrasts"], key, contrast)
        if kind == "results":
            for key, value in shown["data"].items():
                if key == "runs":
                    for run in value:
                        put(runs, run["run_id"], run)
                else:
                    put(results, key, value)
        elif kind in ("finding", "provenance"):
            put(results["findings"], id, shown)
        elif kind == "table":
            put(results["tables"], id, shown["rows"])
        elif kind == "samples":
            put(results["samples"], id, shown["items"])
        elif kind == "figure":
            put_figure(id, shown, output.data["image/svg+xml"], output.data["image/png"])
        elif kind == "cards":
            for number, card in enumerate(shown["items"], 1):
                drawn = card["figure"]
                if drawn:
                    put_figure(drawn["id"], drawn, drawn["svg"], drawn["png"])
                values = {"section": card["section"], "figure": drawn and drawn["id"]}
                put(results["findings"], f"{id}-{number}", {"text": card["text"], "values": values})
    results["runs"] = list(runs.values())
    results["provenance"] = provenance(results["runs"])
    check_results(results)
    return results


def _shown_things(executed: Sequence[tuple[Job, NotebookNode]]) -> Iterator[tuple[NotebookNode, dict]]:
    """Outputs with what charlm.show has put into their metadata, in the order of the notebooks."""
    for _, notebook in executed:
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if "charlm" in output.get("metadata", {}):
                    yield output, dict(output.metadata["charlm"])


def check_results(results: dict) -> None:
    """Raise ReportError unless the whole follows the schema."""
    try:
        fastjsonschema.validate(json.loads(SCHEMA.read_text("utf-8")), results)
    except fastjsonschema.JsonSchemaValueException as error:
        raise ReportError(f"results.json{error.message.removeprefix('data')}: see {SCHEMA.name}") from error


def write_figure(folder: Path, id: str, svg: str, png: bytes, narrow: str, rows: list[dict]) -> None:
    """ID.svg, ID.png and ID.csv, and ID-narrow.svg where there is such a drawing."""
    folder.mkdir(exist_ok=True)
    (folder / f"{id}.svg").write_text(svg, "utf-8", newline="\n")
    (folder / f"{id}.png").write_bytes(png)
    (folder / f"{id}.csv").write_text(as_csv(rows), "utf-8", newline="\n")
    if narrow:
        (folder / f"{id}-narrow.svg").write_text(narrow, "utf-8", newline="\n")


def as_csv(rows: list[dict]) -> str:
    """A table with a column for each key of the rows. Lists are JSON; a text that a spreadsheet would take for a formula
    begins with an apostrophe."""

    def cell(value: object) -> object:
        if isinstance(value, list | dict):
            return json.dumps(value, allow_nan=False)
        if isinstance(value, str) and len(value) > 1 and value[0] in "=+-@\t\r":
            return f"'{value}"
        return value

    frame = pd.DataFrame([{key: cell(value) for key, value in row.items()} for row in rows], dtype=object)
    return frame.to_csv(index=False, lineterminator="\n")


def as_json(results: dict) -> str:
    return json.dumps(results, indent=1, allow_nan=False) + "\n"


def provenance(runs: list[dict]) -> dict:
    """What the numbers came from, without names of host, user or folders, and without the time of the rendering."""
    lock = ROOT / "requirements.lock"

    def each(key: str) -> list:
        return sorted({r[key] for r in runs if key in r})

    return {
        "machine": machine_facts(),
        "numpy": version("numpy"),
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None,
        "training_code": each("code"),
        "precision": each("precision"),
        "device": each("device"),
        "threads": each("threads"),
        "training_cpu": sorted({r["machine"]["cpu"] for r in runs if "machine" in r}),
    }


def facts_rows(results: dict) -> list[dict]:
    """The same as a table."""
    about = results["provenance"]
    machine = about["machine"]
    facts = {
        "Software": f"Python {machine['python']}, torch {machine['torch']}, NumPy {about['numpy']}",
        "Rendered on": machine["cpu"],
        "Trained on": ", ".join(about["training_cpu"]),
        "Training time": f"{sum(r['seconds'] for r in results['runs']) / 3600:.1f} hours, all runs added up",
        "Device, precision": ", ".join(map(str, about["device"] + about["precision"])),
        "Threads a run": ", ".join(map(str, about["threads"])),
        "Training code, sha256": ", ".join(f"{code[:16]}…" for code in about["training_code"]),
        "Lock file, sha256": f"{about['lock_sha256'][:16]}…" if about["lock_sha256"] else None,
    }
    return [{"what": what, "value": value} for what, value in facts.items()]
