"""Servers measured side by side on one machine, in turn, by the same load."""
