"""What the site needs besides the pages: links to files of the repository lead to its host.

On the repository's host a page links to `../examples/outage.py`; the site has only the pages.
"""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\]\(\.\./([^)\s]*)\)")
_MARKS = re.compile(r"^<!-- (?:runnable|output|table|end of table)[^>]*-->\n", re.MULTILINE)


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Return the page as the site shows it."""
    there = "](https://github.com/pilotlight/pilotlight/blob/main/\\1)"
    assert config["repo_url"] in there
    return _MARKS.sub("", _OUTSIDE.sub(there, markdown))
