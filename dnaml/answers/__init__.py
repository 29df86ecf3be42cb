"""What the command line and the service both tell, as plain values: rows, decisions, forecasts, pools."""
