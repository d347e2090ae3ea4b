"""The demo: four models, three faults, a real API server and a real Prometheus on this machine."""
