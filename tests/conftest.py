"""Shared fixtures, and a kill switch: no test reaches any host but this machine."""

import os
import socket
from typing import Any

import hypothesis
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
for name in [name for name in os.environ if name.startswith("TUWEN_") and not name.startswith("TUWEN_TEST_")]:
    del os.environ[name]

hypothesis.settings.register_profile("tuwen", deadline=None)  # shared machines are slow at times
hypothesis.settings.load_profile("tuwen")

_connect = socket.socket.connect
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _LOOPBACK:
            pytest.fail(f"a test tried to reach {address[0]}")
        _connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
