"""How well runtimes are predicted on public data, beside strong peers, and how fast."""
