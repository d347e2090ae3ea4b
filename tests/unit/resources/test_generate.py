from pathlib import Path

import pytest
import yaml

from aurora.resources.generate import differing, generated, main
from aurora.resources.schema import KINDS

ROOT = Path(__file__).parents[3]


def test_the_files_in_the_repository_follow_from_the_resources():
    assert differing(ROOT) == [], "run make generate"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def test_a_written_tree_passes_the_check(root, capsys):
    assert main(["--root", str(root)]) == 0
    assert main(["--root", str(root), "--check"]) == 0
    assert (root / "crds/aurora.dev_decisions.yaml").is_file()


def test_the_check_names_the_file_that_differs_and_leaves_it_alone(root, capsys):
    main(["--root", str(root)])
    file = root / "crds/aurora.dev_decisions.yaml"
    file.write_text("edited")
    capsys.readouterr()
    assert main(["--root", str(root), "--check"]) == 1
    assert capsys.readouterr().out == (
        "crds/aurora.dev_decisions.yaml: differs, run make generate\n"
    )
    assert file.read_text() == "edited"


def test_a_folder_that_is_no_repository_is_refused(tmp_path, capsys):
    assert main(["--root", str(tmp_path)]) == 2
    assert "name the repository with --root" in capsys.readouterr().err


def test_the_chart_has_the_same_definitions_and_keeps_them_on_uninstall():
    files = generated(ROOT)
    for kind in KINDS:
        name = f"aurora.dev_{kind.plural}.yaml"
        plain = yaml.safe_load(files[f"crds/{name}"])
        template = files[f"helm/aurora/templates/crds/{name}"]
        body = "\n".join(line for line in template.splitlines() if not line.startswith("{{-"))
        assert "{{" not in body, "Helm would read it as a template"
        kept = yaml.safe_load(body)
        assert kept["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert kept == plain


def test_the_reference_has_a_row_for_each_field_with_default_and_bounds():
    text = generated(ROOT)["docs/reference.md"]
    assert "| `spec.autonomy.maxStepPercent` | integer | `25` | 1 to 100 |" in text
    assert "| `spec.scaling.maxReplicas` | integer | required | 1 to 10000 |" in text
    assert "| `spec.cache.ttl` | duration | `5m` | longer than 0s |" in text
    assert "| `spec.autonomy.budgets[].reasons` | list of string | `[]` | `SCALE`," in text
