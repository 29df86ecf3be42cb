"""Values that every other layer speaks in; numpy is the single dependency."""
