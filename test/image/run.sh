#!/usr/bin/env bash
# `npm run test:image`: builds the Dockerfile and runs the image as a container would: as its own user, without
# capabilities, on a read-only root; its HEALTHCHECK must succeed. Needs root, Debian's packages and npm's, but no container
# engine and no base images: stand-ins for those are made on the spot and bear the names that the Dockerfile asks for.
# Behind a proxy with a CA of its own, name that CA in NODE_EXTRA_CA_CERTS or npm_config_cafile.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
export PATH="$root/node_modules/.bin:$PATH:/usr/sbin:/sbin"
export BUILDAH_ISOLATION=chroot
if ((EUID != 0)); then
  echo 'the image test needs root: run it with sudo' >&2
  exit 1
fi
node=$(readlink -f "$root/node_modules/node/bin/node")
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
authority=${NODE_EXTRA_CA_CERTS:-${npm_config_cafile:-}}

temp=$(mktemp -d)
trap 'rm -rf --one-file-system "$temp"' EXIT
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# An image store of its own: stand-ins must not take the place of real base images in the caller's.
store() { buildah --storage-driver vfs --root "$temp/store" --runroot "$temp/run" "$@"; }

packages() {
  local missing=() name
  for name in buildah debootstrap curl iproute2:ip mount; do
    if ! command -v "${name#*:}" >/dev/null; then missing+=("${name%:*}"); fi
  done
  if ((${#missing[@]} == 0)); then return; fi
  say "apt-get install ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    debian-archive-keyring "${missing[@]}" >"$temp/apt.log"
}

# image FOLDER NAME [ENVIRONMENT…]: what the folder holds, as an image.
image() {
  local container option=(--env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin) folder=$1 name=$2
  shift 2
  for variable in "$@"; do option+=(--env "$variable"); done
  container=$(store from scratch)
  store add -q "$container" "$folder" / >/dev/null
  store config "${option[@]}" "$container"
  store commit -q "$container" "$name" >/dev/null
  store rm "$container" >/dev/null
}

# A Debian with Node and npm builds; what runs has Node and the libraries it links, and no shell, like the real base.
stand_ins() {
  local build=$temp/build runtime=$temp/runtime environment=(npm_config_update_notifier=false) file
  if ! debootstrap --variant=minbase trixie "$build" >"$temp/debootstrap.log" 2>&1; then
    tail -n 20 "$temp/debootstrap.log" >&2
    return 1
  fi
  mkdir -p "$build/usr/local/lib/node_modules"
  cp "$node" "$build/usr/local/bin/node"
  cp -r "$npm" "$build/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$build/usr/local/bin/npm"

  mkdir -p "$runtime"/{dev,etc,nodejs/bin,proc,sys}
  mkdir -m 1777 "$runtime/tmp"
  cp "$node" "$runtime/nodejs/bin/node"
  echo 'nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin' >"$runtime/etc/passwd"
  for file in $(chroot "$build" ldd /usr/local/bin/node | grep -o '/[^ ]*'); do
    mkdir -p "$runtime$(dirname "$file")"
    cp -L "$build$file" "$runtime$file"
  done

  if [[ -n $authority ]]; then
    cp -L "$authority" "$build/usr/local/share/extra-ca.pem"
    environment+=(NODE_EXTRA_CA_CERTS=/usr/local/share/extra-ca.pem npm_config_cafile=/usr/local/share/extra-ca.pem)
  fi
  image "$build" "$(base BUILD_IMAGE)" "${environment[@]}"
  image "$runtime" "$(base RUNTIME_IMAGE)"
  rm -rf "$build" "$runtime"
}

# base NAME: the base image that the Dockerfile names.
base() { sed -n "s/^ARG $1=//p" Dockerfile | grep .; }

# Size and packages; only what production needs may be inside.
contents() {
  node -e '
    const { packages } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const all = Object.entries(packages);
    const development = all.filter(([, { dev }]) => dev).map(([path]) => path);
    if (development.length > 0) throw new Error(`packages of development in the image: ${development}`);
    console.log(`        ${all.length} production packages`);' "$rootfs/app/node_modules/.package-lock.json"
  if find "$rootfs/app" -name '*.ts' -not -path '*/node_modules/*' | grep .; then
    echo 'TypeScript in the image: it holds compiled code only' >&2
    return 1
  fi
  printf '        %d MB, of them %d MB in /app (with the stand-in base)\n' \
    $(($(du -sb "$rootfs" | cut -f1) / 1000000)) $(($(du -sb "$rootfs/app" | cut -f1) / 1000000))
}

say 'programs'
packages
say 'stand-in base images'
stand_ins
say 'build'
store bud -q --pull-never --network host --format docker -t holdfast . >"$temp/id"
say 'run'
container=$(store from --pull-never holdfast)
rootfs=$(store mount "$container")
store inspect --type image holdfast >"$temp/image.json"
# Mounts, processes and the network end with the namespaces, however this ends.
unshare --mount --net --pid --fork --kill-child --propagation private bash "$here/container.sh" "$rootfs" "$temp/image.json" "$temp/container.log"
contents
say passed
