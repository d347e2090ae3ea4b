"""One control plane for all tests of this folder."""

from tests.apiserver.installed import guarded, own_namespace, shown
from tests.support.controlplane import control_plane

__all__ = ["control_plane", "guarded", "own_namespace", "shown"]
