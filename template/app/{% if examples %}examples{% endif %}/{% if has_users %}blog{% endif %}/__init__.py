"""Patterns with SQLAlchemy, one short file each.

relations.py     one to many, many to many, eager loads
documents.py     a nested document with counts: by eager loads, by one aggregate query
locking.py       optimistic locking: an update that would overwrite another one fails
soft_delete.py   rows that are hidden instead of deleted

Their tables have metadata of their own, which the tests create. They need no revision in your
database, and nothing is left of them when you delete the folder.
"""
