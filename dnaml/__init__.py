"""dnaml learns how fast each computation runs on each machine, and places work by what it learned."""
