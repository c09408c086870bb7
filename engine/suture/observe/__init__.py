"""What the engine tells the outside about itself: metrics, health and logs, none of which can hold content."""
