"""From stored facts and runs to tables: the journal, telemetry rows, run tables, and what dnaml ships."""
