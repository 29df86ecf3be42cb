"""What makes an engine lose nothing: admission that survives, the store behind it, and a quick way back."""
