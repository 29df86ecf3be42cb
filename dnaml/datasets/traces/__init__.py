"""Recorded workloads: jobs with arrivals, gangs and runtimes on pools of machines, for the simulator to replay."""
