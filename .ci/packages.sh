# Sourced by the run scripts: installs what is missing from the distribution's packages.

# need_packages ITEM...: each item is a Debian package, or TOOL=PACKAGE for a program that may come from anywhere.
# Touches the network only when something is missing.
need_packages() {
  local item missing=()
  for item in "$@"; do
    case $item in
      *=*) command -v "${item%%=*}" >/dev/null || missing+=("${item#*=}") ;;
      *) ! command -v dpkg-query >/dev/null ||
           dpkg-query -W -f='${Status}' "$item" 2>/dev/null | grep -q 'ok installed' || missing+=("$item") ;;
    esac
  done
  if ! command -v apt-get >/dev/null; then
    echo "This is not Debian or Ubuntu: install these (or what your system calls them) yourself: ${*##*=}" >&2
    [ ${#missing[@]} -eq 0 ] || { echo "Not found: ${missing[*]}" >&2; exit 1; }
    return
  fi
  [ ${#missing[@]} -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "Missing packages, and neither root nor sudo to install them. Please run as root:" >&2
      echo "  apt-get install ${missing[*]}" >&2
      exit 1
    }
    as_root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends)
  # The package lists of a fresh machine are empty or old: refresh them only when the first try fails.
  "${install[@]}" "${missing[@]}" >/dev/null 2>&1 ||
    { "${as_root[@]}" apt-get update -qq && "${install[@]}" "${missing[@]}" >/dev/null; } ||
    { echo "Could not install: ${missing[*]}" >&2; exit 1; }
}
