# lib.sh - what quickstart, test and bench share: paths, packages, builds.  Sourced, never run.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian's interpreter by its path: another one first in PATH has no pytest.
python=/usr/bin/python3

build_packages=(gcc libc6-dev meson ninja-build pkg-config libfuse3-dev fuse3 libsodium-dev
	libzstd-dev libsqlite3-dev libcurl4-openssl-dev libcbor-dev libexpat1-dev
	libcmocka-dev python3 sqlite3)
test_packages=(clang libclang-rt-14-dev lld clang-format clang-tidy cppcheck python3-pytest
	attr acl libcap2-bin)
# The real servers that stores and captures are tested against.
server_packages=(
	ceph-common
	ceph-mon
	ceph-osd
	libnginx-mod-http-dav-ext
	mariadb-server
	nginx-light
	nodejs
	openssh-client
	openssh-server
	openssl
	postgresql
	radosgw
	rclone
)
# Azurite comes from npm, which some builds of Node.js bring with them.
command -v npm >/dev/null || server_packages+=(npm)
# And those that are tested with --full only.
full_packages=(
	memcached
	swift-account
	swift-container
	swift-object
	swift-proxy
)
bench_packages=(restic borgbackup python3-pyfuse3 time)

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		command -v sudo >/dev/null || die "need root or sudo to run: $*"
		sudo "$@"
	fi
}

# Installs those of the named Debian packages that are missing; with none missing, touches nothing.
install_packages() {
	local package missing=()

	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return
	echo "installing: ${missing[*]}"
	as_root apt-get -qq update &&
		as_root env DEBIAN_FRONTEND=noninteractive \
			apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null ||
		die "could not install ${missing[*]}; see the message of apt-get above"
}

# build DIR TARGETS [MESON OPTION...] - configure once, then bring the targets up to date; CC
# chooses the compiler.
build() {
	local dir=$top/$1 targets=$2
	shift 2

	[ -f "$dir/build.ninja" ] || meson setup "$dir" "$top" "$@" || return
	# shellcheck disable=SC2086 - several words
	ninja -C "$dir" $targets
}

# The one that quickstart, test and bench run: optimised, gcc.
build_release() {
	CC=gcc build build tillfs --buildtype=release
}
