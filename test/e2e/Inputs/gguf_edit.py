"""gguf_edit.py SOURCE TARGET [EDIT]...: a copy of a small GGUF file with something wrong in it.

  string KEY TEXT      the value of KEY becomes TEXT
  number KEY N         the integer value of KEY becomes N
  shape NAME D,D       the dimensions of a tensor, fastest first
  type NAME N          the number of a tensor's type
  offset NAME N        where a tensor begins in the data
  rename NAME NEW      another name
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../tools/fixtures"))
import gguf_file  # noqa: E402


def main():
    source, target, *edits = sys.argv[1:]
    magic, version, values, infos, data = gguf_file.read(source)
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
    gguf_file.write(target, magic, version, values, infos, data)


main()
