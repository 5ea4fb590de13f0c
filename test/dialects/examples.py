"""examples.py TREE DIALECT: is every example of the dialect's documentation in one of its tests?

The documentation is docs/generated (which another test keeps fresh), the tests are test/dialects/DIALECT. Names of values
and white space may differ; an example with `...` is an outline and is not looked for.
"""

import glob
import re
import sys

tree, dialect = sys.argv[1:]


def normalize(text):
    return re.sub(r"\s+", "", re.sub(r"%[\w:#]+", "%", re.sub(r"//.*", "", text)))


tested = "\n".join(normalize(open(f).read()) for f in glob.glob("%s/test/dialects/%s/*.mlir" % (tree, dialect)))
page = open("%s/docs/generated/dialects/%s.md" % (tree, dialect)).read()
missing = 0
thing = None
for found in re.finditer(r"^### `?([\w.]+)|```mlir\n(.*?)```", page, re.S | re.M):
    if found[1]:
        thing = found[1]
        continue
    # Types and attributes are written by the ops that have them.
    if "." in thing and "..." not in found[2] and normalize(found[2]) not in tested:
        print("no test in test/dialects/%s has the example of %s:\n%s" % (dialect, thing, found[2]))
        missing += 1
sys.exit(missing != 0)
