"""The programs of a control plane: which version, where it is published, how it is built."""

import re
from dataclasses import dataclass
from typing import NamedTuple

KUBERNETES = "1.36.3"
ETCD = "3.6.8"
KWOK = "0.8.0"
PROMETHEUS = "3.15.0"


class Version(NamedTuple):
    """Major and minor: what compatibility is decided on."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True)
class Tool:
    """One program.

    Attributes:
        name: the executable's name.
        version: the release that is downloaded or built, without "v".
        minimum: the oldest version that is taken from PATH.
        module: folder below gomod/ with the go.mod that builds it.
        package: the Go package of its main function.
        version_variable: Go variable that the linker sets to the version.
        repository: GitHub repository of its releases; None for those on dl.k8s.io.
    """

    name: str
    version: str
    minimum: Version
    module: str
    package: str
    version_variable: str | None = None
    repository: str | None = None


def _kubernetes(name: str) -> Tool:
    return Tool(
        name=name,
        version=KUBERNETES,
        minimum=Version(1, 30),
        module="kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        version_variable="k8s.io/component-base/version.gitVersion=v",
    )


SERVERS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Taken from one place and of one minor version, or not at all."""

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            name="etcd",
            version=ETCD,
            minimum=Version(3, 5),
            module="kubernetes",
            package="go.etcd.io/etcd/server/v3",
            repository="etcd-io/etcd",
        ),
        *(_kubernetes(name) for name in SERVERS),
        _kubernetes("kubectl"),
        Tool(
            name="kwok",
            version=KWOK,
            minimum=Version(0, 8),
            module="kwok",
            package="sigs.k8s.io/kwok/cmd/kwok",
            repository="kubernetes-sigs/kwok",
        ),
        Tool(
            name="prometheus",
            version=PROMETHEUS,
            minimum=Version(2, 45),
            module="prometheus",
            package="github.com/prometheus/prometheus/cmd/prometheus",
            version_variable="github.com/prometheus/common/version.Version=",
            repository="prometheus/prometheus",
        ),
    )
}

_VERSION = re.compile(r"(?<![\d.])v?(\d+)\.(\d+)\.\d+")


def parse_version(text: str) -> Version | None:
    """The first x.y.z in what `--version` prints; None when there is none."""
    found = _VERSION.search(text)
    return Version(int(found[1]), int(found[2])) if found else None
