"""The job file `dnaml.yaml`: what to run, what it needs, what is wanted of it; checked once, here.

`JobFile.read` takes a path or a `module:function`; `schema.json` beside this file describes the same document for
editors and for the REST body.
"""

from dnaml.jobfile.document import JobDocument
from dnaml.jobfile.file import Argv, Call, JobFile, schema

__all__ = ["Argv", "Call", "JobDocument", "JobFile", "schema"]
