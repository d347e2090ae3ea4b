"""A real control plane on this machine, without root and without Docker."""
