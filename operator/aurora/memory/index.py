"""A FAISS index of cases on disk. It is derived: whatever is wrong with it, it is made again.

Two files: `cases.faiss`, which FAISS itself can read, and `cases.json`, which says what it was made
from. The second is written last and holds the first one's checksum, so a crash between them, a full
disk or a flipped bit is seen before FAISS, which does not survive damaged bytes, reads any of it.
"""

import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from aurora.memory.embed import Vectors

__all__ = ["CaseIndex"]

_SEQ_BITS = 40
"""Case numbers stay below 2**40; the bits above hold the kind, so that one range is one kind."""

_KIND_BITS = 22


class CaseIndex:
    """Vectors of length 1 under case numbers, searched by inner product within one kind."""

    def __init__(self, embedder: str, dimension: int) -> None:
        faiss.omp_set_num_threads(1)  # a search takes 0.1 ms: waking threads costs more
        self._embedder = embedder
        self._dimension = dimension
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._ids: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def numbers(self) -> Collection[int]:
        """The case numbers that are in it."""
        return self._ids.keys()

    def add(self, kinds: Mapping[int, str], vectors: Vectors) -> None:
        """Add cases; `kinds` gives number and kind in the order of the rows."""
        if not kinds:
            return
        ids = {number: _base(kind) + number for number, kind in kinds.items()}
        self._index.add_with_ids(vectors, np.fromiter(ids.values(), np.int64))
        self._ids |= ids

    def remove(self, numbers: Collection[int]) -> None:
        """Remove cases; one that is not there is no error."""
        gone = [self._ids.pop(number) for number in numbers if number in self._ids]
        if gone:
            self._index.remove_ids(np.asarray(gone, dtype=np.int64))

    def search(self, vector: Vectors, kind: str, limit: int) -> list[tuple[int, float]]:
        """Case number and inner product of the most similar cases of a kind, best first."""
        base = _base(kind)
        within = faiss.IDSelectorRange(base, base + (1 << _SEQ_BITS))
        chosen = faiss.SearchParameters(sel=within)  # type: ignore[call-arg]
        scores, ids = self._index.search(vector.reshape(1, -1), limit, params=chosen)
        found = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
        return [(number - base, score) for number, score in found if number >= 0]

    def save(self, folder: Path, cases: str) -> None:
        """Write both files, each at once or not at all.

        Args:
            folder: made when it is not there.
            cases: what tells the indexed cases from those of another record store.

        Raises:
            OSError: they could not be written.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        body = faiss.serialize_index(self._index).tobytes()
        about = self._about(body, cases)
        _replace(folder / "cases.faiss", body)
        _replace(folder / "cases.json", json.dumps(about).encode())

    @classmethod
    def load(cls, folder: Path, embedder: str, dimension: int) -> tuple["CaseIndex", str] | None:
        """The saved index and its `cases`; None when missing, damaged or of another embedder."""
        found = cls(embedder, dimension)
        try:
            body = (folder / "cases.faiss").read_bytes()
            about = json.loads((folder / "cases.json").read_bytes())
        except (OSError, ValueError):
            return None
        cases = about.get("cases") if isinstance(about, dict) else None
        if not isinstance(cases, str) or about != found._about(body, cases):
            return None
        found._index = faiss.deserialize_index(np.frombuffer(body, dtype=np.uint8))
        ids = faiss.vector_to_array(found._index.id_map).tolist()
        found._ids = {number & ((1 << _SEQ_BITS) - 1): number for number in ids}
        return found, cases

    def _about(self, body: bytes, cases: str) -> dict[str, Any]:
        return {
            "embedder": self._embedder,
            "dimension": self._dimension,
            "sha256": hashlib.sha256(body).hexdigest(),
            "cases": cases,
        }


def _base(kind: str) -> int:
    """The first id of a kind; a test shows that the kinds there are do not meet."""
    return (zlib.crc32(kind.encode()) >> (32 - _KIND_BITS)) << _SEQ_BITS


def _replace(path: Path, body: bytes) -> None:
    """A reader finds the old file or the new one; mode 0600 comes from the temporary file."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
