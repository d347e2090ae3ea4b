"""Fixed ports for people, free ports for tests."""

import random
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.local.errors import LocalUsageError, PortInUseError
from aurora.local.ports import DEFAULT_BASE_PORT, Ports, is_free, require_free


@given(st.integers(min_value=1024, max_value=65530))
def test_fixed_ports_are_six_in_a_row_and_legal(base: int) -> None:
    values = list(Ports.fixed(base).as_dict().values())
    assert values == list(range(base, base + 6))
    assert values[-1] <= 65535


@pytest.mark.parametrize("base", [-1, 0, 80, 1023, 65531, 70000])
def test_a_base_port_out_of_range_is_refused(base: int) -> None:
    with pytest.raises(LocalUsageError, match="1024 to 65530"):
        Ports.fixed(base)


def test_the_default_ports_avoid_node_ports_and_outgoing_connections() -> None:
    assert all(port < 30000 for port in Ports.fixed().as_dict().values())
    assert Ports.fixed().apiserver == DEFAULT_BASE_PORT


def test_ephemeral_ports_are_free_and_distinct() -> None:
    found = list(Ports.ephemeral(random.Random(7)).as_dict().values())
    assert len(set(found)) == 6
    assert all(is_free(port) for port in found)


def test_a_taken_port_is_named_with_its_use() -> None:
    ports = Ports.ephemeral(random.Random())
    with socket.create_server(("127.0.0.1", ports.scheduler)):
        assert not is_free(ports.scheduler)
        with pytest.raises(PortInUseError, match=re.escape(f"{ports.scheduler} (scheduler)")):
            require_free(ports)
        require_free(ports, only=frozenset({"etcd"}))
    require_free(ports)
