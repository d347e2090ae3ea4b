"""Weights of a RoutingPolicy: who fails, what is wanted, and how far one step goes. Pure."""
