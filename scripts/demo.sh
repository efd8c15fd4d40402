#!/usr/bin/env bash
# npm run demo [-- mesh|postgres]: sets up and builds if needed, then shows vpnd at work. Needs root.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

if [ "$(id -u)" -ne 0 ]; then
  printf 'demo: it makes network namespaces and TUN devices and needs root\nrun: sudo -E npm run demo\n' >&2
  exit 4
fi

fresh() {
  # Built, with every tool there, and nothing in the sources newer than the build.
  local command
  for command in ip nft ping iperf3; do command -v "$command" >/dev/null || return 1; done
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || return 1
  [ -d node_modules ] || return 1
  [ -f dist/daemon/main.js ] && [ -f dist/ctl/main.js ] && [ -f dist/iex/main.js ] || return 1
  compgen -G 'native/build/*.node' >/dev/null || compgen -G 'native/build/*/*.node' >/dev/null || return 1
  [ -z "$(find src native/src native/napi package-lock.json -newer dist/daemon/main.js -type f -print -quit)" ]
}
fresh || scripts/setup.sh
exec node --import tsx scripts/demo/main.ts "$@"
