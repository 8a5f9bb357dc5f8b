# Says with one sentence what is missing. It must be readable by any Python.
import sys

if sys.version_info < (3, 10):
    sys.exit("python3 is older than 3.10: install a newer Python")
try:
    import ensurepip
    import venv
except ImportError:
    sys.exit("python3 has no venv module: install it, on Debian with apt-get install python3-venv")

import json


def refuse(constant):
    raise ValueError(constant + " is no number")


for name in sys.argv[1:]:
    try:
        with open(name, encoding="utf-8") as file:
            json.load(file, parse_constant=refuse)
    except ValueError as error:
        sys.exit("{} is no JSON: {}".format(name, error))
