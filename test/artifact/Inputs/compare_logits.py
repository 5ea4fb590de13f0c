"""compare_logits.py LOGITS.npy TRUTH.f32 LIMIT: the largest difference, in deviations of the truth, is below the limit."""

import array
import sys

data = open(sys.argv[1], "rb").read()
logits = array.array("f", data[10 + int.from_bytes(data[8:10], "little") :])
truth = array.array("f", open(sys.argv[2], "rb").read())
if len(logits) != len(truth):
    sys.exit("%d logits, expected %d" % (len(logits), len(truth)))
mean = sum(truth) / len(truth)
deviation = (sum((x - mean) ** 2 for x in truth) / len(truth)) ** 0.5
largest = max(abs(a - b) for a, b in zip(logits, truth)) / deviation
print("largest difference %.3e of the deviation" % largest)
sys.exit(not largest < float(sys.argv[3]))
