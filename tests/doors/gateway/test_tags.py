"""Whose a call is: by the caller's own word, and by its key, which is ours to say."""

from __future__ import annotations

from typing import Any

import pytest

from pilotlight.doors.gateway.refuse import Refuse
from pilotlight.doors.gateway.request import Request


def request(header: str | None, key: str = "") -> Request:
    headers = [] if header is None else [(b"x-pilotlight-tags", header.encode())]
    caller: Any = None
    made = Request({"headers": headers, "path": "/v1/models"}, caller)
    made.key = key
    return made


@pytest.mark.parametrize(
    ("header", "key", "tags"),
    [
        (None, "", {}),
        (None, "ci", {"key": "ci"}),
        ("team=search", "", {"team": "search"}),
        (" team = search ,user=ann,", "ci", {"team": "search", "user": "ann", "key": "ci"}),
        ("key=admin", "ci", {"key": "ci"}),
        ("key=admin", "", {}),
        ("q=a=b", "", {"q": "a=b"}),
    ],
)
def test_tags_of_a_request(header, key, tags):
    assert request(header, key).tags() == tags


def test_what_is_no_tag_is_refused():
    with pytest.raises(Refuse, match="team=search"):
        request("search").tags()
