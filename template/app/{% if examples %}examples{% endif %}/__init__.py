"""Worked examples, one short file a pattern. Delete this folder, its tests and its line in `app/slices.py`."""
