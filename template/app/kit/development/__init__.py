"""What runs in development and in tests, without Docker."""
