"""Bandits beside the Q-table; each module names the paper it follows."""
