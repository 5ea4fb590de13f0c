#!/bin/sh
# mlir-reduce takes status 1 for interesting.
if grep -q transformer.norm "$1"; then exit 1; fi
exit 0
