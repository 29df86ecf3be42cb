"""The command line: one file a verb or a family of verbs; `main` finds the verb, `screen` prints what it answers."""
