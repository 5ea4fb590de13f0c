"""gguf_edit.py SOURCE TARGET [EDIT]...: a copy of a small GGUF file with something wrong in it.

  string KEY TEXT      the value of KEY becomes TEXT
  number KEY N         the integer value of KEY becomes N
  shape NAME D,D       the dimensions of a tensor, fastest first
  type NAME N          the number of a tensor's type
  offset NAME N        where a tensor begins in the data
  rename NAME NEW      another name
"""

import struct
import sys

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values[0]

    def text(self):
        length = self.take("Q")
        self.at += length
        return self.data[self.at - length : self.at]

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, count = self.take("I"), self.take("Q")
            return inner, [self.value(inner) for _ in range(count)]
        return self.take(SCALARS[kind])


def write_text(text):
    return struct.pack("<Q", len(text)) + text


def write_value(kind, value):
    if kind == 8:
        return write_text(value)
    if kind == 9:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(write_value(inner, item) for item in items)
    return struct.pack("<" + SCALARS[kind], value)


def read(path):
    reader = Reader(open(path, "rb").read())
    magic, version, tensors, keys = (reader.take(layout) for layout in ("4s", "I", "Q", "Q"))
    values, infos = {}, {}
    for _ in range(keys):
        key = reader.text().decode()
        kind = reader.take("I")
        values[key] = [kind, reader.value(kind)]
    for _ in range(tensors):
        name = reader.text().decode()
        dimensions = [reader.take("Q") for _ in range(reader.take("I"))]
        infos[name] = [dimensions, reader.take("I"), reader.take("Q")]
    return magic, version, values, infos, reader.data[(reader.at + 31) // 32 * 32 :]


def write(path, magic, version, values, infos, data):
    out = magic + struct.pack("<IQQ", version, len(infos), len(values))
    for key, (kind, value) in values.items():
        out += write_text(key.encode()) + struct.pack("<I", kind) + write_value(kind, value)
    for name, (dimensions, kind, offset) in infos.items():
        out += write_text(name.encode()) + struct.pack("<I", len(dimensions))
        out += struct.pack("<%dQIQ" % len(dimensions), *dimensions, kind, offset)
    open(path, "wb").write(out + bytes(-len(out) % 32) + data)


def main():
    source, target, *edits = sys.argv[1:]
    magic, version, values, infos, data = read(source)
    for action, name, value in zip(*[iter(edits)] * 3):
        if action == "string":
            values[name] = [8, value.encode()]
        elif action == "number":
            values[name][1] = int(value)
        elif action == "shape":
            infos[name][0] = [int(dimension) for dimension in value.split(",")]
        elif action == "type":
            infos[name][1] = int(value)
        elif action == "offset":
            infos[name][2] = int(value)
        elif action == "rename":
            infos = {value if key == name else key: info for key, info in infos.items()}
        else:
            sys.exit("no edit is called " + action)
    write(target, magic, version, values, infos, data)


main()
