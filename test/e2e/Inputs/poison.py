"""poison.py FILE.safetensors TENSOR: makes the second element of a float32 tensor NaN."""

import json
import struct
import sys

with open(sys.argv[1], "r+b") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    tensor = json.loads(file.read(size))[sys.argv[2]]
    assert tensor["dtype"] == "F32"
    file.seek(8 + size + tensor["data_offsets"][0] + 4)
    file.write(struct.pack("<f", float("nan")))
