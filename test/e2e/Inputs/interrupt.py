"""interrupt.py SIGNAL FOLDER COMMAND...: sends a signal while a command works, and looks at what it leaves.

The signal is sent when the command has begun: has an unnamed file open in FOLDER, or has written to standard output. The
command has to end with a status of its own that is not 0 and with one sentence, which is printed, and FOLDER to hold what it
held. A command that was done before the signal arrived is run again.
"""

import os
import select
import signal
import subprocess
import sys
import time

number = getattr(signal, "SIG" + sys.argv[1])
folder, command = os.path.realpath(sys.argv[2]), sys.argv[3:]


def read_folder():
    return {name: open(os.path.join(folder, name), "rb").read(1 << 20) for name in os.listdir(folder)}


def has_begun(process):
    if select.select([process.stdout], [], [], 0)[0]:
        return True
    descriptors = "/proc/%d/fd" % process.pid
    for name in os.listdir(descriptors):
        try:
            target = os.readlink(os.path.join(descriptors, name))
        except FileNotFoundError:
            continue
        if target.startswith(folder + "/"):
            return True
    return False


before = read_folder()
for attempt in range(10):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not has_begun(process):
        time.sleep(0.001)
    process.send_signal(number)
    _, text = process.communicate()
    if process.returncode == 0:
        for name, data in before.items():
            open(os.path.join(folder, name), "wb").write(data)
        continue
    print(text, end="")
    if process.returncode < 0 or len(text.splitlines()) != 1:
        sys.exit("status %d, %d lines" % (process.returncode, len(text.splitlines())))
    if read_folder() != before:
        sys.exit("the folder held %s, holds %s" % (sorted(before), sorted(os.listdir(folder))))
    sys.exit(0)
sys.exit("the command was always done before the signal arrived")
