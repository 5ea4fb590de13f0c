"""refused.py [--unchanged FOLDER] [--file-size BYTES] COMMAND...: a command that has to be refused as it should be.

The command has to end by itself, with a status that is not 0, one line on standard error, which begins with `error: ` and
holds no broken text, and nothing on standard output. With --unchanged, FOLDER holds afterwards what it held before, byte
for byte. With --file-size, the command can write files of so many bytes at most. Prints the line.
"""

import argparse
import hashlib
import os
import resource
import subprocess
import sys


def read_folder(folder):
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as stream:
                found[path] = hashlib.sha256(stream.read()).hexdigest()
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unchanged")
    parser.add_argument("--file-size", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    limit = None
    if arguments.file_size is not None:
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (arguments.file_size, arguments.file_size))
    before = read_folder(arguments.unchanged) if arguments.unchanged else {}
    result = subprocess.run(arguments.command, capture_output=True, preexec_fn=limit, stdin=subprocess.DEVNULL)
    after = read_folder(arguments.unchanged) if arguments.unchanged else {}
    try:
        text = result.stderr.decode()
    except UnicodeDecodeError:
        sys.exit("standard error is not UTF-8: %r" % result.stderr)
    lines = text.splitlines()
    problems = []
    if result.returncode <= 0:
        problems.append("the status is %d" % result.returncode)
    if len(lines) != 1 or not lines[0].startswith("error: "):
        problems.append("expected one line `error: ...` on standard error")
    if result.stdout:
        problems.append("standard output begins %r" % result.stdout[:100])
    if before != after:
        problems.append("the folder held %s, holds %s" % (sorted(before), sorted(after)))
    print(text, end="")
    if problems:
        sys.exit("\n".join([" ".join(arguments.command), *problems]))


main()
