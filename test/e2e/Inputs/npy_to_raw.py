"""npy_to_raw.py IN.npy OUT.f32 [TRUTH.f32 LIMIT]: the float32 numbers of a .npy file without its header.

With TRUTH the largest difference over the deviation of the true numbers must be at most LIMIT.
"""

import array
import sys

data = open(sys.argv[1], "rb").read()
raw = data[10 + int.from_bytes(data[8:10], "little") :]
open(sys.argv[2], "wb").write(raw)
if len(sys.argv) > 3:
    got, truth = array.array("f", raw), array.array("f", open(sys.argv[3], "rb").read())
    if len(got) != len(truth):
        sys.exit("%d numbers, expected %d" % (len(got), len(truth)))
    mean = sum(truth) / len(truth)
    deviation = (sum((x - mean) ** 2 for x in truth) / len(truth)) ** 0.5
    # Negated, so that NaN fails.
    distance = max((abs(a - b) if a == a else float("inf")) for a, b in zip(got, truth)) / deviation
    print("max |difference| / deviation %.2e" % distance)
    if not distance <= float(sys.argv[4]):
        sys.exit("expected at most %s" % sys.argv[4])
