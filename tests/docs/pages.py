"""What the pages hold: their blocks of code, each with the mark before it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(
            ROOT / name
            for name in (
                "README.md",
                "CHANGELOG.md",
                "CONTRIBUTING.md",
                "SECURITY.md",
                "CODE_OF_CONDUCT.md",
            )
        ),
        *ROOT.glob("docs/*.md"),
        ROOT / "chaos" / "README.md",
    ]
)
_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^>]*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<where>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Return every block in one of these languages."""
    return [block for page in PAGES for block in _blocks(page) if block.language in languages]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        indent = found["indent"]
        lines = (each.removeprefix(indent) for each in found["text"].splitlines())
        inside = "\n".join(lines) + "\n"
        name = str(page.relative_to(ROOT))
        yield Block(name, line, found["language"], found["mark"] or "", inside)


def links(page: Path) -> list[str]:
    """Return where a page's links lead, those within code left out."""
    return [found["where"] for found in _LINK.finditer(_CODE.sub("", page.read_text("utf-8")))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = page.read_text("utf-8")
    headings, named = _HEADING.findall(text), re.findall(r'<a id="([^"]+)"></a>', text)
    return set(named) | {
        re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings
    }
