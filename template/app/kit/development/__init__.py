"""The development server, and servers for development and tests without Docker."""
