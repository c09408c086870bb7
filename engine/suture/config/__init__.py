"""The site's files: read, checked and resolved, with every error named by file, line and place."""
