"""How senders are dealt with: what is answered when, what is joined, cut and counted. One room a way of conversing."""
