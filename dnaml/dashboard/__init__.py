"""The web page of a running scheduler, at `/ui`: what is in the pool, what waits, what ran where and why.

`reads.py` is all it knows of the service, `views.py` lists its pages, `door.py` asks for the token, `shell.py` frames
a page. NiceGUI is imported inside functions only: what turns rows into tables and charts needs nothing but Python.
"""
