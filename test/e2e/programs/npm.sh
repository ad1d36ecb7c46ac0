#!/bin/sh
# Installs a tarball and a folder as packages, with the cache of npm in the folder too. Usage: npm.sh FOLDER
set -eu
cd "$1"
export npm_config_cache="$1/cache" npm_config_offline=true npm_config_audit=false npm_config_fund=false
export npm_config_update_notifier=false npm_config_loglevel=error

mkdir -p packed/lib linked app
echo '{"name":"packed","version":"1.2.3","main":"lib/main.js","bin":{"say":"say.js"}}' >packed/package.json
echo 'module.exports = "packed"' >packed/lib/main.js
printf '#!/usr/bin/env node\nconsole.log(require("./lib/main.js"))\n' >packed/say.js
i=0
while [ $i -lt 200 ]; do i=$((i + 1)) && echo "module.exports = $i" >packed/lib/module-$i.js; done
for i in 1 2 3 4; do head -c 100000 /dev/urandom >packed/lib/data-$i; done
(cd packed && npm pack --silent --pack-destination .. >/dev/null)
echo '{"name":"linked","version":"1.0.0"}' >linked/package.json
echo 'module.exports = "linked"' >linked/index.js
cd app
echo '{"name":"app","version":"1.0.0","dependencies":{"packed":"file:../packed-1.2.3.tgz","linked":"file:../linked"}}' >package.json

npm install
npm ls --all >/dev/null
[ "$(node -p 'require("packed") + require("linked") + require("packed/lib/module-77.js")')" = packedlinked77 ]
[ "$(node_modules/.bin/say)" = packed ]
diff -r ../packed node_modules/packed
npm ci
npm ls --all >/dev/null
diff -r ../packed node_modules/packed
npm uninstall packed
[ ! -e node_modules/packed ]
