"""The sidecar's nginx configuration, for nginx 1.22 or newer without njs.

A request crosses nginx once while the cache is off, and once more (over a unix socket) while it is
on and its body is small enough to be looked at. Two hops are needed because nginx chooses between
buffering, which a cache needs, and streaming, which SSE needs, before it has read the body that
tells them apart.
"""

from aurora.cachesidecar.bodies import completion_body, plain_body
from aurora.cachesidecar.gate import Map, gate_maps, quote, render_map
from aurora.cachesidecar.nginxparts import HEAD, INNER, KEY, LOG, LOG_FIELDS, STORE
from aurora.cachesidecar.settings import MAX_CACHED_BODY_BYTES, CacheSettings

__all__ = ["nginx_config", "passthrough_config"]

_REFUSED = r'~"stream"\s*:\s*(?!false|null)'

_NO_LOG = "    access_log off;\n"


def nginx_config(settings: CacheSettings, *, upstream_port: int) -> str:
    """Return the whole configuration of an armed pod.

    Args:
        settings: what to cache, how long, how much.
        upstream_port: the model server's port number in the same pod.
    """
    if not settings.paths:
        return passthrough_config(settings, upstream_port=upstream_port)
    layout = settings.layout
    sizes = {"ttl": settings.ttl_s, "size": settings.max_size_bytes, "key": KEY}
    places = {"run": layout.run_dir, "inner": layout.inner_socket}
    maps = (*_common_maps(), *gate_maps(settings), *_body_maps(settings), *_answer_maps())
    return "".join(
        (
            _head(settings, upstream_port),
            "".join(render_map(entry) for entry in maps),
            STORE.format(**sizes, **places),
            _log(settings),
            _outer_server(settings),
            INNER.format(**sizes, **places),
            "}\n",
        )
    )


def passthrough_config(settings: CacheSettings, *, upstream_port: int) -> str:
    """Return a configuration that only passes on: what runs while the ConfigMap is missing."""
    off = (("default", "OFF"),)
    maps: tuple[Map, ...] = (*_common_maps(), ("", "aurora_class_header", (("default", ""),)))
    maps = (*maps, ("", "aurora_cache_status", off))
    server = (
        f"    server {{\n        listen {_listen(settings)};\n{_draining(settings)}"
        "        error_page 418 = @pass_draining;\n"
        "        location / {\n            if ($aurora_draining) {\n                return 418;\n"
        f"            }}\n{_pass_body()}        }}\n{_location('pass', draining=True)}    }}\n"
    )
    # A reload that took the inner socket away would fail the requests on their way to it.
    server += (
        f"    server {{\n        listen unix:{settings.layout.inner_socket};\n"
        "        location / {\n            proxy_pass http://aurora_server;\n        }\n    }\n"
    )
    rendered = "".join(render_map(entry) for entry in maps)
    return _head(settings, upstream_port) + _NO_LOG + rendered + server + "}\n"


def _head(settings: CacheSettings, upstream_port: int) -> str:
    return HEAD.format(
        workers=settings.workers,
        run=settings.layout.run_dir,
        body=MAX_CACHED_BODY_BYTES,
        upstream=upstream_port,
    )


def _common_maps() -> tuple[Map, ...]:
    return (
        # An empty Connection keeps the server's connection open; an upgrade passes as it came.
        ("$http_upgrade", "aurora_connection", (("", ""), ("default", "upgrade"))),
        # The second hop comes from a unix socket and must not add itself to the list.
        (
            "$remote_addr",
            "aurora_forwarded",
            (("unix:", "$http_x_forwarded_for"), ("default", "$proxy_add_x_forwarded_for")),
        ),
    )


def _body_maps(settings: CacheSettings) -> tuple[Map, ...]:
    """Return the maps over the body: valid only once nginx has read it, hence never in an `if`."""
    plain = (
        ("", "empty"),
        ("~" + plain_body(), "cache"),
        (_REFUSED, "stream"),
        ("default", "body"),
    )
    strict = (
        ("", "empty"),
        ("~" + completion_body(), "cache"),
        (_REFUSED, "stream"),
        ("default", "sampled"),
    )
    unsampled = [f"~^{path.replace('.', chr(92) + '.')}\\z" for path in settings.unsampled_paths]
    other = "$aurora_class_plain" if settings.sampled else "$aurora_class_completion"
    kinds = (*((path, "$aurora_class_plain") for path in unsampled), ("default", other))
    on_only = (("on:1", "$aurora_class"), ("default", ""))
    target = (("on", "aurora_store"), ("default", "aurora_server"))
    looked = (("", "$aurora_class"), ("default", "$aurora_gate"))
    return (
        ("$request_body", "aurora_class_plain", plain),
        ("$request_body", "aurora_class_completion", strict),
        ("$uri", "aurora_class", kinds),
        ("$request_body", "aurora_no_body", (("", "1"), ("default", ""))),
        ("$aurora_switch:$aurora_look", "aurora_class_header", on_only),
        ("$aurora_switch", "aurora_target", target),
        ("$aurora_gate", "aurora_why", looked),
        ("$aurora_why", "aurora_reason", (("cache", ""), ("default", "$aurora_why"))),
        ("$aurora_why", "aurora_logged_body", (("cache", "$request_body"), ("default", ""))),
        ("$aurora_gate", "aurora_look", (("", "1"), ("default", ""))),
        (
            "$aurora_look:$aurora_draining",
            "aurora_route",
            (("1:", "look"), ("1:1", "look_draining"), (":1", "draining"), ("default", "")),
        ),
    )


def _answer_maps() -> tuple[Map, ...]:
    status = (
        ("~^:", "OFF"),
        ("~:HIT$", "HIT"),
        ("~:(?:MISS|EXPIRED)$", "MISS"),
        ("default", "BYPASS"),
    )
    return (
        ("$aurora_switch:$upstream_http_x_aurora_cache", "aurora_cache_status", status),
        (
            "$upstream_http_content_type",
            "aurora_event_stream",
            (("~*^text/event-stream", "1"), ("default", "")),
        ),
        # A compressed answer without Vary would reach a caller who cannot read it.
        (
            "$upstream_http_content_encoding:$upstream_http_vary",
            "aurora_unvaried",
            (("~^[^:]+:$", "1"), ("default", "")),
        ),
    )


def _log(settings: CacheSettings) -> str:
    if settings.exporter_image is None:
        return _NO_LOG
    fields = LOG_FIELDS.format(ttl=settings.ttl_s)
    return LOG.format(fields="'{" + fields + "}'", socket=settings.layout.log_socket)


def _outer_server(settings: CacheSettings) -> str:
    switch = quote(settings.layout.switch_file)
    jumps = {"look": 418, "draining": 419, "look_draining": 420}
    lines = [
        "    server {",
        f"        listen {_listen(settings)};",
        '        set $aurora_switch "";',
        f"        if (-f {switch}) {{\n            set $aurora_switch on;\n        }}",
        _draining(settings).rstrip("\n"),
        "        location / {",
        "            error_page 418 = @look;",
        "            error_page 419 = @pass_draining;",
        "            error_page 420 = @look_draining;",
        *(
            f"            if ($aurora_route = {route}) {{\n                return {code};\n"
            "            }"
            for route, code in jumps.items()
        ),
    ]
    locations = (
        _location("look", draining=False),
        _location("pass", draining=True),
        _location("look", draining=True),
    )
    return "\n".join(lines) + f"\n{_pass_body()}        }}\n" + "".join(locations) + "    }\n"


def _listen(settings: CacheSettings) -> str:
    return f"{settings.layout.listen_host}:{settings.listen_port}"


def _draining(settings: CacheSettings) -> str:
    layout = settings.layout
    lines = ['        set $aurora_draining "";']
    lines += [
        f"        if (-f {quote(flag)}) {{\n            set $aurora_draining 1;\n        }}"
        for flag in (layout.draining_file, layout.reloading_file)
    ]
    return "\n".join(lines) + "\n"


def _pass_body() -> str:
    return (
        "            proxy_pass http://aurora_server;\n"
        "            proxy_request_buffering off;\n"
        "            add_header X-Cache-Status $aurora_cache_status always;\n"
    )


def _look_body() -> str:
    return (
        "            proxy_pass http://$aurora_target;\n"
        "            add_header X-Cache-Status $aurora_cache_status always;\n"
    )


def _location(kind: str, *, draining: bool) -> str:
    """Return one named location; while draining, each connection closes after its answer.

    Without that, keep-alive callers hold theirs until nginx stops or reloads, and whoever sends at
    that moment loses a request.
    """
    name = f"{kind}_draining" if draining else kind
    close = "            keepalive_timeout 0;\n" if draining else ""
    body = _look_body() if kind == "look" else _pass_body()
    return f"        location @{name} {{\n{close}{body}        }}\n"
