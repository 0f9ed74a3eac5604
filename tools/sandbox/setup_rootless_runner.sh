#!/usr/bin/env bash
# Sets up the run service of one user, without root: its programs in ~/.local/lib/airlock and a unit
# of systemd's user manager, which is started. It can be called again at any time; what is as it
# should be is left alone, and a service whose files did not change is not restarted.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
only_check=false
failures=0
changed=false

usage() {
  cat <<'END'
usage: tools/sandbox/setup_rootless_runner.sh [--project-dir DIR] [--check]

  --project-dir DIR  the checkout of Airlock (default: the one that this script is in); it is
                     built if it was not
  --check            change nothing: say what this host and user have, and what is in place

Exit status 0: done, or nothing is in the way. 1: something is; the line says FAIL and the fix.
END
}

die() {
  echo "setup: $*" >&2
  exit 1
}

ok() { printf 'ok    %s\n' "$*"; }
warn() { printf 'WARN  %s\n' "$*"; }
fail() {
  printf 'FAIL  %s\n' "$*"
  failures=$((failures + 1))
}

parse_arguments() {
  while (($#)); do
    case $1 in
      --project-dir)
        (($# >= 2)) || die "--project-dir needs a folder"
        project=$2
        shift
        ;;
      --project-dir=*) project=${1#*=} ;;
      --check) only_check=true ;;
      --help | -h)
        usage
        exit 0
        ;;
      *)
        echo "setup: there is no option \"$1\"" >&2
        usage >&2
        exit 2
        ;;
    esac
    shift
  done
  [[ -f $project/deploy/systemd/user/airlock.service ]] ||
    die "$project is no checkout of Airlock"
  project=$(cd "$project" && pwd)
}

# The number in a file of /proc/sys, or nothing where this kernel has no such switch.
setting() {
  cat "/proc/sys/$1" 2>/dev/null || true
}

check_namespaces() {
  if [[ $(setting kernel/unprivileged_userns_clone) == 0 ]]; then
    fail "user namespaces are switched off: sudo sysctl -w kernel.unprivileged_userns_clone=1"
  elif [[ $(setting user/max_user_namespaces) == 0 ]]; then
    fail "no user namespace may be made: sudo sysctl -w user.max_user_namespaces=15000"
  else
    ok "user namespaces may be made"
  fi
}

check_apparmor() {
  if [[ $(setting kernel/apparmor_restrict_unprivileged_userns) != 1 ]]; then
    ok "AppArmor does not restrict user namespaces"
  elif cmp -s "$project/deploy/apparmor/airlock" /etc/apparmor.d/airlock; then
    ok "AppArmor restricts user namespaces, and has Airlock's profile"
  else
    fail "AppArmor restricts user namespaces and does not have Airlock's profile:" \
      "sudo install -m 0644 $project/deploy/apparmor/airlock /etc/apparmor.d/airlock &&" \
      "sudo apparmor_parser -r /etc/apparmor.d/airlock"
  fi
}

# How many subordinate ids a file gives to this user, by name or by number.
subordinate_ids() {
  awk -F: -v name="$(id -un)" -v id="$(id -u)" \
    '$1 == name || $1 == id { sum += $3 } END { print sum + 0 }' "$1" 2>/dev/null || echo 0
}

check_ids() {
  local uids gids
  uids=$(subordinate_ids /etc/subuid)
  gids=$(subordinate_ids /etc/subgid)
  if ! command -v newuidmap >/dev/null || ! command -v newgidmap >/dev/null; then
    warn "newuidmap is missing, so programs run as your own uid in their namespaces:" \
      "sudo apt-get install -y uidmap"
  elif ((uids < 2 || gids < 2)); then
    warn "$uids subordinate uids and $gids gids, so programs run as your own uid in their" \
      "namespaces: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)"
  else
    ok "$uids subordinate uids and $gids gids"
  fi
}

has_manager() {
  systemctl --user show-environment >/dev/null 2>&1
}

check_manager() {
  local controllers group
  if ! has_manager; then
    warn "systemd has no manager for this user here: the service has to be started by hand"
    return
  fi
  ok "systemd has a manager for this user"
  [[ -e /var/lib/systemd/linger/$(id -un) ]] ||
    warn "the service ends when you log out: sudo loginctl enable-linger $(id -un)"
  group=/sys/fs/cgroup/user.slice/user-$(id -u).slice/user@$(id -u).service
  controllers=$(cat "$group/cgroup.controllers" 2>/dev/null || true)
  if [[ " $controllers " == *" memory "* && " $controllers " == *" pids "* ]]; then
    ok "cgroups: $controllers"
  else
    warn "memory and processes are limited by rlimits only, since no cgroup with their" \
      "controllers is handed to this user: docs/operations.md, Cgroups"
  fi
}

built_programs() {
  find "$project/build/release/bin" -maxdepth 1 -name 'airlock*' ! -name '*-testhooks' -type f \
    2>/dev/null | sort
}

# place FILE TARGET MODE: as a new file, so that what runs goes on with the old one.
place() {
  if cmp -s "$1" "$2"; then
    return
  fi
  changed=true
  if $only_check; then
    echo "would install $2"
    return
  fi
  install -D -m "$3" "$1" "$2.new"
  mv -f "$2.new" "$2"
  echo "installed $2"
}

place_files() {
  local program programs=$HOME/.local/lib/airlock
  local units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
  local settings=$HOME/.config/airlock/environment
  if [[ -z $(built_programs) ]]; then
    if $only_check; then
      echo "would build $project"
      return
    fi
    (cd "$project" && ./dev build)
  fi
  while read -r program; do
    place "$program" "$programs/$(basename "$program")" 0755
  done < <(built_programs)
  place "$project/deploy/systemd/user/airlock.service" "$units/airlock.service" 0644
  # Settings are the user's: only a missing file is made.
  [[ -e $settings ]] || place "$project/deploy/systemd/environment.example" "$settings" 0600
  if ! $only_check; then
    mkdir -p "$HOME/.local/bin"
    ln -sfn ../lib/airlock/airlock "$HOME/.local/bin/airlock"
  fi
}

start_service() {
  local airlock=$HOME/.local/lib/airlock/airlock
  if ! has_manager; then
    echo "start it by hand: $airlock serve"
    return
  fi
  systemctl --user daemon-reload
  systemctl --user enable --quiet airlock.service
  local verb=start
  ! $changed || verb=restart
  # It comes back when the service has said that it is ready.
  systemctl --user "$verb" airlock.service ||
    die "it does not start: systemctl --user status airlock; $airlock doctor"
  ok "the service runs: systemctl --user status airlock"
}

main() {
  parse_arguments "$@"
  if ((EUID == 0)) && ! $only_check; then
    die "this is for an ordinary user; root has sudo make install-service"
  fi
  check_namespaces
  check_apparmor
  check_ids
  check_manager
  if ((failures > 0)) && ! $only_check; then
    die "nothing was changed: the service could not run a program"
  fi
  place_files
  if ! $only_check; then
    start_service
  elif ! $changed; then
    ok "the files are in place"
  fi
  ((failures == 0))
}

main "$@"
