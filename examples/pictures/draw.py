"""Draws one picture, by whoever can; a private one at home."""

import base64
from pathlib import Path

import pilotlight

route = pilotlight.load().route("pictures")
for private in (False, True):
    answer = route.image("a lamp in a window at night", size="512x512", private=private)
    print(f"private={private}: drawn by {answer.served_by}")
    if answer.images[0].b64_json:
        Path(f"lamp-{answer.served_by}.png").write_bytes(
            base64.b64decode(answer.images[0].b64_json)
        )
