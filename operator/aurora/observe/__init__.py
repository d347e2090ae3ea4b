"""Reads the metrics source and the cluster into one FleetSnapshot per cycle."""
