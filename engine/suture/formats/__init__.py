"""Ways of writing messages: one file each, or a folder; registry.py is the list. Nobody above knows the class of a message."""
