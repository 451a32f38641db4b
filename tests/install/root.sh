#!/bin/bash
# Tries the README as a new user would, in a fresh Debian 12: a root by debootstrap that has nothing but what it must.
#
# usage: tests/install/root.sh FOLDER [PART...]
#
# It tries the committed tree. FOLDER gets the root and the packages that the parts load, both made once; each part
# begins from the root anew, in a layer that is thrown away. It takes root, a network, and debootstrap. Without parts it
# runs readme, user, sudo, places, tarball and docker; test, package and cross take longer.
set -euo pipefail

top=$(cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../.." && pwd)
parts=(readme user sudo places tarball docker)
say() { echo "root.sh: $*" >&2; }
die() {
    say "FAILED: $*"
    exit 1
}

# ---- In the root --------------------------------------------------------------------------------------------------

install() { apt-get install -q -y --no-install-recommends "$@" >/tmp/apt.log 2>&1 || die "$(cat /tmp/apt.log)"; }

# expect TEXT COMMAND...: it succeeds, and says this, which is a regular expression.
expect() {
    local text=$1 said
    shift
    say "$*"
    said=$("$@" 2>&1 </dev/null) || die "$*: status $?: $said"
    grep -qE -- "$text" <<<"$said" || die "$* does not say $text: $said"
}

# as USER COMMAND: in a login shell of that user, with nothing of ours in the environment.
as() { su - "$1" -c "$2"; }

# clone FOLDER [OPTION...]: what a user has who has cloned it.
clone() {
    git clone -q "${@:2}" file:///cutback.git "$1"
}

# A user who has cloned it.
user() {
    useradd -m -s /bin/bash user
    clone /home/user/cutback "$@"
    chown -R user: /home/user/cutback
}

# The lines of the README's blocks of shell, without their comments.
readme_lines() { sed -n '/^```sh$/,/^```$/{/^```/!s/  *#.*//p}' README.md; }

# One of them, with what a reader puts into the place of `program`, PID, and /path/to.
readme_line() {
    local line=${1//\/path\/to/$library} pid
    case $line in
    './tools/dev test') ;; # the part test
    'cutback-run --report'*)
        bash -euc "$line" </dev/null || install python3-matplotlib && # as it has said
            bash -euc "$line" </dev/null
        ;;
    *PID*)
        LD_PRELOAD=$library/libcutback_preload.so sleep 100 &
        pid=$!
        sleep 1
        bash -euc "${line/PID/$pid}" && kill $pid
        ;;
    'cc program.c'* | 'c++ '*)
        [[ $line = *malloc ]] || cp tests/install/arena.c program.c
        bash -euc "$line" && ./a.out
        ;;
    *) bash -euc "$line" </dev/null ;;
    esac
}

part_readme() {
    local line library=/usr/local/lib/x86_64-linux-gnu
    install git
    clone /root/cutback
    cd /root/cutback
    install meson ninja-build gcc g++ libc6-dev dpkg-dev # doc/install.md
    ln -s /usr/bin/sort /usr/local/bin/program
    cp tests/install/malloc.c program.c
    cp tests/install/arena.cc program.cpp
    readme_lines >/tmp/lines
    while read -r line <&3; do
        say "$line"
        (readme_line "$line") >/tmp/said 2>&1 || die "$line: $(cat /tmp/said)"
    done 3</tmp/lines
    expect 'resident|user' cutback-run --compare -n 3 gcc -O2 -c program.c
    [ -s page.html ] || die "there is no page.html"
    expect 'tcmalloc .*[0-9]' ./tools/dev run
}

# Who may install nothing is told what to type, and goes on when that was done.
part_user() {
    local told
    install git
    user
    if told=$(as user 'cd cutback && ./tools/dev run gcc --version' 2>&1); then
        die "it runs, though nothing is installed: $told"
    fi
    told=$(sed -n 's/^sudo //p' <<<"$told")
    [[ $told = "apt-get install "* ]] || die "it is not said what to type: $told"
    $told -y >/tmp/apt.log 2>&1 || die "$told: $(cat /tmp/apt.log)"
    expect '^gcc .*Debian' as user 'cd cutback && ./tools/dev run gcc --version'
    expect 'returned to the system' as user 'cd cutback && CUTBACK_OPTIONS=stats=1 ./tools/dev run gcc --version'
    expect 'Installing' as user 'cd cutback && meson setup -Dprefix=$HOME/.local own && meson install -C own'
    expect '^gcc .*: works' as user '.local/bin/cutback-run --check gcc'
}

part_sudo() {
    install git sudo
    user --depth 1
    echo 'user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/user
    expect '^gcc .*Debian' as user 'cd cutback && LANG=de_DE.UTF-8 ./tools/dev run gcc --version'
}

# Folders with a space, a tree of somebody else, no /proc, no HOME, no locale.
part_places() {
    install git
    clone '/root/with a space/cutback'
    (cd '/root/with a space/cutback' && expect '^gcc .*Debian' ./tools/dev run gcc --version) || exit
    expect 'returned to the system' env CUTBACK_OPTIONS=stats=1 '/root/with a space/cutback/tools/dev' run gcc --version
    expect 'cutback .*[0-9]' '/root/with a space/cutback/tools/dev' run
    useradd -m user
    cp -a '/root/with a space/cutback' /srv/cutback
    chown -R user: /srv/cutback
    expect '^gcc .*Debian' env -i PATH="$PATH" LC_ALL=tr_TR.UTF-8 /srv/cutback/tools/dev run gcc --version
    umount -l /sys
    umount -l /proc
    rm -rf /srv/cutback/build
    expect '^gcc .*Debian' /srv/cutback/tools/dev run gcc --version
}

# Without git, and a Debian package of that.
part_tarball() {
    mkdir /root/cutback-0
    tar -x -C /root/cutback-0 -f /cutback.git.tar
    cd /root/cutback-0
    expect '^gcc .*Debian' ./tools/dev run gcc --version
    expect 'all well' ./tools/dev package
}

# The Dockerfile, by buildah; the root is the image that it begins with, so that no registry is needed.
part_docker() {
    local image container
    install git buildah
    clone /root/cutback
    container=$(buildah from scratch)
    tar -C /base -cf /base.tar .
    buildah add -q "$container" /base.tar / >/dev/null # unpacks it
    for image in 12 12-slim; do
        buildah commit -q "$container" "docker.io/library/debian:$image" >/dev/null
    done
    expect 'libcutback_preload.so' buildah bud --pull-never -t cutback -f /root/cutback/container/Dockerfile /root/cutback
    container=$(buildah from --pull-never cutback)
    expect 'libcutback' buildah run "$container" -- cat /proc/self/maps
    expect 'returned to the system' buildah run -e CUTBACK_OPTIONS=stats=1 "$container" -- sort --version
}

part_test() {
    install git
    clone /root/cutback
    cd /root/cutback
    ./tools/dev test
}

part_package() {
    install git
    clone /root/cutback
    expect 'all well' /root/cutback/tools/dev package
}

part_cross() {
    install git
    clone /root/cutback
    expect 'all well.*arm64' /root/cutback/tools/dev package arm64
}

if [ "${1:-}" = --inside ]; then
    export HOME=/root BUILDAH_ISOLATION=chroot DEBIAN_FRONTEND=noninteractive
    apt-get update -q >/tmp/apt.log 2>&1 || die "$(cat /tmp/apt.log)"
    "part_$2"
    exit
fi

# ---- Outside ------------------------------------------------------------------------------------------------------

# In a name space of its own: mounts what the part needs, and goes in.
if [ "${1:-}" = --layer ]; then
    folder=$2
    root=$folder/layer/all
    mount --make-rprivate /
    mount -t overlay overlay -o "lowerdir=$folder/root,upperdir=$folder/layer/up,workdir=$folder/layer/work" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mkdir -p "$root/base" "$root/var/lib/containers"
    mount --bind "$folder/root" "$root/base"
    mount --bind "$folder/layer/containers" "$root/var/lib/containers" # no overlay over an overlay
    mount --bind "$folder/packages" "$root/var/cache/apt/archives"
    cp -r "$folder/cutback.git" "$folder/cutback.git.tar" "$0" "$root/"
    chmod -R a+rX "$root/cutback.git"
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
        chroot "$root" /bin/bash /root.sh --inside "$3"
fi

folder=$(realpath "${1:?usage: tests/install/root.sh FOLDER [PART...]}")
shift
[ $# = 0 ] || parts=("$@")
mkdir -p "$folder/packages/partial"
if [ ! -e "$folder/root/etc/debian_version" ]; then
    say "making $folder/root"
    debootstrap --variant=minbase bookworm "$folder/root.new" "${MIRROR:-http://deb.debian.org/debian}" >"$folder/log" ||
        die "debootstrap: see $folder/log"
    cp /etc/resolv.conf "$folder/root.new/etc/resolv.conf"
    echo force-unsafe-io >"$folder/root.new/etc/dpkg/dpkg.cfg.d/unsafe-io" # or every package waits for the disk
    mv "$folder/root.new" "$folder/root"
fi
rm -rf "$folder/cutback.git"
git clone -q --bare "$top" "$folder/cutback.git"
git -C "$top" archive -o "$folder/cutback.git.tar" HEAD
for part in "${parts[@]}"; do
    say "== $part"
    rm -rf "$folder/layer"
    mkdir -p "$folder"/layer/{up,work,all,containers}
    unshare --mount --pid --fork --kill-child "$0" --layer "$folder" "$part" || die "the part $part"
done
rm -rf "$folder/layer"
say "all well: ${parts[*]}"
