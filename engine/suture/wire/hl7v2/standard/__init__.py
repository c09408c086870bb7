"""What the standard and a site say of messages: the dictionary, structures, rules."""
