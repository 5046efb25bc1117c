"""kubectl (whatever version is on the PATH) against the sandbox's cluster. Argument: the state file."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

with open(sys.argv[1], encoding="utf-8") as file:
    STATE = json.load(file)
NS = "tra-production"
WEB = "refer-serious-misconduct-production"
WORKER = WEB + "-worker"
DB = "s189p01-rsm-pd-pg.postgres.database.azure.com"
HOME = tempfile.mkdtemp()
PASSED, FAILED, RUNNING = [], [], []

KONDUIT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: konduit-app-31337, namespace: tra-production, labels: {app: konduit-app}}
spec:
  replicas: 1
  selector: {matchLabels: {app: konduit-app}}
  template:
    metadata: {labels: {app: konduit-app}}
    spec:
      nodeSelector: {teacherservices.cloud/node_pool: applications}
      containers:
      - name: konduit-app
        image: alpine:3.20.1
        command: ["sleep", "10800"]
        securityContext:
          runAsNonRoot: true
          runAsUser: 10000
          readOnlyRootFilesystem: true
          allowPrivilegeEscalation: false
        resources:
          requests: {cpu: 10m, memory: 50Mi}
          limits: {cpu: 100m, memory: 50Mi}
"""


def check(name):
    def run(body):
        begun = time.monotonic()
        try:
            body()
            PASSED.append(name)
            print(f"ok {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Exception as error:  # every failure is a finding
            FAILED.append(name)
            print(f"FAILED {name}: {type(error).__name__}: {str(error)[:400]!r}", flush=True)

    return run


def command(user, line):
    """The command line and the environment of a kubectl of one user."""
    kubeconfig = STATE["kubeconfig"] + ("" if user == "responder" else "-" + user)
    environment = dict(os.environ, KUBECONFIG=kubeconfig, HOME=HOME)
    for proxy in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        environment.pop(proxy, None)
    words = line.split() if isinstance(line, str) else line
    return ["kubectl", "--namespace", NS, *words], environment


def kubectl(line, user="responder", wanted=0, given=None, limit=40):
    """Its output (errors too); it must end with the wanted code."""
    words, environment = command(user, line)
    done = subprocess.run(
        words, env=environment, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == wanted, f"{line}: ended with {done.returncode}, wanted {wanted}: {said}"
    return said


def begin(line, user="responder", **more):
    words, environment = command(user, line)
    started = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    RUNNING.append(started)
    return started


def end(process):
    process.terminate()
    process.wait(10)


def holds(text, *wanted):
    for part in wanted:
        assert part in text, f"no {part!r} in {text!r}"


def pod_of(app):
    return kubectl(f"get pods -l app={app} -o jsonpath={{.items[0].metadata.name}}")


def replicas(name):
    return kubectl(f"get deployment {name} -o jsonpath={{.spec.replicas}}/{{.status.readyReplicas}}")


def until(wanted, look, limit=20):
    deadline = time.monotonic() + limit
    while True:
        seen = look()
        if wanted in seen:
            return seen
        assert time.monotonic() < deadline, f"never {wanted!r}, but {seen!r}"
        time.sleep(0.1)


@check("version of client and server")
def _():
    holds(kubectl("version"), "1.33")


@check("get deployments in all namespaces")
def _():
    holds(kubectl("get deployments -A"), WEB, "bat-production", "2/2")


@check("get pods -o wide shows address and node")
def _():
    assert re.search(r"10\.244\.\d+\.\d+ +aks-", kubectl("get pods -o wide"))


@check("get with a jsonpath finds the secret in envFrom")
def _():
    path = "{.spec.template.spec.containers[0].envFrom[0].secretRef.name}"
    assert kubectl(["get", "deploy", WEB, "-o", f"jsonpath={path}"]).startswith("rsm-production-")


@check("get services, ingresses, config maps, service accounts")
def _():
    said = kubectl("get svc,ing,cm,sa")
    holds(said, f"service/{WEB}", "teacherservices.cloud", "configmap/kube-root-ca.crt", "serviceaccount/default")


@check("get a thing that is not there")
def _():
    holds(kubectl("get deployment nobody", wanted=1), '(NotFound): deployments.apps "nobody" not found')


@check("get a kind that is not there")
def _():
    holds(kubectl("get widgets", wanted=1), 'the server doesn\'t have a resource type "widgets"')


@check("describe a deployment")
def _():
    holds(kubectl(f"describe deployment {WEB}"), "2 desired | 2 updated | 2 total | 2 available", "NewReplicaSet:")


@check("describe a pod")
def _():
    said = kubectl(f"describe pod {pod_of(WEB)}")
    assert re.search(r"Controlled By: +ReplicaSet/", said), said


@check("describe an ingress")
def _():
    holds(kubectl(f"describe ingress {WEB}.teacherservices.cloud"), f"{WEB}:80")


def page():
    """The service's front page: status and text."""
    context = ssl.create_default_context(cafile=STATE["ca_file"])
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({}))
    try:
        with opener.open(STATE["service"]["url"], timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


@check("patch of an ingress moves the service's front door, and back")
def _():
    ingress = f"{WEB}.teacherservices.cloud"
    backend = "/spec/rules/0/http/paths/0/backend/service/name"
    lead = lambda to: kubectl(
        ["patch", "ingress", ingress, "--type=json", "-p", json.dumps([{"op": "replace", "path": backend, "value": to}])]
    )
    assert page()[0] == 200, page()
    lead("nobody")
    holds(kubectl(f"describe ingress {ingress}"), "nobody:80")
    assert page()[0] == 503, page()
    lead(WEB)
    assert page()[0] == 200, page()


@check("describe an autoscaler")
def _():
    holds(kubectl(f"describe hpa {WEB}"), "Min replicas:", "Deployment pods:")


@check("logs with a tail")
def _():
    assert len(kubectl(f"logs {pod_of(WEB)} --tail=3").strip().splitlines()) == 3


@check("a watch sees a scale down and up")
def _():
    watching = begin(f"get deployment {WORKER} -w")
    assert watching.stdout.readline() and watching.stdout.readline()
    kubectl(f"scale deployment/{WORKER} --replicas=0")
    while b" 0/0 " not in watching.stdout.readline():
        pass
    kubectl(f"scale deployment/{WORKER} --replicas=2 --current-replicas=0")
    while b" 2/2 " not in watching.stdout.readline():
        pass
    end(watching)


@check("scale refuses wrong current replicas")
def _():
    holds(kubectl(f"scale deployment/{WORKER} --replicas=9 --current-replicas=7", wanted=1), "xpected")


@check("rollout restart and status")
def _():
    kubectl(f"rollout restart deployment/{WORKER}")
    holds(kubectl(f"rollout status deployment/{WORKER} --timeout=30s"), "successfully rolled out")


@check("rollout history and undo")
def _():
    path = "{.metadata.annotations.deployment\\.kubernetes\\.io/revision}"
    revision = lambda: int(kubectl(["get", "deploy", WORKER, "-o", f"jsonpath={path}"]))
    before = revision()
    holds(kubectl(f"rollout history deployment/{WORKER}"), "REVISION")
    holds(kubectl(f"rollout undo deployment/{WORKER}"), "rolled back")
    holds(kubectl(f"rollout status deployment/{WORKER} --timeout=30s"), "successfully rolled out")
    assert revision() == before + 1, f"{before}, then {revision()}"


@check("set image and annotate")
def _():
    kubectl(f"annotate deployment/{WORKER} checked=yes")
    holds(kubectl(f"get deployment {WORKER} -o jsonpath={{.metadata.annotations.checked}}"), "yes")
    kubectl(f"set env deployment/{WORKER} MODE=quiet")
    holds(kubectl(f"rollout status deployment/{WORKER} --timeout=30s"), "successfully rolled out")


@check("exec prints")
def _():
    assert kubectl(f"exec deploy/{WEB} -- echo hello") == "hello\n"


@check("exec ends with the command's code")
def _():
    holds(kubectl(["exec", f"deploy/{WEB}", "--", "sh", "-c", "exit 3"], wanted=3), "exit code 3")


@check("exec of a command that the image lacks")
def _():
    holds(kubectl(f"exec deploy/{WEB} -- psql", wanted=1), 'exec: "psql": executable file not found in $PATH')


@check("exec sees the environment of the secret")
def _():
    said = kubectl(["exec", f"deploy/{WEB}", "--", "sh", "-c", "echo $DATABASE_URL"])
    assert said.startswith("postgres://") and DB in said, "no database address"


@check("exec passes 20 MB of bytes and ends with the input")
def _():
    given = os.urandom(1 << 20) * 20
    words, environment = command("responder", f"exec -i {pod_of(WEB)} -- cat")
    done = subprocess.run(words, env=environment, input=given, stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == 0 and done.stdout == given, f"{len(done.stdout)} of {len(given)} bytes"


@check("exec with a container that is not there")
def _():
    holds(kubectl(f"exec {pod_of(WEB)} -c nobody -- true", wanted=1), "nobody")


@check("nc of an unknown host")
def _():
    holds(kubectl(f"exec deploy/{WEB} -- nc nobody.example 5432", wanted=1), "nc: bad address 'nobody.example'")


@check("apply konduit's deployment, apply again, wait until it is ready")
def _():
    holds(kubectl("apply -f -", given=KONDUIT.encode()), "created")
    holds(kubectl("apply -f -", given=KONDUIT.encode()), "unchanged")
    holds(kubectl("wait deployment/konduit-app-31337 --for=condition=Available --timeout=20s"), "condition met")


@check("a tunnel as konduit makes it reaches the database")
def _():
    pod = pod_of("konduit-app")
    relay = begin(f"exec {pod} -- nc -v -lk -p 31001 -w 3600 -e /usr/bin/nc -w 3600 {DB} 5432")
    holds(relay.stdout.readline().decode(), "listening on")
    tunnel = begin(f"port-forward pod/{pod} :31001")
    port = int(re.search(r"127\.0\.0\.1:(\d+)", tunnel.stdout.readline().decode())[1])
    psql = shutil.which("psql") or sorted(
        path for path in (f"/usr/lib/postgresql/{n}/bin/psql" for n in range(12, 30)) if os.path.exists(path)
    )[-1]
    url = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", STATE["postgres"]["live_url"])
    jobs = [
        subprocess.Popen([psql, url, "-Atqc", f"select {n}, length(repeat('x', 1000000))"], stdout=subprocess.PIPE)
        for n in range(5)
    ]
    for n, job in enumerate(jobs):
        out, _ = job.communicate(timeout=30)
        assert out.decode().strip() == f"{n}|1000000", out
    end(tunnel)
    end(relay)


@check("port-forward to a port where nothing listens")
def _():
    tunnel = begin(f"port-forward {pod_of(WEB)} :4444")
    port = int(re.search(r"127\.0\.0\.1:(\d+)", tunnel.stdout.readline().decode())[1])
    import socket

    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.settimeout(10)
        assert connection.recv(10) == b""
    said = b""
    while b"connection refused" not in said:
        line = tunnel.stdout.readline()
        assert line, said
        said += line
    end(tunnel)


@check("a deleted pod ends an exec")
def _():
    pod = pod_of("konduit-app")
    words, environment = command("responder", ["exec", pod, "--", "sh", "-c", "echo on; sleep 1000"])
    sleeping = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    RUNNING.append(sleeping)
    assert sleeping.stdout.readline() == b"on\n"
    kubectl(f"delete pod {pod} --wait=false")
    assert sleeping.wait(10) == 137


@check("delete with orphans keeps the pods")
def _():
    kubectl("rollout status deployment/konduit-app-31337 --timeout=30s")
    kubectl("delete deployment konduit-app-31337 --cascade=orphan")
    time.sleep(1)
    holds(kubectl("get pods -l app=konduit-app"), "Running")
    kubectl("delete replicaset -l app=konduit-app")
    until("No resources found", lambda: kubectl("get pods -l app=konduit-app"))


@check("create deployment, expose, autoscale, delete")
def _():
    holds(kubectl("create deployment tool --image=alpine:3.20.1 --port=8080"), "created")
    holds(kubectl("expose deployment tool --port=80 --target-port=8080"), "exposed")
    holds(kubectl("autoscale deployment tool --min=2 --max=3"), "autoscaled")
    until("2/2", lambda: replicas("tool"))
    kubectl("delete hpa,svc,deployment tool")


@check("create config maps and secrets from literals")
def _():
    kubectl("create configmap mine --from-literal=a=b")
    kubectl("create secret generic mine --from-literal=a=b")
    assert kubectl("get configmap mine -o jsonpath={.data.a}") == "b"
    assert kubectl("get secret mine -o jsonpath={.data.a}") == "Yg=="
    kubectl("delete configmap,secret mine")


@check("a job runs to its end and its log is kept")
def _():
    kubectl(["create", "job", "hello", "--image=alpine", "--", "sh", "-c", "echo from the job"])
    holds(kubectl("wait job/hello --for=condition=complete --timeout=30s"), "condition met")
    assert kubectl("logs job/hello") == "from the job\n"
    kubectl("delete job hello")
    until("No resources found", lambda: kubectl("get pods -l job-name=hello"))


@check("a pod of its own that fails says so")
def _():
    kubectl(["run", "once", "--image=alpine", "--restart=Never", "--", "sh", "-c", "echo no; exit 5"])
    until("Error", lambda: kubectl("get pod once"))
    path = "{.status.containerStatuses[0].state.terminated.exitCode}"
    assert kubectl(["get", "pod", "once", "-o", f"jsonpath={path}"]) == "5"
    kubectl("delete pod once")


@check("patches of all three kinds")
def _():
    for kind, patch in (
        ("merge", '{"metadata":{"labels":{"one":"1"}}}'),
        ("strategic", '{"metadata":{"labels":{"two":"2"}}}'),
        ("json", '[{"op":"add","path":"/metadata/labels/three","value":"3"}]'),
    ):
        kubectl(["patch", "deployment", WORKER, "--type", kind, "-p", patch])
    labels = json.loads(kubectl(f"get deployment {WORKER} -o json"))["metadata"]["labels"]
    assert [labels.get(name) for name in ("one", "two", "three")] == ["1", "2", "3"], labels


for user, line, may in (
    ("responder", "patch deployments --subresource=scale", "yes"),
    ("responder", "create pods --subresource=exec", "yes"),
    ("responder", "delete namespaces --all-namespaces", "no"),
    ("viewer", "list pods", "yes"),
    ("viewer", "create pods --subresource=exec", "no"),
    ("viewer", "get secrets", "no"),
    ("no-pim", "list deployments", "no"),
    ("no-pim", "list deployments -n tra-test", "yes"),
):

    @check(f"auth can-i {line} as {user}: {may}")
    def _(user=user, line=line, may=may):
        said = kubectl(f"auth can-i {line}", user=user, wanted=0 if may == "yes" else 1)
        assert may in said.split(), said


@check("what can-i denies is refused, with Azure's words")
def _():
    azure = "User does not have access to the resource in Azure. Update role assignment to allow access."
    holds(kubectl("get deployments", user="no-pim", wanted=1), "(Forbidden)", azure)
    holds(kubectl(f"scale deployment/{WEB} --replicas=0", user="viewer", wanted=1), "deployments/scale", azure)
    kubectl(f"exec deploy/{WEB} -- true", user="viewer", wanted=1)
    assert "refer-serious-misconduct-test" in kubectl("get deployments -n tra-test", user="no-pim")


for process in RUNNING:
    if process.poll() is None:
        process.kill()
shutil.rmtree(HOME, ignore_errors=True)
print(f"kubectl: {len(PASSED)} passed, {len(FAILED)} failed")
sys.exit(1 if FAILED else 0)
