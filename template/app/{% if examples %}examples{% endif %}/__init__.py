"""Worked examples, one short file each.

To remove them, delete this folder, its tests and its lines in `app/slices.py`.
"""
