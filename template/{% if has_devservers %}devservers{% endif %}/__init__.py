"""Servers for development and tests, without Docker."""
