"""Routes for measurements, put into rendered projects as an owner's slice."""
