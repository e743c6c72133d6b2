#!/usr/bin/env bash
# Builds a Kubernetes control plane, kwok and Helm from Go modules into a cache, and prints the folder. Needs Go 1.26 and
# nothing else; some minutes the first time, nothing after. What is there already is kept.
set -euo pipefail

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kubernetes=1.36.3
kwok=v0.8.0
helm=v4.3.1
target=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-cluster/k8s-$kubernetes}
mkdir -p "$target"
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false

# Clients refuse a server that does not say which version it is.
stamp="-X k8s.io/component-base/version.gitVersion=v$kubernetes"
stamp+=" -X k8s.io/component-base/version.gitMajor=${kubernetes%%.*}"
stamp+=" -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"

missing() { # NAME
  [[ ! -x $target/$1 ]] || return 1
  command -v go >/dev/null || { echo "go is needed to build $1 for the end-to-end tests" >&2; exit 1; }
  echo "building $1" >&2
}

# With versions pinned by a go.mod of ours. Moved into place when complete: an interrupted build leaves nothing half done.
pinned() { # MODULE PACKAGE NAME
  missing "$3" || return 0
  (cd "$source_dir/$1" && go build -trimpath -ldflags "-s -w $stamp" -o "$target/.$3.$$" "$2")
  mv "$target/.$3.$$" "$target/$3"
}

released() { # PACKAGE@VERSION NAME
  missing "$2" || return 0
  GOBIN="$target" go install -trimpath -ldflags '-s -w' "$1"
}

pinned etcd go.etcd.io/etcd/server/v3 etcd
for command in kube-apiserver kube-controller-manager kube-scheduler kubectl; do
  pinned kubernetes "k8s.io/kubernetes/cmd/$command" "$command"
done
released "sigs.k8s.io/kwok/cmd/kwok@$kwok" kwok
released "helm.sh/helm/v4/cmd/helm@$helm" helm
echo "$target"
