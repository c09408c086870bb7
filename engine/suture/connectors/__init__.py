"""The edge to the world: one file a transport and direction."""
