"""container.py CPUS COMMAND...: runs COMMAND in a control group that gets the time of CPUS processors.

The machine still shows all of its processors, as it does in most containers. Writes to standard error what the command
took: "N.NN CPU seconds". Without a control group of its own it exits with status 77: `container.py 1 true` tells.
"""

import os
import resource
import subprocess
import sys

period = 100000  # microseconds


def parents():
    """Folders of this process's group, in the hierarchies that may hold quotas, with what writes a quota there."""
    with open("/proc/self/cgroup") as groups:
        for line in groups:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if "cpu" in controllers.split(","):
                yield "/sys/fs/cgroup/cpu" + path, {"cpu.cfs_period_us": "%d", "cpu.cfs_quota_us": "%.0f"}
            elif not controllers:
                yield "/sys/fs/cgroup" + path, {"cpu.max": "%.0f %d"}


def write(folder, name, text):
    with open(os.path.join(folder, name), "w") as file:
        file.write(text)


def make_group(cpus):
    for parent, files in parents():
        folder = os.path.join(parent, "ingot-test-%d" % os.getpid())
        try:
            os.mkdir(folder)
        except OSError:
            continue
        try:
            for name, form in files.items():
                values = (cpus * period, period)
                write(folder, name, form % (values if "%d" in form and "%.0f" in form else values["%d" in form]))
            return folder
        except OSError:
            os.rmdir(folder)
    return None


def main():
    folder = make_group(float(sys.argv[1]))
    if not folder:
        print("no control group with a quota can be made here", file=sys.stderr)
        return 77
    try:
        enter = lambda: write(folder, "cgroup.procs", "0")
        status = subprocess.run(sys.argv[2:], preexec_fn=enter).returncode
    except (OSError, subprocess.SubprocessError) as error:
        print("no process can be put into the control group: %s" % error, file=sys.stderr)
        return 77
    finally:
        os.rmdir(folder)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("%.2f CPU seconds" % (used.ru_utime + used.ru_stime), file=sys.stderr)
    return status


sys.exit(main())
