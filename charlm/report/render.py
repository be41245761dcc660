"""One Markdown document of all notebooks, and pandoc, which makes it HTML or typst's markup."""

import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pypandoc
import yaml
from nbformat import NotebookNode

from charlm.printable import inline, visible
from charlm.report.address import CITATION, read_address
from charlm.report.execute import Job, ReportError
from charlm.show import Table, boxed, escape_markdown, fenced, verdict_icon

TEMPLATES = Path(__file__).with_name("templates")

# CommonMark as JupyterLab reads it, and the fenced divs that charlm.show writes
READER = (
    "commonmark+pipe_tables+strikeout+tex_math_dollars+autolink_bare_uris+smart+footnotes"
    "+gfm_auto_identifiers+fenced_divs"
)
HOW_TO_RUN = """## How to run it

In a copy of the project, `make report` trains what is missing, executes the notebooks in `notebooks/` and writes this report;
`make quick` does the same on a small scale, in a minute or two. `make lab` opens the notebooks in JupyterLab.
"""

# ---------------------------------------------------------------------------------------------------------------------
# one document


def document(executed: Sequence[tuple[Job, NotebookNode]], results: dict, play: str = "") -> str:
    """The Markdown of the report: the last notebook, in which what can be tried has its place, then the others, then the
    provenance and the references."""
    seen: set[Path] = set()
    text: list[str] = []
    provenance: list[str] = []
    references: list[str] = []
    for job, notebook in [executed[-1], *executed[:-1]]:
        hidden = {"injected-parameters", "hide"} | ({"once"} if job.notebook in seen else set())
        seen.add(job.notebook)
        for cell in notebook.cells:
            tags = set(cell.metadata.get("tags", []))
            if tags & hidden:
                continue
            if "references" in tags:
                references += [line for line in cell.source.splitlines() if line.startswith("- ")]
            elif "play" in tags:
                text.append(play)
            elif "provenance" in tags:
                provenance.append(as_markdown(cell, job.parameters))
            else:
                text.append(as_markdown(cell, job.parameters))
    text += ["# Provenance", facts_table(results), boxed(".fold", "\n\n".join(provenance)), HOW_TO_RUN, how_to_cite()]
    if references:
        text += ["## References", "\n".join(sorted(set(references), key=str.casefold))]
    return "\n\n".join(text)


def facts_table(results: dict) -> str:
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
    frame = pd.DataFrame({"what": facts.keys(), "value": facts.values()})
    table = Table("provenance", frame, "What this report was made with. Every number in it is in `results.json`.")
    return table._repr_mimebundle_()[0]["text/markdown"]


def read_citation() -> dict:
    """What CITATION.cff says; authors are a list of names there."""
    citation = yaml.safe_load(CITATION.read_text("utf-8"))
    names = [a.get("name") or f"{a['given-names']} {a['family-names']}" for a in citation["authors"]]
    return citation | {"authors": names}


def how_to_cite() -> str:
    citation = read_citation()
    fields = {
        "author": " and ".join(f"{{{name}}}" for name in citation["authors"]),
        "title": f"{{{citation['title']}}}",
        "version": citation["version"],
        "year": str(citation.get("date-released", ""))[:4],
        "license": citation["license"],
        "url": read_address(),
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return "## How to cite it\n\n" + boxed(".cite", fenced(f"@software{{charlm,\n{lines}\n}}"))


def as_markdown(cell: NotebookNode, parameters: dict) -> str:
    """A cell of an executed notebook: what it shows, and for the filter to fold away, its code. In a lesson the code is what
    there is to read, and stands with what it gives."""
    tags = cell.metadata.get("tags", [])
    if cell.cell_type == "code":
        shown = "\n\n".join(filter(None, map(shown_output, cell.outputs)))
        source = code_and_log(cell, parameters)
    else:
        shown = cell.source
        source = ""
    if "lesson" in tags:
        return boxed(".fold .lesson", f"{source}\n\n{shown}")
    for tag in ("fold", "aside"):
        if tag in tags and shown:
            shown = boxed(f".{tag}", shown)
    return f"{shown}\n\n" + boxed(".code", source) if source else shown


def code_and_log(cell: NotebookNode, parameters: dict) -> str:
    """The source of a cell of code, with the parameters of this report, and what it printed; empty for an empty cell."""
    source = cell.source
    if not source.strip():
        return ""
    if "parameters" in cell.metadata.get("tags", []):
        given = {k: v.name if isinstance(v, Path) else v for k, v in parameters.items()}
        source += "\n\n# in this report\n" + "\n".join(f"{k} = {v!r}" for k, v in given.items())
    # The kernel cuts a stream where it pleases: joined, it is the same every time.
    log = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
    log = visible(re.sub(r"[^\n]*\r(?!\n)", "", log.replace("\r\n", "\n"))).rstrip("\n")
    return fenced(source, "python") + (f"\n{fenced(log)}" if log else "")


def shown_output(output: NotebookNode) -> str:
    """An output of a cell: its Markdown where it has some, else its plain text. Results and streams show nothing."""
    facts = output.get("metadata", {}).get("charlm", {})
    kind = facts.get("kind")
    if output.output_type == "stream" or kind == "results":
        return ""
    if kind == "finding":
        heading = boxed(".heading", facts["heading"]) if "heading" in facts else ""
        return boxed(f"#{facts['id']} .finding", f"{heading}\n{facts['text']}")
    if kind == "cards":
        return boxed(f"#{facts['id']} .cards", "\n".join(map(card, facts["items"])))
    if kind == "tiles":
        return boxed(f"#{facts['id']} .tiles", "\n".join(map(tile, facts["items"])))
    if "text/markdown" in output.data:
        return output.data["text/markdown"]
    return fenced(visible(output.data.get("text/plain", "")))


def card(item: dict) -> str:
    figure = item["figure"]
    attributes = f'.card section="{item["section"]}"' + (f' figure="{figure["id"]}"' if figure else "")
    return boxed(attributes, item["text"] + (f"\n\n{fenced(inline(figure['alt']))}" if figure else ""))


def tile(item: dict) -> str:
    verdict = f"{verdict_icon(item['verdict'])} {item['verdict']}"
    return boxed(f'.tile target="{item["target"]}"', f"{escape_markdown(item['label'])}\n\n{escape_markdown(verdict)}")


# ---------------------------------------------------------------------------------------------------------------------
# pandoc


def pandoc(markdown: str, to: str, template: str, subtitle: str, *options: str) -> str:
    """The document in another format. Raises ReportError with the first line of what pandoc or the filter says."""
    command = [pypandoc.get_pandoc_path(), "--from", READER, "--to", to, "--standalone", "--fail-if-warnings"]
    command += ["--template", TEMPLATES / template, "--lua-filter", TEMPLATES / "report.lua"]
    command += ["--wrap", "none", "--eol", "lf", *options]
    citation = read_citation()
    metadata = {"subtitle": subtitle, "author": ", ".join(citation["authors"]), "date": citation.get("date-released")}
    with tempfile.TemporaryDirectory() as folder:
        # A command line is read in the encoding of the system, a file as UTF-8.
        defaults = Path(folder, "defaults.yaml")
        shown = {name: str(value) for name, value in metadata.items() if value}
        defaults.write_text(json.dumps({"metadata": shown}, ensure_ascii=False), "utf-8", newline="\n")
        done = subprocess.run([*command, "--defaults", defaults], input=markdown.encode(), capture_output=True)
    if done.returncode:
        said = [
            line for line in done.stderr.decode(errors="replace").splitlines() if not line.startswith("Error running")
        ]
        raise ReportError(f"the report as {to}: {said[0] if said else 'pandoc failed'}")
    return done.stdout.decode()
