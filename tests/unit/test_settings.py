"""Settings: documented, read as a person writes them, and refused with a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from aurora.config import Settings
from aurora.config_reference import PATH, main, reference
from aurora.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "bad-input.md"
REGENERATE = bool(os.environ.get("AURORA_REGENERATE"))
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"

BAD = (
    ("a cycle in words", {"CYCLE_SECONDS": "fast"}),
    ("a cycle of no time", {"CYCLE_SECONDS": "0"}),
    ("a duration with its unit", {"METRICS_WINDOW_SECONDS": "60s"}),
    ("a Prometheus without its scheme", {"PROMETHEUS_URL": "prometheus:9090"}),
    ("an action that needs no rights", {"ACTIONS": '{"ALERT": ["*"]}'}),
    ("actions without their namespaces", {"ACTIONS": "SCALE,ROUTE"}),
    ("a header that is no JSON", {"PROMETHEUS_HEADERS": "X-Scope-OrgID: team"}),
    ("a header that is no text", {"PROMETHEUS_HEADERS": '{"X-Scope-OrgID": 7}'}),
    ("a list that is half JSON", {"WATCH_NAMESPACES": '["models"'}),
    ("neither yes nor no", {"ALLOW_CUSTOM_QUERIES": "maybe"}),
    ("records that are kept for no day", {"RETENTION_DAYS": "0"}),
    ("more than all models", {"BLAST_RADIUS_PERCENT": "150"}),
    ("a port that does not exist", {"METRICS_PORT": "70000"}),
    ("a port that Kubernetes injected for a Service", {"HEALTH_PORT": "tcp://10.0.0.1:8081"}),
    ("a log format that does not exist", {"LOG_FORMAT": "xml"}),
    ("two at once", {"LOG_FORMAT": "xml", "RETENTION_DAYS": "30d"}),
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("AURORA_") or name == "KUBECONFIG":
            monkeypatch.delenv(name)


def refusal(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> str:
    for name, value in settings.items():
        monkeypatch.setenv(f"AURORA_{name}", value)
    with pytest.raises(ConfigurationError) as error:
        Settings.load()
    for name in settings:
        monkeypatch.delenv(f"AURORA_{name}")
    return str(error.value)


@pytest.mark.parametrize("settings", [pytest.param(one, id=what) for what, one in BAD])
def test_a_wrong_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
):
    said = refusal(monkeypatch, settings)
    assert "\n" not in said
    assert all(f"AURORA_{name}" in said for name in settings)


def test_the_document_lists_what_each_wrong_setting_got(monkeypatch: pytest.MonkeyPatch):
    """AURORA_REGENERATE=1 rewrites the table; read the difference before it is kept."""
    table = "| mistake | setting | answer |\n|---|---|---|\n" + "".join(
        f"| {what} | {' '.join(f'`AURORA_{k}={v}`' for k, v in settings.items())} "
        f"| {refusal(monkeypatch, settings)} |\n"
        for what, settings in BAD
    )
    head, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    written, tail = rest.split(END)
    if REGENERATE:
        DOCUMENT.write_text(head + BEGIN + table + END + tail, encoding="utf-8")
        written = table
    assert written == table


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"PROMETHEUS_HEADERS": "Authorization: hunter2"}, id="a header that is no JSON"
        ),
        pytest.param({"PROMETHEUS_HEADERS": '{"Authorization": ["hunter2"]}'}, id="a list"),
        pytest.param({"PROMETHEUS_URL": "me:hunter2@prometheus:9090"}, id="a password in a URL"),
        pytest.param({"PROMETHEUS_URL": "ftp://me:hunter2@prometheus"}, id="in another scheme"),
    ],
)
def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]):
    assert "hunter2" not in refusal(monkeypatch, settings)


def test_the_command_says_it_in_one_line_and_ends_with_2():
    done = subprocess.run(
        [sys.executable, "-m", "aurora.cli", "operator"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "AURORA_CYCLE_SECONDS": "fast"},
    )
    assert done.returncode == 2
    assert done.stderr == (
        "aurora: AURORA_CYCLE_SECONDS: Input should be a valid number, "
        "unable to parse string as a number\n"
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("models", ("models",), id="one name"),
        pytest.param(" models, team-b ,", ("models", "team-b"), id="names with commas"),
        pytest.param('["models", "team-b"]', ("models", "team-b"), id="a JSON list"),
        pytest.param("", (), id="empty is unset"),
    ],
)
def test_a_list_is_read(monkeypatch: pytest.MonkeyPatch, written: str, read: tuple[str, ...]):
    monkeypatch.setenv("AURORA_WATCH_NAMESPACES", written)
    assert Settings.load().watch_namespaces == read


def test_headers_are_read_and_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AURORA_PROMETHEUS_HEADERS", '{"X-Scope-OrgID": "team"}')
    settings = Settings.load()
    assert settings.prometheus_headers == {"X-Scope-OrgID": SecretStr("team")}
    assert "team" not in repr(settings)


def test_an_empty_kubeconfig_is_no_kubeconfig(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBECONFIG", "")
    assert Settings.load().kubeconfig is None


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AURORA_NAMESPACE", "from-environment")
    assert Settings.load(namespace="given").namespace == "given"
    assert Settings.load(namespace=None).namespace == "from-environment"


def test_the_reference_is_in_step_with_the_settings():
    assert main(["--check", "--root", str(ROOT)]) == 0, "run make generate"


def test_the_reference_tells_of_every_setting():
    text = reference()
    assert all(f"`AURORA_{name.upper()}`" in text for name in Settings.model_fields)


def test_a_changed_reference_is_noticed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "docs").mkdir()
    arguments = ["--root", str(tmp_path)]
    assert main([*arguments, "--check"]) == 1
    assert not (tmp_path / PATH).exists()
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{PATH}: differs, run make generate",
        f"{PATH}: written",
    ]


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path):
    assert main(["--root", str(tmp_path)]) == 2
