"""The version of this distribution, as in pyproject.toml."""

from typing import Final

__version__: Final = "0.1.0"
