"""The REST service: everything that the command line does, over HTTP, for several tenants.

`create_app(settings)` in `dnaml.rest.app` is the application; `dnaml serve` runs it.
"""
