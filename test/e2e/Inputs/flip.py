"""flip.py SOURCE TARGET OFFSET: a copy with one bit flipped; a negative offset counts from the end."""

import shutil
import sys

source, target, offset = sys.argv[1], sys.argv[2], int(sys.argv[3])
shutil.copyfile(source, target)
with open(target, "r+b") as stream:
    stream.seek(offset, 2 if offset < 0 else 0)
    byte = stream.read(1)[0]
    stream.seek(-1, 1)
    stream.write(bytes([byte ^ 1]))
