"""Why residency refuses: the rules by which a prompt stays at home, one closed set.

Residency refuses before a target is asked (its address, its name, its server's word),
at the socket (where a connection leads), and when an answer turns out to come from
elsewhere.  Each refusal is one `events.ResidencyRefused` with the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class ResidencyRule(StrEnum):
    """The rule that refused a target."""

    NOT_LOCAL = "not_local"
    UNLISTED_SERVER = "unlisted_server"
    CLOUD_NAME = "cloud_name"
    REMOTE_HOST = "remote_host"
    CLOUD_REPLY = "cloud_reply"
    ADDRESS_MISMATCH = "address_mismatch"
    FOREIGN_HOST = "foreign_host"
    FOREIGN_SOCKETS = "foreign_sockets"
    AFTER_BOUNDARY = "after_boundary"
    DECLARED = "declared"


MEANING: Mapping[ResidencyRule, str] = MappingProxyType(
    {
        ResidencyRule.NOT_LOCAL: "its address is neither loopback nor in `local_addresses`",
        ResidencyRule.UNLISTED_SERVER: "a server on loopback that is no Ollama, and is not in "
        "`local_addresses`: it may be a gateway to the world",
        ResidencyRule.CLOUD_NAME: "the model's name has a cloud tag",
        ResidencyRule.REMOTE_HOST: "the server says that the model runs on another host",
        ResidencyRule.CLOUD_REPLY: "the server answers as one that forwards to a cloud",
        ResidencyRule.ADDRESS_MISMATCH: "the target's host name leads out of the house",
        ResidencyRule.FOREIGN_HOST: "a redirect or a library led to a host that is not the "
        "target's; the connection was refused",
        ResidencyRule.FOREIGN_SOCKETS: "litellm opens connections of its own for this provider, "
        "which pilotlight can't hold to the address, whatever `local_addresses` says; a server "
        "that speaks OpenAI's language is `openai/MODEL` with its `api_base`",
        ResidencyRule.AFTER_BOUNDARY: "a target ahead met the fault `privacy_boundary`; from "
        "there on the call stays local",
        ResidencyRule.DECLARED: "a decorated function or a test's script said so",
    }
)
