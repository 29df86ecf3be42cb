"""The scripts behind every model and figure: each is one file that reads from top to bottom."""
