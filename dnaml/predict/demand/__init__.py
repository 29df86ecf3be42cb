"""Forecasts of demand: how much work arrives in the bin that machines ordered now would be ready for.

Several quantile forecasters compete (`standard.py` lists them); the scheduler scales by what they say together
(`dnaml/schedule/scaling.py`), which knows them only as values.
"""
