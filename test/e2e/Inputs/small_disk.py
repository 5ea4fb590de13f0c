"""small_disk.py FOLDER COMMAND...: runs a command on a full disk and on a read-only one, both mounted on FOLDER.

They are mounted in a mount namespace of their own, so nothing of it outlives this program. Prints the one sentence that the
command says each time; fails when it succeeds, or when the file a.ingot that lay there is not alone and as it was.
"""

import os
import subprocess
import sys

folder, command = sys.argv[1], sys.argv[2:]
if os.environ.get("INGOT_TEST_NAMESPACE") != "1":
    environment = dict(os.environ, INGOT_TEST_NAMESPACE="1")
    sys.exit(subprocess.run(["unshare", "--mount", sys.executable, *sys.argv], env=environment).returncode)

os.makedirs(folder, exist_ok=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "ingot-test", folder], check=True)
earlier = os.path.join(folder, "a.ingot")
with open(earlier, "w") as stream:
    stream.write("earlier")
for name, prepare in (("full", None), ("read-only", ["mount", "-o", "remount,ro", folder])):
    if prepare:
        subprocess.run(prepare, check=True)
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    lines = result.stderr.splitlines()
    print("%s: %s" % (name, result.stderr.strip()), flush=True)
    if result.returncode <= 0 or len(lines) != 1 or os.listdir(folder) != ["a.ingot"] or open(earlier).read() != "earlier":
        sys.exit("status %d, %s" % (result.returncode, os.listdir(folder)))
