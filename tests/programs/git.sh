#!/bin/bash
# git: 200 commits one by one, branches and a merge, gc, log, blame, fsck, clone.
. "$(dirname "$0")/common.sh"
need git
cat >"$HOME/.gitconfig" <<'END'
[user]
    name = A Tester
    email = tester@example.org
[init]
    defaultBranch = main
[gc]
    auto = 0
[core]
    fsync = none
[pack]
    threads = 2
END
export GIT_CONFIG_NOSYSTEM=1
work() {
    local i
    git init -q one && cd one || return
    for ((i = 1; i <= 200; i++)); do
        export GIT_AUTHOR_DATE="$((1700000000 + i * 60)) +0000" GIT_COMMITTER_DATE="$((1700000000 + i * 60)) +0000"
        { seq 1 "$((i % 17 * 30))"; echo "the text of commit $i"; seq "$i" 400; } >"file$((i % 11))"
        git add . && git commit -q -m "commit $i" || return
        [ "$i" != 100 ] || git branch side
    done
    git checkout -q side && echo aside >aside && git add . && git commit -q -m aside &&
        git checkout -q main && git merge -q -m merged side || return
    git log --stat --format='%H %an %ad %s' && git log -p --format=%H -n 30 | git hash-object --stdin || return
    git gc -q --aggressive && git fsck --full 2>&1 && git count-objects -v | grep -E '^(count|in-pack|packs)' || return
    git blame -s file3 | git hash-object --stdin && git diff --stat HEAD~50 HEAD || return
    cd .. && git clone -q --no-local one two && git -C two rev-parse HEAD && git -C two log --oneline | wc -l || return
    rm -rf one two
}
same
mapped git
