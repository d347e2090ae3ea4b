"""`aurora local` for real: every program runs, behaves as a cluster, and goes away again."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aurora.local import process
from aurora.local.client import LocalClient, http_ok
from aurora.local.controlplane import COMPONENTS, ControlPlane, Started
from aurora.local.errors import ComponentCrashError, LocalError, PortInUseError, StateFolderError
from aurora.local.layout import Layout
from aurora.local.stages import START_SECONDS
from tests.support import controlplane as support

pytestmark = pytest.mark.apiserver

NAMESPACE = "/api/v1/namespaces/default"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ControlPlane, Started]]:
    plane, started = support.start(tmp_path_factory.mktemp("local"))
    yield plane, started
    plane.down()


@pytest.fixture
def client(running: tuple[ControlPlane, Started]) -> LocalClient:
    return client_of(running[0])


def client_of(plane: ControlPlane) -> LocalClient:
    settings = plane.status().settings
    assert settings is not None
    return LocalClient(port=settings.ports.apiserver, pki=Layout(plane.root).pki)


def eventually(check: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
    return answer


def deployment(name: str, *, replicas: int, annotations: dict[str, str]) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    "containers": [
                        {
                            "name": "server",
                            "image": "example.invalid/server:1",
                            "resources": {"limits": {"nvidia.com/gpu": "1"}},
                        }
                    ]
                },
            },
        },
    }


def ready_replicas(client: LocalClient, name: str) -> int:
    status, body = client.request("GET", f"{DEPLOYMENTS}/{name}")
    assert status == 200, body
    return body["status"].get("readyReplicas", 0)


def test_up_gives_a_ready_node_that_offers_gpus(client: LocalClient) -> None:
    status, node = client.request("GET", "/api/v1/nodes/node-0")
    assert status == 200
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "16"
    ready = [one["status"] for one in node["status"]["conditions"] if one["type"] == "Ready"]
    assert ready == ["True"]


def test_pods_of_a_deployment_become_ready_and_use_gpus(client: LocalClient) -> None:
    body = deployment("quick", replicas=3, annotations={})
    assert client.request("POST", DEPLOYMENTS, body)[0] == 201
    eventually(lambda: ready_replicas(client, "quick") == 3)
    pods = client.request("GET", f"{NAMESPACE}/pods?labelSelector=app%3Dquick")[1]["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-0"}
    assert len({pod["status"]["podIP"] for pod in pods}) == 3


def test_more_gpus_than_the_node_has_stay_pending(client: LocalClient) -> None:
    body = deployment("greedy", replicas=1, annotations={})
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["resources"]["limits"]["nvidia.com/gpu"] = "17"
    assert client.request("POST", DEPLOYMENTS, body)[0] == 201
    pods = f"{NAMESPACE}/pods?labelSelector=app%3Dgreedy"

    def unschedulable() -> bool:
        items = client.request("GET", pods)[1]["items"]
        conditions = [one for pod in items for one in pod["status"].get("conditions", ())]
        return any(one.get("reason") == "Unschedulable" for one in conditions)

    eventually(unschedulable)


def test_a_slow_start_keeps_the_pod_unready_for_its_seconds(client: LocalClient) -> None:
    body = deployment("slow", replicas=1, annotations={START_SECONDS: "3"})
    assert client.request("POST", DEPLOYMENTS, body)[0] == 201
    path = f"{NAMESPACE}/pods?labelSelector=app%3Dslow"

    def started_pod() -> dict[str, Any] | None:
        items = client.request("GET", path)[1]["items"]
        return items[0] if items and "startTime" in items[0]["status"] else None

    begin = time.monotonic()
    waiting = eventually(started_pod)
    assert waiting["status"]["phase"] == "Pending"
    assert ready_replicas(client, "slow") == 0
    eventually(lambda: ready_replicas(client, "slow") == 1)
    # startTime has whole seconds, so up to one of the three may already be over.
    assert time.monotonic() - begin >= 2.0


def bearer_request(client: LocalClient, plane: ControlPlane, path: str) -> tuple[int, str]:
    """GET as the default service account of the default namespace."""
    status, answer = client.request(
        "POST", f"{NAMESPACE}/serviceaccounts/default/token", {"spec": {}}
    )
    assert status == 201, answer
    settings = plane.status().settings
    assert settings is not None
    tls = ssl.create_default_context(cafile=str(Layout(plane.root).pki / "ca.crt"))
    connection = http.client.HTTPSConnection("127.0.0.1", settings.ports.apiserver, context=tls)
    token = answer["status"]["token"]
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    try:
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_a_service_account_token_gets_what_rbac_grants_and_no_more(
    running: tuple[ControlPlane, Started], client: LocalClient
) -> None:
    plane = running[0]
    status, refusal = bearer_request(client, plane, f"{NAMESPACE}/pods")
    assert status == 403
    assert "system:serviceaccount:default:default" in json.loads(refusal)["message"]
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "default-views"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "view",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }
    assert client.request("POST", rbac, binding)[0] == 201
    eventually(lambda: bearer_request(client, plane, f"{NAMESPACE}/pods")[0] == 200)
    assert bearer_request(client, plane, "/api/v1/nodes")[0] == 403


def test_a_request_without_a_certificate_is_refused(running: tuple[ControlPlane, Started]) -> None:
    settings = running[0].status().settings
    assert settings is not None
    tls = ssl.create_default_context(cafile=str(Layout(running[0].root).pki / "ca.crt"))
    connection = http.client.HTTPSConnection("127.0.0.1", settings.ports.apiserver, context=tls)
    connection.request("GET", f"{NAMESPACE}/secrets")
    assert connection.getresponse().status == 403
    connection.close()


def test_prometheus_scrapes_a_target_file_dropped_into_its_folder(
    running: tuple[ControlPlane, Started],
) -> None:
    started = running[1].endpoints
    host = started.prometheus_url.removeprefix("http://")
    target = [{"targets": [host], "labels": {"namespace": "default", "pod": "quick-1"}}]
    (started.file_sd / "fleet.json").write_text(json.dumps(target))
    port = int(host.rpartition(":")[2])

    def up() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/api/v1/query?query=up%7Bpod%3D%22quick-1%22%7D%20%3D%3D%201")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return bool(answer["data"]["result"])

    eventually(up, seconds=30)


def test_kubectl_from_the_printed_folder_reads_the_nodes(
    running: tuple[ControlPlane, Started],
) -> None:
    where = running[1].endpoints
    answer = subprocess.run(
        [where.bin_dir / "kubectl", "get", "nodes", "--output=name", "--context", where.context],
        env={"KUBECONFIG": str(where.kubeconfig), "HOME": str(where.bin_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "node/node-0"


def test_a_second_up_says_that_it_runs_and_changes_nothing(
    running: tuple[ControlPlane, Started],
) -> None:
    plane = running[0]
    before = plane.status().running

    def no_programs() -> dict[str, Path]:
        raise AssertionError("a running control plane needs no programs")

    said: list[str] = []
    again = support.new_control_plane(plane.root, programs=no_programs, say=said.append).up()
    assert again.already_running
    # The test asked for other ports than those that run.
    assert said == ["settings of the first start are kept; to change them, run down first"]
    assert again.endpoints == running[1].endpoints
    assert plane.status().running == before


def test_up_brings_back_a_program_that_died_and_keeps_the_data(
    running: tuple[ControlPlane, Started], client: LocalClient
) -> None:
    plane = running[0]
    pids = {one.component: one.pid for one in plane.status().running}
    os.kill(pids["kube-scheduler"], signal.SIGKILL)
    eventually(lambda: "kube-scheduler" in plane.status().missing)
    assert not plane.up().already_running
    after = {one.component: one.pid for one in plane.status().running}
    assert after["etcd"] == pids["etcd"]
    assert after["kube-scheduler"] != pids["kube-scheduler"]
    assert client.exists(f"{NAMESPACE}/serviceaccounts/default")


def test_down_ends_every_process_and_removes_the_folder(tmp_path: Path) -> None:
    plane, _ = support.start(tmp_path)
    pids = [one.pid for one in plane.status().running]
    assert len(pids) == len(COMPONENTS)
    # A lookalike: same command name and folder argument, but not started by us.
    stranger = subprocess.Popen(
        [sys.executable, "-c", "input()", str(plane.root)], stdin=subprocess.PIPE
    )
    try:
        assert plane.down()
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")
    assert not plane.root.exists()
    assert list(tmp_path.iterdir()) == []
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert not plane.down()


def test_down_cleans_up_after_an_up_that_was_killed(tmp_path: Path) -> None:
    root = tmp_path / "state"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from aurora.local import nodes\n"
        "nodes.create = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from tests.support.controlplane import new_control_plane\n"
        "new_control_plane(Path(sys.argv[1])).up()\n"
    )
    plane = support.new_control_plane(root)
    try:
        ended = subprocess.run([sys.executable, "-c", code, str(root)], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert process.find(root)
        # All programs may run, but nodes are missing: that is not up.
        assert not plane.status().is_healthy
    finally:
        assert plane.down()
    assert process.find(root) == []
    assert not root.exists()


def test_a_port_in_use_is_named_and_nothing_is_left(
    running: tuple[ControlPlane, Started], tmp_path: Path
) -> None:
    settings = running[0].status().settings
    assert settings is not None
    other = support.new_control_plane(tmp_path / "state", settings=settings)
    with pytest.raises(PortInUseError, match=f"{settings.ports.apiserver} .apiserver.*--base-port"):
        other.up()
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_crashes_is_named_with_its_last_words(
    running: tuple[ControlPlane, Started], tmp_path: Path
) -> None:
    broken = tmp_path / "kube-scheduler"
    broken.write_text("#!/bin/sh\necho 'error: no such feature gate' >&2\nexit 3\n")
    broken.chmod(0o755)
    found = {path.name: path.resolve() for path in running[1].endpoints.bin_dir.iterdir()}
    plane = support.new_control_plane(
        tmp_path / "state", programs=lambda: found | {"kube-scheduler": broken}
    )
    with pytest.raises(ComponentCrashError, match=r"kube-scheduler.*exit code 3.*feature gate"):
        plane.up()
    assert process.find(plane.root) == []
    assert not plane.root.exists()


def test_a_node_quantity_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    settings = support.quick_settings()
    wrong = type(settings)(
        ports=settings.ports, shape=type(settings.shape)(cpu="many"), autoscaler=settings.autoscaler
    )
    plane = support.new_control_plane(tmp_path / "state", settings=wrong)
    with pytest.raises(LocalError, match=r"refused node node-0 \(see the --node options\)"):
        plane.up()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_foreign_files_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    plane = support.new_control_plane(tmp_path)
    for command in (plane.up, plane.down):
        with pytest.raises(StateFolderError, match="not of a local control plane"):
            command()
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_http_ok_is_false_where_nothing_listens(running: tuple[ControlPlane, Started]) -> None:
    settings = running[0].status().settings
    assert settings is not None
    assert http_ok(settings.ports.prometheus, "/-/ready")
    assert not http_ok(settings.ports.prometheus, "/no-such-page")
