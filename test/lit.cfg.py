"""The lit suite: every .mlir and .test file under test/.

Run all of it with `tools/check --only lit`, a part with `/usr/lib/llvm-22/bin/lit test/dialects/Tile`: started in the
source folder it uses the release preset's build, or another one with `-D build=build/asan`.
"""

import os
import shutil
import subprocess
import sys

import lit.formats

source = os.path.dirname(os.path.abspath(__file__))
if not hasattr(config, "ingot_build_root"):
    build = lit_config.params.get("build", os.path.join(os.path.dirname(source), "build", "release"))
    site = os.path.join(os.path.abspath(build), "test", "lit.site.cfg.py")
    if not os.path.exists(site):
        lit_config.fatal("no build at %s: run tools/check, or cmake --preset release" % build)
    lit_config.load_config(config, site)
else:
    config.name = "Ingot"
    config.test_format = lit.formats.ShTest(execute_external=False)
    config.suffixes = [".mlir", ".test"]
    config.excludes = ["Inputs", "unit", "fuzz", "lib"]
    config.test_source_root = source
    config.test_exec_root = os.path.join(config.ingot_build_root, "test")

    # ingot-opt and its siblings, FileCheck, not, split-file and mlir-opt are found by name.
    config.environment["PATH"] = os.pathsep.join(
        [os.path.join(config.ingot_build_root, "bin"), config.llvm_tools, config.environment["PATH"]]
    )
    config.environment["ASAN_OPTIONS"] = "detect_container_overflow=0:detect_leaks=0"

    # %source: the tree, %build: the build folder, %checkpoint: the real checkpoint, %model: it compiled.
    build = os.path.join(config.ingot_source_root, "build")
    checkpoint = lit_config.params.get("checkpoint", build + "/checkpoint/SmolLM2-135M-Instruct.Q4_1.gguf")
    model = lit_config.params.get("model", build + "/smollm2.ingot")
    config.substitutions += [
        ("%source", config.ingot_source_root),
        ("%build", config.ingot_build_root),
        ("%checkpoint", checkpoint),
        ("%model", model),
        ("%python", "/usr/bin/python3"),
    ]

    # Features for REQUIRES: what this machine, this build and the fetched files allow.
    if os.path.exists(checkpoint):
        config.available_features.add("checkpoint")
    if os.path.exists(model):
        config.available_features.add("model")
    if config.sanitized:
        config.available_features.add("sanitizer")
    ptxas = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")
    if ptxas:
        config.available_features.add("ptxas")
        config.substitutions.append(("%ptxas", ptxas))
    container = [sys.executable, os.path.join(source, "e2e/Inputs/container.py"), "1", "true"]
    if subprocess.run(container, stderr=subprocess.DEVNULL).returncode == 0:
        config.available_features.add("cpu-quota")
    if os.geteuid() == 0:
        config.available_features.add("root")
    names = {
        "avx2": "avx2",
        "f16c": "f16c",
        "avx512f": "avx512",
        "avx512_vnni": "avx512vnni",
        "avx512_bf16": "avx512bf16",
        "avx_vnni": "avxvnni",
        "amx_int8": "amx-int8",
    }
    with open("/proc/cpuinfo") as cpuinfo:
        flags = next((line.split() for line in cpuinfo if line.startswith("flags")), [])
    config.available_features.update(names[flag] for flag in flags if flag in names)
