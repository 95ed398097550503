"""The service."""

import gc

# Imports leave next to nothing to collect; looking for it takes a tenth of a start, and costs requests later on.
gc.set_threshold(10_000, 20, 50)
