"""check_greedy.py LOGITS.npy IDS PROMPT: after the first PROMPT ids, each id is the largest logit of the row before it.
"""

import array
import ast
import sys

path, ids, prompt = sys.argv[1], [int(word) for word in open(sys.argv[2]).read().split()], int(sys.argv[3])
data = open(path, "rb").read()
length = int.from_bytes(data[8:10], "little")
rows, width = ast.literal_eval(data[10 : 10 + length].decode())["shape"]
if rows != len(ids):
    sys.exit("%d rows for %d ids" % (rows, len(ids)))
logits = array.array("f", data[10 + length :])
for row in range(prompt - 1, rows - 1):
    values = logits[row * width : (row + 1) * width]
    top = values.index(max(values))
    wanted = ids[row + 1]
    if top != wanted:
        sys.exit("row %d: token %d has the largest logit, expected %d" % (row, top, wanted))
