"""Messages for people and tests: shown, compared, made, and made anonymous."""
