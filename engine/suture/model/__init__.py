"""Pure data: messages, events, outcomes and errors. Standard library and pydantic only."""
