"""A simulated fleet that serves real Deployments of a real cluster, at wall-clock speed."""
