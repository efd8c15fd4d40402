#!/usr/bin/env bash
# Installs what Debian must provide, then the npm packages, then builds. Safe to run again.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

fail() {
  printf 'setup: %s\n%s\n' "$1" "$2" >&2
  exit 1
}

command -v node >/dev/null || fail "Node.js is missing" "install Node.js 20 or newer, then run this again"
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || fail "Node.js $(node -v) is too old" "install Node.js 20 or newer, then run this again"
command -v npm >/dev/null || fail "npm is missing" "install npm, then run this again"

# What it is there for: command (or file), Debian package.
needed=(
  "ip iproute2"
  "nft nftables"
  "iptables-nft iptables"
  "ping iputils-ping"
  "sysctl procps"
  "iperf3 iperf3"
  "ethtool ethtool"
  "tcpdump tcpdump"
  "tshark tshark"
  "dig bind9-dnsutils"
  "openssl openssl"
  "ssh openssh-client"
  "/usr/sbin/sshd openssh-server"
  "gnutls-cli gnutls-bin"
  "g++ g++"
  "make make"
  "clang++-14 clang-14"
  "systemd-notify systemd"
  "systemd-nspawn systemd-container"
  "mmdebstrap mmdebstrap"
  "/usr/sbin/nginx nginx"
  "caddy caddy"
)
missing=()
for entry in "${needed[@]}"; do
  read -r command package <<<"$entry"
  command -v "$command" >/dev/null || missing+=("$package")
done

# What the fuzzers link.
compgen -G '/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer*' >/dev/null || missing+=(libclang-rt-14-dev)

# A private PostgreSQL for the tests; its programs are in no PATH.
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)

# The engine's tests link the system's OpenSSL; the addon uses the one inside Node.
[ -f /usr/include/openssl/ssl.h ] || missing+=(libssl-dev)

# Faster record protection; only where the distribution has it. Without it the engine is built with OpenSSL alone.
if ! compgen -G '/usr/lib/*/libIPSec_MB.a' >/dev/null && [ "$(uname -m)" = x86_64 ] && command -v apt-cache >/dev/null &&
  apt-cache show libipsec-mb-dev >/dev/null 2>&1; then
  missing+=(libipsec-mb-dev)
fi

# Headers for the addon are where native/Makefile looks: beside the node binary.
prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
headers() { [ -f "$prefix/include/node/node_api.h" ]; }
if ! headers; then
  if [ "$prefix" = /usr ]; then missing+=(libnode-dev); else
    fail "the headers of Node.js are missing (node_api.h)" "install Node.js with its include folder, such as the official archive has"
  fi
fi

if [ "${#missing[@]}" -gt 0 ]; then
  command -v apt-get >/dev/null ||
    fail "packages are missing: ${missing[*]}" "install them with this system's package manager, then run this again"
  [ "$(id -u)" -eq 0 ] ||
    fail "packages are missing: ${missing[*]}" "run this as root, or: sudo apt-get install ${missing[*]}"
  echo "setup: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  # PostgreSQL would make and start a server of its own, which nobody here uses.
  quiet=/etc/postgresql-common/createcluster.conf
  if [[ " ${missing[*]} " == *" postgresql "* ]] && [ ! -e "$quiet" ]; then
    mkdir -p "${quiet%/*}"
    echo 'create_main_cluster = false' >"$quiet"
  fi
  apt-get install -y -q --no-install-recommends "${missing[@]}"
  # The tests start web servers of their own; nobody asked for one on port 80.
  for service in nginx caddy; do
    [[ " ${missing[*]} " == *" $service "* ]] || continue
    systemctl disable --now "$service" >/dev/null 2>&1 || true
  done
  headers || fail "the headers of Node.js are missing (node_api.h)" "install the development package of Node.js"
fi

# The lock file's digest says whether node_modules is what it should be.
stamp=node_modules/.vpnd-setup
digest=$(sha256sum package-lock.json package.json | sha256sum | cut -d' ' -f1)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$digest" ]; then
  # Not `npm ci`: it refuses a lock file without the optional packages of other platforms, which not every registry has.
  # This installs what is locked, checks its integrity, and leaves the lock file as it is.
  npm install --no-save --no-audit --no-fund
  printf '%s\n' "$digest" >"$stamp"
fi

npm run --silent build
echo "setup: done"
