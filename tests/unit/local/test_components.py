"""The command lines: loopback only, certificates everywhere, every file below one folder."""

import dataclasses
from pathlib import Path

import pytest

from aurora.local import components
from aurora.local.components import AutoscalerTiming, Component
from aurora.local.layout import Layout
from aurora.local.ports import Ports
from aurora.local.tools import TOOLS

LAYOUT = Layout(Path("/state"))
PORTS = Ports.fixed(20100)
BINARIES = {name: Path("/bin") / name for name in TOOLS}


def parts(autoscaler: AutoscalerTiming | None = None) -> dict[str, Component]:
    return components.build(
        layout=LAYOUT,
        ports=PORTS,
        binaries=BINARIES,
        autoscaler=autoscaler or AutoscalerTiming(),
    )


def value(part: Component, flag: str) -> str:
    found = [one.partition("=")[2] for one in part.argv if one.startswith(f"--{flag}=")]
    assert len(found) == 1, f"{flag} is given {len(found)} times to {part.name}"
    return found[0]


@pytest.mark.parametrize("name", list(parts()))
def test_a_component_executes_its_own_binary(name: str) -> None:
    assert parts()[name].argv[0] == f"/bin/{name}"


@pytest.mark.parametrize("name", list(parts()))
def test_no_flag_lets_a_component_listen_beyond_loopback(name: str) -> None:
    flags = " ".join(parts()[name].argv)
    assert "0.0.0.0" not in flags
    assert "[::]" not in flags


@pytest.mark.parametrize("name", ["kube-apiserver", "kube-controller-manager", "kube-scheduler"])
def test_a_kubernetes_server_binds_to_loopback(name: str) -> None:
    assert value(parts()[name], "bind-address") == "127.0.0.1"


def test_every_port_is_used_by_exactly_the_component_it_is_named_after() -> None:
    found = parts()
    assert value(found["kube-apiserver"], "secure-port") == str(PORTS.apiserver)
    assert value(found["kube-controller-manager"], "secure-port") == str(PORTS.controller_manager)
    assert value(found["kube-scheduler"], "secure-port") == str(PORTS.scheduler)
    assert value(found["prometheus"], "web.listen-address") == f"127.0.0.1:{PORTS.prometheus}"
    assert value(found["etcd"], "listen-client-urls") == f"https://127.0.0.1:{PORTS.etcd}"
    assert value(found["etcd"], "listen-peer-urls") == f"https://127.0.0.1:{PORTS.etcd_peer}"


def test_the_api_server_talks_to_the_etcd_that_is_started() -> None:
    found = parts()
    assert value(found["kube-apiserver"], "etcd-servers") == value(
        found["etcd"], "advertise-client-urls"
    )


def test_etcd_asks_clients_and_peers_for_certificates() -> None:
    assert value(parts()["etcd"], "client-cert-auth") == "true"
    assert value(parts()["etcd"], "peer-client-cert-auth") == "true"


def test_authorization_is_node_and_rbac() -> None:
    assert value(parts()["kube-apiserver"], "authorization-mode") == "Node,RBAC"


def test_tokens_are_signed_with_the_key_whose_public_half_checks_them() -> None:
    found = parts()
    signing = value(found["kube-apiserver"], "service-account-signing-key-file")
    assert signing == value(found["kube-controller-manager"], "service-account-private-key-file")
    checking = value(found["kube-apiserver"], "service-account-key-file")
    assert Path(checking).stem == Path(signing).stem


@pytest.mark.parametrize("name", list(parts()))
def test_every_file_flag_points_into_the_state_folder(name: str) -> None:
    paths = [one.partition("=")[2] for one in parts()[name].argv[1:] if "=/" in one]
    assert paths
    assert [path for path in paths if not path.startswith("/state/")] == []


def test_only_what_reads_the_cluster_waits_for_the_api_server() -> None:
    waiting = {name for name, part in parts().items() if part.needs_apiserver}
    assert waiting == {"kube-controller-manager", "kube-scheduler", "kwok"}


def test_fast_times_reach_the_controller_manager_and_differ_from_the_defaults() -> None:
    usual, fast = AutoscalerTiming(), AutoscalerTiming.fast()
    part = parts(fast)["kube-controller-manager"]
    assert value(part, "horizontal-pod-autoscaler-sync-period") == f"{fast.sync}s"
    for field in dataclasses.fields(AutoscalerTiming):
        assert getattr(fast, field.name) < getattr(usual, field.name), field.name


def test_prometheus_reads_targets_only_from_the_folder() -> None:
    config = components.prometheus_config(file_sd=LAYOUT.file_sd, scrape_seconds=7)
    assert config["global"]["scrape_interval"] == "7s"  # type: ignore[index]
    (job,) = config["scrape_configs"]  # type: ignore[misc]
    assert job["honor_labels"] is True
    (discovery,) = job["file_sd_configs"]
    assert all(one.startswith(f"{LAYOUT.file_sd}/") for one in discovery["files"])
