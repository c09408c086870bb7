"""The parts of the HTTP connectors."""
