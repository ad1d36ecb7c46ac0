#!/bin/sh
# Makes a repository in a folder, works in it as people do, packs it, and clones it. Usage: git.sh FOLDER SAMPLE
set -eu
sample=$2
cd "$1"
export HOME="$1" GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
git config --global user.name Somebody
git config --global user.email somebody@example.com
git config --global init.defaultBranch main
git config --global core.fsync all

clean() {
  [ -z "$(git status --porcelain)" ] || { echo "git status: not clean after $1:"; git status --porcelain | head; exit 1; }
}

git init -q origin
cd origin
cp -R "$sample" tree
git add . && git commit -qm 'All of it'
clean 'the first commit'
for i in 1 2 3 4 5 6 7 8; do
  echo "line $i" >>tree/log && git add . && git commit -qm "Commit $i"
done
git checkout -qb side HEAD~4
git mv tree/log tree/log-moved && echo aside >aside && git add . && git commit -qm 'On the side'
git checkout -q main && clean 'changing branches'
git merge -q -m Merged side
echo half-done >>aside && git stash -q && clean 'putting work away'
git stash pop -q && git checkout -q aside && clean 'giving work up'
git tag v1 && git gc -q --prune=now && git fsck --strict --no-progress
clean 'packing'

cd ..
git clone -q "file://$1/origin" clone
git clone -q origin linked
for copy in clone linked; do
  git -C $copy fsck --strict --no-progress
  diff -r --exclude .git origin $copy
done
cd clone
echo more >>aside && git commit -qam 'From the clone' && git push -q origin HEAD:pushed
[ "$(git rev-parse HEAD)" = "$(git -C ../origin rev-parse pushed)" ]
diff -r "$sample" tree --exclude log-moved
