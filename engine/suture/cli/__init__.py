"""The `suture` command."""
