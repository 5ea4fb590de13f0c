"""runtime_memory.py LIMIT MODEL COMMAND...: fails when the command's resident memory ever exceeds that of the weights and
the cache, as the plan of MODEL has them, by more than LIMIT MB; prints by how much it does."""

import json
import resource
import subprocess
import sys

limit, model, command = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
memory = json.loads(subprocess.run(["ingot", "inspect", model, "--json"], check=True, stdout=subprocess.PIPE).stdout)["memory"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
beyond = (peak - memory["weights"] - memory["cache"]) / 2**20
print("%.1f MB" % beyond)
sys.exit(beyond > limit)
