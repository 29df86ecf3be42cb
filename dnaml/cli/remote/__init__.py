"""Verbs against a service instead of a state folder: same options, same tables, same JSON; one file a family.

Each function here is what its verb names as `over`; it gets the desk, asks, and shows by what the verb itself shows by.
"""
