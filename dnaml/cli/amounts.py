"""How amounts are written for people; the dashboard writes them alike."""

from dnaml.answers.amounts import UNKNOWN as UNKNOWN
from dnaml.answers.amounts import moment as moment
from dnaml.answers.amounts import rate as rate
from dnaml.answers.amounts import seconds as seconds
from dnaml.answers.amounts import share as share
from dnaml.answers.amounts import size as size
from dnaml.answers.amounts import usd as usd
