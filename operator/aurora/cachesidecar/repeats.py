"""How often a request repeats within the TTL: what a cache would have answered, had it been on."""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

__all__ = ["RepeatWindow"]

_DIGEST_BYTES = 16


class RepeatWindow:
    """A bounded memory of what would be stored now, without the content.

    Requests are kept as keyed hashes; the key is random per process and never leaves it, so that
    what is kept cannot be compared with a guess from outside. An entry lives for the TTL from when
    it was first seen and hits do not renew it, exactly as in the cache.

    Args:
        secret: 32 random bytes.
        clock: monotonic seconds.
        capacity: entries kept; the oldest go first, which can only understate repeats.
    """

    def __init__(
        self, *, secret: bytes, clock: Callable[[], float], capacity: int = 65_536
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._capacity = capacity
        self._stored: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._stored)

    def seen(self, material: tuple[str, ...], *, ttl_s: float, store: bool) -> bool:
        """Return whether the same material was stored less than `ttl_s` seconds ago.

        Args:
            material: the parts of the cache key.
            ttl_s: time to live in seconds.
            store: the answer may be stored (status 200).
        """
        digest = self._digest(material)
        now = self._clock()
        stored_at = self._stored.get(digest)
        if stored_at is not None and now - stored_at < ttl_s:
            return True
        if store:
            self._stored[digest] = now
            self._stored.move_to_end(digest)
            if len(self._stored) > self._capacity:
                self._stored.popitem(last=False)
        return False

    def _digest(self, material: tuple[str, ...]) -> bytes:
        hashed = blake2b(digest_size=_DIGEST_BYTES, key=self._secret)
        for part in material:
            raw = part.encode("utf-8", "surrogatepass")
            hashed.update(len(raw).to_bytes(8, "big"))
            hashed.update(raw)
        return hashed.digest()
