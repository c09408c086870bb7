"""`suture hl7`: messages in files, for people."""
