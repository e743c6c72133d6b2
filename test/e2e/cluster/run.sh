#!/usr/bin/env bash
# Runs a command beside a fresh Kubernetes control plane, in network and process namespaces of its own, and passes its exit
# status on. Nothing outlives the script. KUBECONFIG, CLUSTER_DIR (logs) and PATH (kubectl, helm) are set for the command.
#
# Pods are kwok's: nothing runs in them, but they have addresses in 10.244.0.0/16, which the namespace delivers to itself.
# So a server of the tests on such an address is that pod. There is no kube-proxy and no DNS: Services lead nowhere.
set -euo pipefail

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

isolate() {
  CLUSTER_BIN=$("$source_dir/build.sh")
  export CLUSTER_BIN
  local namespaces=(unshare --net --pid --fork --kill-child --mount-proc)
  # Without root, a user namespace gives the right to make the others.
  ((EUID == 0)) || namespaces+=(--user --map-root-user)
  setpriv --pdeathsig KILL "${namespaces[@]}" "${BASH_SOURCE[0]}" "$@" <&0 &
  local child=$!
  trap 'kill -TERM $(cat "/proc/$child/task/$child/children") 2>/dev/null; wait "$child" || true; exit 143' TERM INT HUP
  wait "$child"
  exit
}

[[ -n ${CLUSTER_BIN:-} ]] || isolate "$@"

given_dir=${CLUSTER_DIR:-}
CLUSTER_DIR=${given_dir:-$(mktemp -d)}
export CLUSTER_DIR KUBECONFIG=$CLUSTER_DIR/kubeconfig PATH=$CLUSTER_BIN:$PATH
work_dir=$PWD
cd "$CLUSTER_DIR"
processes=()

finish() {
  exec 2>/dev/null # bash would tell of each process that it was killed
  kill -KILL "${processes[@]}" || true
  wait || true
  rm -rf etcd
  [[ -n $given_dir ]] || rm -rf "$CLUSTER_DIR"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP

# PROGRAM FLAG…: its output goes to PROGRAM.log. Elsewhere the control plane has machines of its own; here it comes after
# what is tested.
start() {
  nice -n 19 "$@" >"$1.log" 2>&1 &
  processes+=($!)
}

ip link set lo up
ip route add local 10.244.0.0/16 dev lo
ip address add 10.0.0.1/32 dev lo

openssl genrsa -out accounts.key 2048 2>/dev/null
echo 'admin-token,admin,admin,system:masters' >tokens.csv

start etcd --data-dir etcd --unsafe-no-fsync --log-level error \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380
# Nodes come up without a kubelet to lift their taints.
start kube-apiserver --etcd-servers http://127.0.0.1:2379 --cert-dir certs \
  --bind-address 127.0.0.1 --secure-port 6443 --advertise-address 10.0.0.1 --service-cluster-ip-range 10.96.0.0/16 \
  --authorization-mode RBAC --token-auth-file tokens.csv --disable-admission-plugins TaintNodesByCondition \
  --service-account-issuer https://kubernetes.default.svc \
  --service-account-key-file accounts.key --service-account-signing-key-file accounts.key \
  --audit-policy-file "$source_dir/audit.yaml" --audit-log-path audit.log

ready=
for ((i = 0; i < 600; i++)); do
  if curl -skf -H 'authorization: Bearer admin-token' https://127.0.0.1:6443/readyz >/dev/null; then
    ready=1
    break
  fi
  sleep 0.1
done
if [[ -z $ready ]]; then
  echo 'the API server did not become ready:' >&2
  tail -n 20 kube-apiserver.log etcd.log >&2
  exit 1
fi

cat >kubeconfig <<YAML
apiVersion: v1
kind: Config
clusters: [{ name: test, cluster: { server: 'https://127.0.0.1:6443', certificate-authority: $CLUSTER_DIR/certs/apiserver.crt } }]
users: [{ name: admin, user: { token: admin-token } }]
contexts: [{ name: test, context: { cluster: test, user: admin } }]
current-context: test
YAML

controllers=(deployment replicaset statefulset daemonset endpointslice endpoints namespace serviceaccount
  serviceaccount-token garbage-collector job horizontal-pod-autoscaler disruption)
start kube-controller-manager --kubeconfig kubeconfig --secure-port 0 --leader-elect=false \
  --service-account-private-key-file accounts.key --use-service-account-credentials \
  --kube-api-qps 500 --kube-api-burst 1000 \
  --controllers "root-ca-certificate-publisher-controller$(printf ',%s-controller' "${controllers[@]}")"
start kube-scheduler --kubeconfig kubeconfig --secure-port 0 --leader-elect=false
start kwok --kubeconfig kubeconfig --manage-all-nodes --cidr 10.244.0.0/16 --node-ip 10.0.0.1 \
  --config "$source_dir/stages.yaml"

kubectl create -f - >/dev/null <<YAML
apiVersion: v1
kind: Node
metadata: { name: node-0 }
YAML
kubectl wait --for=create --timeout=60s serviceaccount/default >/dev/null

# kwok 0.8 makes its pool of addresses when first asked for one, unguarded (`PodController.ipPool`): two pods that come first
# together may each get a pool of their own, and so the same address. Hence one pod comes alone.
kubectl create -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: { name: first, namespace: default }
spec: { nodeName: node-0, terminationGracePeriodSeconds: 0, containers: [{ name: none, image: none }] }
YAML
kubectl wait --for=jsonpath='{.status.podIP}' --timeout=60s pod/first >/dev/null
kubectl delete --timeout=60s pod/first >/dev/null

cd "$work_dir"
"$@" <&0 &
command=$!
processes+=("$command")
wait "$command"
