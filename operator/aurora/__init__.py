"""AURORA: an autonomous operator for model serving on Kubernetes."""

__version__ = "0.1.0"
