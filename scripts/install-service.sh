#!/usr/bin/env bash
# install-service.sh [--prefix DIR] [--undo [--purge]]: puts the built programs and their systemd units in place.
set -euo pipefail
here=$(dirname "$(dirname "$(readlink -f "$0")")")

usage="Usage: scripts/install-service.sh [--prefix DIR] [--undo [--purge]]

Installs vpnd, vpnctl and iexd with their systemd units from this built checkout. Running it again brings them up to date.

  --prefix DIR  where programs go (default /usr/local); units go to /etc
  --undo        takes away all that an earlier run put in place; keys and networks in /var/lib/vpnd stay
  --purge       with --undo: takes away /var/lib/vpnd, /var/lib/iexd and an empty /etc/vpnd as well"

fail() {
  printf 'install-service: %s\n%s\n' "$1" "$2" >&2
  exit "${3:-1}"
}

prefix=/usr/local undo=no purge=no
while [ $# -gt 0 ]; do
  case $1 in
    --prefix)
      [ $# -ge 2 ] || fail "--prefix needs a folder" "see: scripts/install-service.sh --help" 2
      prefix=$2
      shift
      ;;
    --prefix=*) prefix=${1#*=} ;;
    --undo) undo=yes ;;
    --purge) purge=yes ;;
    --help | -h)
      printf '%s\n' "$usage"
      exit 0
      ;;
    *) fail "unknown argument $1" "see: scripts/install-service.sh --help" 2 ;;
  esac
  shift
done
[[ $prefix =~ ^(/[A-Za-z0-9._+-]+)+$ && $prefix != *..* ]] ||
  fail "--prefix $prefix is not an absolute folder of plain letters" "use a folder such as /usr/local" 2
case $prefix in /home/* | /root/* | /tmp/*)
  fail "the service cannot see programs in $prefix" "use a folder such as /usr/local or /opt/vpnd" 2
  ;;
esac
[ $purge = no ] || [ $undo = yes ] || fail "--purge goes with --undo" "see: scripts/install-service.sh --help" 2
[ "$(id -u)" -eq 0 ] || fail "this needs root" "run: sudo scripts/install-service.sh" 4
for tool in systemctl systemd-sysusers systemd-tmpfiles; do
  command -v "$tool" >/dev/null || fail "$tool is missing: this machine does not run systemd" "start bin/vpnd by hand instead"
done

tree=$prefix/lib/vpnd
# What a run has put in place, one a line: "file PATH", "folder PATH", "user NAME", "group NAME".
list=$tree/installed
booted() { [ -d /run/systemd/system ]; }

# Links into the tree, and files of units: SOURCE DESTINATION.
links=(
  "$tree/bin/vpnd $prefix/sbin/vpnd"
  "$tree/bin/vpnctl $prefix/bin/vpnctl"
  "$tree/bin/iexd $prefix/bin/iexd"
)
units=(
  "systemd/vpnd.service /etc/systemd/system/vpnd.service"
  "systemd/vpnd-kill-switch.service /etc/systemd/system/vpnd-kill-switch.service"
  "systemd/iexd.service /etc/systemd/system/iexd.service"
  "systemd/sysusers.d/vpnd.conf /etc/sysusers.d/vpnd.conf"
  "systemd/sysusers.d/iexd.conf /etc/sysusers.d/iexd.conf"
  "systemd/tmpfiles.d/vpnd.conf /etc/tmpfiles.d/vpnd.conf"
  "systemd/modules-load.d/vpnd.conf /etc/modules-load.d/vpnd.conf"
  "docs/man/vpnd.8 $prefix/share/man/man8/vpnd.8"
  "docs/man/iexd.8 $prefix/share/man/man8/iexd.8"
  "docs/man/vpnctl.1 $prefix/share/man/man1/vpnctl.1"
)

ours() { [ -f "$list" ] && grep -qxF "file $1" "$list"; }

take_away() {
  local kind what
  if [ ! -f "$list" ]; then
    echo "install-service: nothing is installed under $prefix"
    return
  fi
  # Without the programs it would stay on for good.
  if [ -e /var/lib/vpnd/kill-switch.json ]; then
    fail "the kill switch is on" "lift it first: vpnctl kill-switch off; or: systemctl stop vpnd; vpnd --cleanup --kill-switch"
  fi
  if booted; then systemctl disable --now --quiet vpnd.service vpnd-kill-switch.service iexd.service 2>/dev/null || true; fi
  local lines
  lines=$(tac "$list")
  while read -r kind what; do
    case $kind in
      file) rm -f "$what" ;;
      tree) rm -rf "$what" ;;
      folder) rmdir --ignore-fail-on-non-empty "$what" 2>/dev/null || true ;;
      user) userdel "$what" ;;
      group) ! getent group "$what" >/dev/null || groupdel "$what" ;;
    esac
  done <<<"$lines"
  if booted; then
    systemctl daemon-reload
    systemctl reset-failed --quiet vpnd.service vpnd-kill-switch.service iexd.service 2>/dev/null || true
  fi
  if [ $purge = yes ]; then
    rm -rf /var/lib/vpnd /var/lib/iexd
    rmdir --ignore-fail-on-non-empty /etc/vpnd 2>/dev/null || true
  elif [ -d /var/lib/vpnd ]; then
    echo "install-service: networks and keys are still in /var/lib/vpnd (--undo --purge removes them too)"
  fi
  echo "install-service: undone"
}

if [ $undo = yes ]; then
  take_away
  exit 0
fi

# -------- Above this line, but for --undo, nothing changes the machine. --------

node=$(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin command -v node) ||
  fail "services find no node" "install Node.js 20 or newer for the whole machine (in /usr or /usr/local)"
[ "$("$node" -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
  fail "$node is too old ($("$node" -v))" "install Node.js 20 or newer for the whole machine"
command -v systemd-notify >/dev/null || fail "systemd-notify is missing" "install the package systemd"
for file in dist/daemon/main.js dist/ctl/main.js dist/iex/main.js native/build/vpnd.node node_modules/.package-lock.json; do
  [ -e "$here/$file" ] || fail "$file is missing: the programs are not built" "run: scripts/setup.sh"
done
for entry in "${links[@]}" "${units[@]}"; do
  to=${entry#* }
  { [ ! -e "$to" ] && [ ! -L "$to" ]; } || ours "$to" ||
    fail "$to is there, and not from this script" "remove what installed it, or choose another --prefix"
done
[ ! -e "$tree" ] || [ -f "$list" ] || fail "$tree is there, and not from this script" "choose another --prefix"

new=$tree.new
trap 'rm -rf "$new"' EXIT
rm -rf "$new"

# make_folder PATH: with its parents; those that were missing go into the list, parents first.
fresh=()
[ ! -f "$list" ] || mapfile -t fresh <"$list"
note() {
  local line
  for line in "${fresh[@]}"; do [ "$line" != "$1 $2" ] || return 0; done
  fresh+=("$1 $2")
}
make_folder() {
  [ ! -d "$1" ] || return 0
  make_folder "$(dirname "$1")"
  mkdir -m 0755 "$1"
  note folder "$1"
}
# What is done is on the list before the next step, so that --undo takes back a run that was cut short too.
keep_list() { printf '%s\n' "${fresh[@]}" >"$list.new" && mv "$list.new" "$list"; }

make_folder "$prefix/lib"
umask 022
mkdir "$new" "$new/native" "$new/native/build"
cp -a "$here/package.json" "$here/bin" "$here/dist" "$here/migrations" "$new/"
cp -a "$here/native/build/vpnd.node" "$new/native/build/"
# Packages that run, not those that build: the lock file knows.
"$node" - "$here" <<'JS' | while read -r folder; do
const { existsSync, readFileSync } = require("node:fs");
const here = process.argv[2];
const { packages } = JSON.parse(readFileSync(`${here}/package-lock.json`, "utf8"));
for (const [folder, about] of Object.entries(packages)) {
  if (folder === "" || about.dev || about.devOptional) continue;
  if (existsSync(`${here}/${folder}`)) console.log(folder);
  else if (!about.optional) throw new Error(`${folder} is missing: run scripts/setup.sh`);
}
JS
  # A package inside another came with it.
  [ -e "$new/$folder" ] || { mkdir -p "$new/$(dirname "$folder")" && cp -a "$here/$folder" "$new/$folder"; }
done
find "$new" -name '*.d.ts' -delete
chown -R root:root "$new"
chmod -R u=rwX,go=rX "$new"

changed=yes
if [ -d "$tree" ] && diff -rq --no-dereference --exclude=installed "$tree" "$new" >/dev/null; then changed=no; fi
if [ $changed = yes ]; then
  note tree "$tree"
  printf '%s\n' "${fresh[@]}" >"$new/installed"
  if [ -d "$tree" ]; then mv "$tree" "$new.old"; fi
  mv "$new" "$tree"
  rm -rf "$new.old"
fi

for entry in "${links[@]}"; do
  read -r from to <<<"$entry"
  make_folder "$(dirname "$to")"
  note file "$to"
  keep_list
  ln -sfn "$from" "$to"
done
for entry in "${units[@]}"; do
  read -r from to <<<"$entry"
  make_folder "$(dirname "$to")"
  note file "$to"
  keep_list
  # The units in the checkout name the places of a package.
  case $from in
    *.service) text=$(sed -E "s#^(Exec[A-Za-z]+=-?)/usr/(s?bin/(vpnd|iexd))#\\1$prefix/\\2#" "$here/$from") ;;
    *) text=$(<"$here/$from") ;;
  esac
  if [ ! -f "$to" ] || [ "$(<"$to")" != "$text" ]; then
    changed=yes
    rm -f "$to"
    printf '%s\n' "$text" >"$to"
  fi
done

for group in vpnd iexd; do getent group $group >/dev/null || note group $group; done
getent passwd iexd >/dev/null || note user iexd
keep_list
systemd-sysusers /etc/sysusers.d/vpnd.conf /etc/sysusers.d/iexd.conf
systemd-tmpfiles --create /etc/tmpfiles.d/vpnd.conf
if booted && [ $changed = yes ]; then
  systemctl daemon-reload
  systemctl try-restart vpnd.service iexd.service
fi
echo "install-service: vpnd, vpnctl and iexd are installed under $prefix"
echo "install-service: start with: systemctl enable --now vpnd   (and let somebody in: usermod -aG vpnd NAME)"
