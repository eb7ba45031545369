from __future__ import annotations

import pytest
from kit_gateway import MODELS, config, serving

from pilotlight_chaos import ChaosServer


@pytest.fixture
def chaos():
    with ChaosServer(models=MODELS) as server:
        yield server


@pytest.fixture
def site(chaos):
    with serving(config(chaos, send_timeout=0.3, body_timeout=0.5, max_body_mb=0.1)) as here:
        yield here
