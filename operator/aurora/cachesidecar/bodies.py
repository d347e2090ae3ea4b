"""Which request bodies may be cached, as PCRE patterns that read the JSON's top level exactly.

A search for `"temperature": 0` would also find it in a nested object, in a tool's schema or in a
prompt. These patterns walk the members of the top-level object instead; every loop is possessive,
so that a hostile body costs one pass and not a search. What they cannot read is not cached: a
duplicate, a key written with escapes, a number in another notation, anything after the object.
"""

__all__ = ["completion_body", "plain_body"]

_STRING = r'"(?:[^"\\]++|\\.)*+"'
# Group 1: an object or array, balanced, with brackets inside strings left alone.
_NESTED = r'([{\[](?:[^{}\[\]"]++|' + _STRING + r"|(?1))*+[}\]])"
_VALUE = r"(?:" + _STRING + r"|" + _NESTED + r'|[^\s,{}\[\]"]++)'
_COLON = r"\s*+:\s*+"
# A key holds no backslash: "\u0074emperature" is the same key to a server and another to a pattern.
_OTHER_KEY = r'"(?!(?:temperature|stream)")[^"\\]*+"'
_NOT_STREAMED = r'"stream"' + _COLON + r"(?:false|null)"
_ZERO = r'"temperature"' + _COLON + r"-?0(?:\.0++)?(?![0-9.eE+-])"


def plain_body() -> str:
    """Return the pattern of a JSON object that does not ask for a stream (embeddings, scores)."""
    any_key = r'"(?!stream")[^"\\]*+"'
    member = f"(?:{_NOT_STREAMED}|{any_key}{_COLON}{_VALUE})"
    return rf"^\s*+\{{\s*+{member}\s*+(?:,\s*+{_again(member)}\s*+)*+\}}\s*+\z"


def completion_body() -> str:
    """Return the pattern of a plain body whose only top-level temperature is 0."""
    member = f"(?:{_NOT_STREAMED}|{_OTHER_KEY}{_COLON}{_VALUE})"
    before = rf"(?:{member}\s*+,\s*+)*+"
    after = rf"(?:\s*+,\s*+{_again(member)})*+"
    return rf"^\s*+\{{\s*+{before}{_ZERO}{after}\s*+\}}\s*+\z"


def _again(member: str) -> str:
    """Return the member for a second use: its nested value refers to group 1 by recursion."""
    return member.replace(_NESTED, "(?1)")
