"""The project's own files, as the tests of them read them."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = sorted(path.parent.name for path in (ROOT / "charlm").glob("*/measures.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def pins(requirements: str | list[str]) -> dict[str, str]:
    """{name: version} of requirements written name==version, names as packaging compares them."""
    lines = requirements.splitlines() if isinstance(requirements, str) else requirements
    found = (re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line) for line in lines)
    return {plain(match[1]): match[2] for match in found if match}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


DIRECT = pins(PROJECT["project"]["dependencies"])


def calls(checkout: Path) -> list[str]:
    """What the script was called for since the last time this was asked."""
    log = checkout / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in lines if not line.startswith("-c ")]


def names_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
