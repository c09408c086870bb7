"""Decisions about one message: receive, process, deliver, and the channel around them."""
