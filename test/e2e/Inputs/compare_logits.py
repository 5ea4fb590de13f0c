"""compare_logits.py LOGITS.npy TRUTH [--limit X]: the largest difference over the deviation of the truth.

TRUTH is another .npy file or raw little-endian float32. Without --limit they have to be equal in every bit.
"""

import argparse
import array
import ast
import struct
import sys


def read(path):
    with open(path, "rb") as stream:
        data = stream.read()
    if data[:6] == b"\x93NUMPY":
        header = struct.unpack("<H", data[8:10])[0]
        assert ast.literal_eval(data[10:10 + header].decode())["descr"] == "<f4"
        data = data[10 + header:]
    return array.array("f", data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("logits")
    parser.add_argument("truth")
    parser.add_argument("--limit", type=float)
    arguments = parser.parse_args()
    logits, truth = read(arguments.logits), read(arguments.truth)
    if len(logits) != len(truth):
        sys.exit("%d numbers, expected %d" % (len(logits), len(truth)))
    if arguments.limit is None:
        sys.exit("the bits differ" if logits.tobytes() != truth.tobytes() else 0)
    mean = sum(truth) / len(truth)
    deviation = (sum((x - mean) ** 2 for x in truth) / len(truth)) ** 0.5
    largest = max(abs(x - y) for x, y in zip(logits, truth)) / deviation
    print("max |difference| / deviation %.3g" % largest)
    if not largest <= arguments.limit:
        sys.exit("over the limit %g" % arguments.limit)


main()
