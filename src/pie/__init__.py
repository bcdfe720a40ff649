"""Pie: a programmable serving system for large language models."""

__version__ = "0.1.0"
