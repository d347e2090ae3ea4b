"""Proposes at most one action per model and cycle. Pure: values in, values out."""
