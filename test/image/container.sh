#!/usr/bin/env bash
# The container of run.sh: ROOT IMAGE-JSON LOG. Runs in namespaces of its own and does what a container runtime does with
# `--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges`, with what the image itself says to run.
set -euo pipefail
rootfs=$1
image=$2
log=$3

# One value of the image's configuration, by lines; a list has one line for each item.
image_says() {
  node -e '
    const { Docker } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const value = process.argv[2].split(".").reduce((at, key) => at?.[key], Docker.config);
    if (value === undefined) throw new Error(`the image says nothing of ${process.argv[2]}`);
    console.log([value].flat().join("\n"));' "$image" "$1"
}
mapfile -t environment < <(image_says Env)
mapfile -t entrypoint < <(image_says Entrypoint)
mapfile -t arguments < <(image_says Cmd)
mapfile -t health < <(image_says Healthcheck.Test)
user=$(image_says User)
workdir=$(image_says WorkingDir)
if [[ $user != 65532:65532 || ${arguments[*]} != run || ${health[0]} != CMD ]]; then
  echo "unexpected image: user $user, command ${arguments[*]}, health check ${health[*]}" >&2
  exit 1
fi

ip link set lo up
mkdir -p "$rootfs"/{dev,proc,tmp}
mount --bind "$rootfs" "$rootfs"
mount -t proc proc "$rootfs/proc"
mount -t tmpfs -o mode=1777 tmpfs "$rootfs/tmp"
mount -t tmpfs -o mode=755 tmpfs "$rootfs/dev"
for device in null zero random urandom; do
  touch "$rootfs/dev/$device"
  mount --bind "/dev/$device" "$rootfs/dev/$device"
done
mount -o remount,bind,ro "$rootfs"

# Root outside changes root and user and gives up every capability by that; inside there is no program but Node.
enter=(
  setpriv --no-new-privs --clear-groups env -i "${environment[@]}"
  unshare --root="$rootfs" --wd="$workdir" --setgid "${user#*:}" --setuid "${user%:*}"
)

# What the container may not do, tried from inside it.
"${enter[@]}" node -e '
  const { accessSync, readFileSync, writeFileSync } = require("fs");
  const { ok, throws, match } = require("assert");
  ok(process.getuid() === 65532 && process.getgid() === 65532 && process.getgroups().every((id) => id === 65532));
  match(readFileSync("/proc/self/status", "utf8"), /^CapPrm:\t0+\nCapEff:\t0+$/m);
  for (const path of ["/x", "/app/x", "/app/node_modules/x"]) throws(() => writeFileSync(path, ""), { code: "EROFS" });
  throws(() => accessSync("/bin/sh"), { code: "ENOENT" });'

# The image has the examples; only the session keys need a place to be written to.
"${enter[@]}" "${entrypoint[@]}" "${arguments[@]}" --manifests /app/manifests/examples --state-dir /tmp/state >"$log" 2>&1 &
controller=$!
fail() {
  cat "$log" >&2
  echo "$1" >&2
  exit 1
}
for _ in $(seq 150); do
  if grep -q '"msg":"serving"' "$log" || ! kill -0 "$controller" 2>/dev/null; then break; fi
  sleep 0.2
done
grep -q '"msg":"serving"' "$log" || fail 'the controller does not serve'
"${enter[@]}" "${health[@]:1}" || fail 'the HEALTHCHECK of the image does not succeed'
for path in healthz readyz; do
  [[ $(curl -fsS -m 5 "http://127.0.0.1:9090/$path") == ok ]] || fail "/$path does not answer ok"
done
# No backend runs here: an answer of the controller's own shows that it knows the host of the example.
status=$(curl -sS -m 10 -o /dev/null -w '%{http_code}' -H 'Host: shop.localhost' http://127.0.0.1:8080/)
unknown=$(curl -sS -m 10 -o /dev/null -w '%{http_code}' -H 'Host: unknown.localhost' http://127.0.0.1:8080/)
[[ $status == 50[234] && $unknown == 404 ]] || fail "shop.localhost answered $status, an unknown host $unknown"
kill -TERM "$controller"
wait "$controller" || fail "the controller ended with status $? on SIGTERM"
"${enter[@]}" "${health[@]:1}" && fail 'the HEALTHCHECK succeeds although nothing runs'
echo '        healthy, traffic answered, stopped in good order: as 65532:65532, read-only, without a capability'
