"""What is written to disk: certificates, kubeconfig, settings, stages; and the folder's limits."""

import base64
import datetime as dt
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from aurora.local import kubeconfig, pki, stages
from aurora.local.components import AutoscalerTiming
from aurora.local.errors import DiskFullError, LocalUsageError, StateFolderError
from aurora.local.folder import StateFolder
from aurora.local.layout import Layout, default_cache_dir, default_state_dir
from aurora.local.nodes import NodeShape, manifest
from aurora.local.ports import Ports
from aurora.local.settings import Settings

NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    pki.create(folder, now=NOW)
    return folder


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


@pytest.mark.parametrize("identity", pki.IDENTITIES, ids=lambda identity: identity.name)
def test_an_identity_is_signed_by_our_authority_and_valid_now(
    keys: Path, identity: pki.Identity
) -> None:
    found = certificate(keys, identity.name)
    found.verify_directly_issued_by(certificate(keys, "ca"))
    assert found.not_valid_before_utc < NOW < found.not_valid_after_utc
    groups = found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert tuple(group.value for group in groups) == identity.organizations


def test_the_scheduler_is_no_administrator(keys: Path) -> None:
    assert not certificate(keys, "kube-scheduler").subject.get_attributes_for_oid(
        NameOID.ORGANIZATION_NAME
    )


def test_keys_are_readable_by_their_owner_only(keys: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in keys.glob("*.key")}
    assert modes == {0o600}


def test_a_second_call_keeps_the_certificates(keys: Path) -> None:
    before = (keys / "ca.crt").read_bytes()
    pki.create(keys, now=NOW)
    assert (keys / "ca.crt").read_bytes() == before


def test_a_half_written_folder_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"half")
    pki.create(tmp_path, now=NOW)
    certificate(tmp_path, "admin").verify_directly_issued_by(certificate(tmp_path, "ca"))


def test_a_kubeconfig_carries_its_certificates_and_the_context(keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    kubeconfig.write(path, server="https://127.0.0.1:1", pki=keys, identity="admin")
    document = yaml.safe_load(path.read_text())
    assert document["current-context"] == "aurora-local"
    user = document["users"][0]["user"]
    assert base64.b64decode(user["client-key-data"]) == (keys / "admin.key").read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@given(
    base=st.integers(1024, 65530),
    nodes=st.integers(1, 1000),
    seconds=st.integers(1, 300),
    cpu=st.text(max_size=8),
)
def test_settings_survive_the_disk(base: int, nodes: int, seconds: int, cpu: str) -> None:
    settings = Settings(
        ports=Ports.fixed(base),
        nodes=nodes,
        shape=NodeShape(cpu=cpu),
        scrape_seconds=seconds,
        autoscaler=AutoscalerTiming.fast(),
    )
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [("nodes", 0), ("nodes", 1001), ("scrape_seconds", 0), ("scrape_seconds", 301)],
)
def test_a_setting_out_of_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(LocalUsageError, match="out of range"):
        Settings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"ports": {"a": 1}}'])
def test_damaged_settings_say_how_to_start_over(tmp_path: Path, content: str) -> None:
    folder = StateFolder(Layout(tmp_path))
    folder.layout.marker.write_text(content)
    with pytest.raises(StateFolderError, match="aurora local down"):
        folder.load()
    assert folder.remove()


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    folder = StateFolder(Layout(tmp_path / "state"))
    with pytest.raises(DiskFullError, match="5 MiB free"):
        folder.preflight(free_bytes=lambda _: 5 * 1024**2)
    assert not folder.root.exists()


def test_a_state_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("mine")
    with pytest.raises(StateFolderError, match="is a file"):
        StateFolder(Layout(tmp_path / "state")).preflight()


def test_remove_refuses_a_folder_without_our_marker(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(StateFolderError):
        StateFolder(Layout(tmp_path)).remove()
    assert (tmp_path / "precious").exists()


def test_a_node_without_gpus_offers_none() -> None:
    allocatable = manifest("node-0", NodeShape(gpus="0"))["status"]["allocatable"]
    assert "nvidia.com/gpu" not in allocatable
    assert manifest("node-0", NodeShape())["status"]["allocatable"]["nvidia.com/gpu"] == "16"


def test_the_stages_are_yaml_documents_with_distinct_names() -> None:
    documents = list(yaml.safe_load_all(stages.render()))
    assert documents == stages.stages()
    names = [one["metadata"]["name"] for one in documents]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("environ", "state", "cache"),
    [
        pytest.param(
            {"XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"},
            Path("/s/aurora/local"),
            Path("/c/aurora"),
            id="where XDG says",
        ),
        pytest.param(
            {"XDG_STATE_HOME": "", "XDG_CACHE_HOME": ""},
            Path.home() / ".local/state/aurora/local",
            Path.home() / ".cache/aurora",
            id="in the home folder when XDG is empty",
        ),
    ],
)
def test_folders_follow_xdg(environ: dict[str, str], state: Path, cache: Path) -> None:
    assert default_state_dir(environ) == state
    assert default_cache_dir(environ) == cache
