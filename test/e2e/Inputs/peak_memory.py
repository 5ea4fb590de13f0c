"""peak_memory.py LIMIT COMMAND...: fails when the command fails or its resident memory ever exceeds LIMIT MB; prints it."""

import resource
import subprocess
import sys

limit, command = int(sys.argv[1]), sys.argv[2:]
subprocess.run(command, check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
print("%d MB" % peak)
sys.exit(peak > limit)
