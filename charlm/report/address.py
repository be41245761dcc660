"""Where the project is on the web: the field repository-code of CITATION.cff, which may be absent.

The workflow that publishes the report fills the field in and runs this file with the page, in any Python 3.
"""

import html
import re
import sys
from pathlib import Path

CITATION = Path(__file__).resolve().parents[2] / "CITATION.cff"


def read_address(citation: Path = CITATION) -> str:
    """The address without a slash at its end; nothing where the field is absent, empty or no address."""
    found = re.search(r"^repository-code: *[\"']?(https://[^\s\"']+?)/?[\"']?\s*$", citation.read_text("utf-8"), re.M)
    return found[1] if found else ""


def with_address(page: str, address: str) -> str:
    """The page with links to the project at the places that are kept for them."""
    links = {"repository": address, "notebooks on the web": f"{address}/tree/HEAD/notebooks"}
    repository = address.removeprefix("https://github.com/")
    if repository != address:
        links["notebooks to run (Binder)"] = f"https://mybinder.org/v2/gh/{repository}/HEAD?labpath=notebooks"
    shown = "".join(f' · <a href="{html.escape(to)}">{name}</a>' for name, to in links.items())
    return page.replace("<!-- address -->", shown).replace("<!-- url -->", f",\n  url = {{{html.escape(address)}}}")


if __name__ == "__main__":
    path = Path(sys.argv[1])
    if found := read_address():
        path.write_text(with_address(path.read_text("utf-8"), found), "utf-8", newline="\n")
