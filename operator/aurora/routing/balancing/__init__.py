"""Balancers: they spread requests by rule and learn nothing from rewards."""
