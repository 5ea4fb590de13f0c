#!/bin/bash
# make-root PROGRAM FOLDER: a root folder with the program and the C and C++ libraries that it links, nothing else.
set -eu
cp "$1" "$2/"
ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$2$(dirname "$library")"
  cp -L "$library" "$2$library"
done
