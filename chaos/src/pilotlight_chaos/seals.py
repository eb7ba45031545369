"""What a vendor seals so that it knows its own again, and nobody else's.

A real signature or an encrypted thought tells who made it, and whether what it stands for was
changed.  So does a seal, without a secret: nobody here has to be kept from forging one.
"""

from __future__ import annotations

import base64
import hashlib


def seal(vendor: str, said: str) -> str:
    """Return the vendor's seal on what was said: base64, as all vendors write theirs."""
    digest = hashlib.sha256(f"{vendor}\n{said}".encode("utf-8", "surrogatepass")).digest()
    return base64.b64encode(vendor.encode() + b":" + digest).decode()


def is_sealed(vendor: str, said: str, sealed: object) -> bool:
    """Tell whether this is the vendor's seal on what was said."""
    return sealed == seal(vendor, said)
