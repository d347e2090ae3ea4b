"""`aurora router`: the routing engine over HTTP, as a sidecar or on its own."""
