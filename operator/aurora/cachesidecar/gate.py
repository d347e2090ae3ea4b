"""The chain of nginx maps that says why a request may not be cached, read before its body is.

Each map hands an innocent request on to the next one and names the first reason otherwise. That
order is the order in which the exporter counts reasons.
"""

import re
from collections.abc import Iterator

from aurora.cachesidecar.settings import MAX_CACHED_BODY_BYTES, CacheSettings

__all__ = ["CREDENTIAL_HEADERS", "Map", "gate_maps", "integers_up_to", "quote", "render_map"]

Map = tuple[str, str, tuple[tuple[str, str], ...]]
"""An nginx map: the source, the variable it sets, and its rows of (pattern, value)."""

CREDENTIAL_HEADERS = (
    "Api-Key",
    "Apikey",
    "Authentication",
    "Cf-Access-Jwt-Assertion",
    "Ocp-Apim-Subscription-Key",
    "OpenAI-Organization",
    "OpenAI-Project",
    "Private-Token",
    "Proxy-Authorization",
    "Remote-User",
    "Ssl-Client-Cert",
    "Ssl-Client-Subject-Dn",
    "Token",
    "X-Access-Token",
    "X-Amz-Security-Token",
    "X-Amzn-Oidc-Accesstoken",
    "X-Amzn-Oidc-Data",
    "X-Amzn-Oidc-Identity",
    "X-Api-Key",
    "X-Api-Token",
    "X-Apikey",
    "X-Auth",
    "X-Auth-Email",
    "X-Auth-Key",
    "X-Auth-Request-Access-Token",
    "X-Auth-Request-Email",
    "X-Auth-Request-User",
    "X-Auth-Token",
    "X-Auth-User",
    "X-Authorization",
    "X-Client-Cert",
    "X-Forwarded-Access-Token",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-User",
    "X-Functions-Key",
    "X-Goog-Api-Key",
    "X-Goog-Iap-Jwt-Assertion",
    "X-Jwt-Assertion",
    "X-Ms-Client-Principal",
    "X-Ms-Token-Aad-Access-Token",
    "X-Org-Id",
    "X-Remote-User",
    "X-Session-Id",
    "X-Session-Token",
    "X-Tenant-Id",
    "X-Token",
    "X-User",
    "X-User-Id",
    "X-Vault-Token",
)
"""Headers outside the key that name a caller; nginx matches whole names only, never a prefix."""

_CONDITIONAL = ("range", "if_range", "if_match", "if_none_match", "if_modified_since")


def quote(text: str) -> str:
    """Return the text as one double-quoted word of nginx's configuration language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def render_map(entry: Map) -> str:
    """Return the map as nginx reads it."""
    source, variable, rows = entry
    body = "".join(f"        {_pattern(pattern)} {quote(value)};\n" for pattern, value in rows)
    return f"    map {quote(source)} ${variable} {{\n{body}    }}\n"


def _pattern(pattern: str) -> str:
    return pattern if pattern == "default" else quote(pattern)


def gate_maps(settings: CacheSettings) -> Iterator[Map]:
    """Yield the chain's maps; `$aurora_gate` is empty where the body decides, else the reason."""
    paths = "|".join(re.escape(path) for path in settings.paths)
    length = integers_up_to(MAX_CACHED_BODY_BYTES)
    headers = (*CREDENTIAL_HEADERS, *settings.credential_headers)
    credentials = "".join(f"$http_{h.lower().replace('-', '_')}" for h in headers)
    conditional = "".join(f"$http_{h}" for h in (*_CONDITIONAL, "if_unmodified_since"))
    yield _step("$request_method", "aurora_gate", r"~^POST\z", "aurora_gate_path", "method")
    yield _step("$uri", "aurora_gate_path", rf"~^(?:{paths})\z", "aurora_gate_upgrade", "path")
    yield _step("$http_upgrade", "aurora_gate_upgrade", "", "aurora_gate_size", "upgrade")
    yield _step("$content_length", "aurora_gate_size", f"~{length}", "aurora_gate_encoding", "size")
    # nginx tries no pattern on an empty value, so that absence is always written as "".
    yield _step(
        "$http_content_encoding", "aurora_gate_encoding", "", "aurora_gate_store", "encoding"
    )
    yield _step(
        "$http_cache_control$http_pragma", "aurora_gate_store", "", "aurora_gate_cookie", "no-store"
    )
    yield _step("$http_cookie", "aurora_gate_cookie", "", "aurora_gate_credential", "cookie")
    yield _step(credentials, "aurora_gate_credential", "", "aurora_gate_conditional", "credential")
    yield conditional, "aurora_gate_conditional", (("", ""), ("default", "conditional"))


def _step(source: str, variable: str, passes: str, following: str, reason: str) -> Map:
    return source, variable, ((passes, f"${following}"), ("default", reason))


def integers_up_to(limit: int) -> str:
    """Return a pattern of the decimal integers 1 to `limit`, without leading zeros.

    nginx compares text only, so the bound on Content-Length has to be a pattern.
    """
    digits = str(limit)
    shorter = rf"[1-9]\d{{0,{len(digits) - 2}}}" if len(digits) > 1 else ""
    rows = [shorter, digits]
    for place, digit in enumerate(digits):
        low = 1 if place == 0 else 0
        if int(digit) > low:
            tail = rf"\d{{{len(digits) - place - 1}}}"
            rows.append(f"{digits[:place]}[{low}-{int(digit) - 1}]{tail}")
    return rf"^(?:{'|'.join(row for row in rows if row)})\z"
