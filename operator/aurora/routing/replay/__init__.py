"""Recorded streams played to the engine and to the baselines it is compared with."""
