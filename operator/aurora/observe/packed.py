"""An answer as it came over the network: packed, about a fifth of its text, until its turn."""

import zlib
from dataclasses import dataclass
from typing import Final

from aurora.errors import MetricsError

__all__ = ["ASKED_ENCODING", "Packed"]

ASKED_ENCODING: Final = "gzip"

_GZIP: Final = 16 + zlib.MAX_WBITS
_STEP_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Packed:
    """The body of an HTTP answer.

    Attributes:
        body: as it was sent.
        encoding: what its Content-Encoding says; empty where it was sent as it is.
    """

    body: bytes
    encoding: str = ""

    def text(self, *, limit: int) -> bytes | bytearray:
        """Unpack it.

        Args:
            limit: how many bytes may come of it at most.

        Raises:
            MetricsError: they are more, or it is not packed as it was asked for.
        """
        if self.encoding not in {"", "identity"}:
            return self._unzipped(limit)
        if len(self.body) > limit:
            raise too_large(limit)
        return self.body

    def _unzipped(self, limit: int) -> bytearray:
        if self.encoding != ASKED_ENCODING:
            raise MetricsError(f"the answer is packed as {self.encoding}, and gzip was asked for")
        text, rest, unpacker = bytearray(), self.body, zlib.decompressobj(_GZIP)
        try:
            while not unpacker.eof and rest:
                text += unpacker.decompress(rest, _STEP_BYTES)
                rest = unpacker.unconsumed_tail
                if len(text) > limit:
                    raise too_large(limit)
        except zlib.error:
            raise MetricsError("the answer is said to be packed and cannot be unpacked") from None
        if not unpacker.eof:
            raise MetricsError("the answer ended early")
        return text


def too_large(limit: int) -> MetricsError:
    return MetricsError(
        f"the answer is larger than {limit} bytes: raise max_response_bytes "
        "or read fewer namespaces"
    )
