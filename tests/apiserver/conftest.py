"""One control plane for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.apiserver.installed import guarded, own_namespace, shown
from tests.support.controlplane import control_plane

__all__ = ["control_plane", "guarded", "own_namespace", "shown"]


@pytest.fixture(scope="session", autouse=True)
def compared_by_numbers() -> Iterator[None]:
    """Text embeddings take 13 s and 840 MB to load; their own tests do."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AURORA_EMBEDDINGS", "numeric")
        yield
