"""The fixed parts of the sidecar's nginx configuration; fields in braces are filled in."""

__all__ = ["HEAD", "INNER", "KEY", "LOG", "LOG_FIELDS", "STORE"]

HEAD = """\
worker_processes {workers};
pid {run}/nginx.pid;
error_log stderr error;
events {{
    worker_connections 8192;
}}
http {{
    default_type application/octet-stream;
    server_tokens off;
    absolute_redirect off;
    merge_slashes off;
    ignore_invalid_headers off;
    underscores_in_headers on;
    large_client_header_buffers 8 64k;
    variables_hash_max_size 4096;
    map_hash_bucket_size 128;

    # Callers see the server's own limits: none on a body, an hour or more on a silent connection.
    client_max_body_size 0;
    client_body_buffer_size {body};
    client_body_timeout 3700s;
    send_timeout 3700s;
    keepalive_timeout 3700s;
    keepalive_requests 1000000;
    keepalive_time 24h;
    tcp_nodelay on;
    client_body_temp_path {run}/body;
    proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi;
    scgi_temp_path {run}/scgi;

    proxy_http_version 1.1;
    proxy_connect_timeout 60s;
    proxy_read_timeout 3700s;
    proxy_send_timeout 3700s;
    proxy_next_upstream off;
    proxy_redirect off;
    proxy_buffering off;
    proxy_buffer_size 64k;
    proxy_buffers 16 64k;
    proxy_busy_buffers_size 128k;
    proxy_pass_header Server;
    proxy_pass_header Date;
    proxy_hide_header X-Cache-Status;
    proxy_hide_header X-Aurora-Cache;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $aurora_connection;
    proxy_set_header X-Forwarded-For $aurora_forwarded;
    proxy_set_header X-Aurora-Class $aurora_class_header;

    upstream aurora_server {{
        server 127.0.0.1:{upstream};
        keepalive 64;
        # Shorter than the idle timeout of common servers (uvicorn 5 s, gunicorn 2 s): a request
        # sent on a connection that the server is closing would fail, and a POST is not retried.
        keepalive_timeout 1s;
    }}
"""

STORE = """\
    upstream aurora_store {{
        # No keep-alive: a reload closes idle connections, this one's too, and the request that
        # just set out on it would be lost.
        server unix:{inner};
    }}
    proxy_cache_path {run}/store levels=1:2 keys_zone=aurora:8m max_size={size} inactive={ttl}s
        use_temp_path=off;
"""

LOG_FIELDS = (
    '"status":$status,"cache":"$aurora_cache_status","reason":"$aurora_reason",'
    '"seconds":$request_time,"ttl":{ttl},"host":"$http_host","uri":"$request_uri",'
    '"authorization":"$http_authorization","body":"$aurora_logged_body"'
)

LOG = """\
    # The exporter hashes the key material with a key of its own and keeps nothing else of it.
    log_format aurora escape=json {fields};
    access_log syslog:server=unix:{socket},nohostname,tag=aurora aurora;
"""

INNER = """\
    server {{
        listen unix:{inner};
        access_log off;
        location / {{
            error_page 418 = @through;
            if ($http_x_aurora_class != cache) {{
                return 418;
            }}
            proxy_pass http://aurora_server;
            proxy_buffering on;
            proxy_cache aurora;
            proxy_cache_methods POST;
            proxy_cache_key {key};
            proxy_cache_valid 200 {ttl}s;
            proxy_ignore_headers Cache-Control Expires X-Accel-Expires;
            proxy_cache_bypass $aurora_no_body;
            proxy_no_cache $aurora_no_body $upstream_http_cache_control $upstream_http_expires
                $aurora_event_stream $aurora_unvaried;
            add_header X-Aurora-Cache $upstream_cache_status always;
        }}
        location @through {{
            proxy_pass http://aurora_server;
            add_header X-Aurora-Cache BYPASS always;
        }}
    }}
"""

KEY = '"$http_host\\n$request_uri\\n$http_authorization\\n$request_body"'
