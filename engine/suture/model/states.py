"""The states of messages and deliveries, each written positively, never inferred from an absence."""

RECEIVED = "received"
PROCESSED = "processed"
FILTERED = "filtered"
DUPLICATE = "duplicate"
PARKED = "parked"
MESSAGE_STATES = (RECEIVED, PROCESSED, FILTERED, DUPLICATE, PARKED)

QUEUED = "queued"
IN_FLIGHT = "in_flight"
RETRYING = "retrying"
HELD = "held"
ACCEPTED = "accepted"
POSTED = "posted"
REFUSED = "refused"
SKIPPED = "skipped"
DEAD = "dead"
DELIVERY_STATES = (QUEUED, IN_FLIGHT, RETRYING, HELD, ACCEPTED, POSTED, REFUSED, SKIPPED, DEAD)

WAITING = (QUEUED, IN_FLIGHT, RETRYING)
"""Deliveries that the engine itself will try (again)."""
DELIVERED = (ACCEPTED, POSTED)
"""Deliveries that the destination has taken: never sent again unless an operator insists."""

BATCH_STAGE = "batch"
"""Stage of the exceptions about a batch's envelope: they are of no one message, and reprocessing one answers none of them."""
