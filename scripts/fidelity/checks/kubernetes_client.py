"""The Python kubernetes client against the sandbox's cluster. Argument: the state file."""

import json
import os
import sys
import threading
import time
import urllib.request

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream

with open(sys.argv[1], encoding="utf-8") as file:
    STATE = json.load(file)
NS = "tra-production"
WEB = "refer-serious-misconduct-production"
WORKER = WEB + "-worker"
DB = "s189p01-rsm-pd-pg.postgres.database.azure.com"
PASSED, FAILED = [], []


def check(name):
    def run(body):
        try:
            body()
            PASSED.append(name)
            print(f"ok {name}", flush=True)
        except Exception as error:  # every failure is a finding
            FAILED.append(name)
            print(f"FAILED {name}: {type(error).__name__}: {str(error)[:400]!r}", flush=True)

    return run


def refused(code, reason, body):
    try:
        body()
    except ApiException as error:
        got = json.loads(error.body)
        assert (error.status, got["reason"]) == (code, reason), f"{error.status} {got}"
        return got
    raise AssertionError(f"it was not refused with {code}")


def user(name=""):
    return config.new_client_from_config(STATE["kubeconfig"] + name)


API = user()
core, apps, batch = client.CoreV1Api(API), client.AppsV1Api(API), client.BatchV1Api(API)
scaling, network, access = client.AutoscalingV2Api(API), client.NetworkingV1Api(API), client.AuthorizationV1Api(API)


def until(holds, limit=20):
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


def ready(name):
    return apps.read_namespaced_deployment(name, NS).status.ready_replicas or 0


def pod_of(app):
    pods = core.list_namespaced_pod(NS, label_selector=f"app={app}").items
    return next(pod.metadata.name for pod in pods if not pod.metadata.deletion_timestamp)


def run(*argv, **more):
    # Streams change the client they use, so each gets one of its own.
    return stream(client.CoreV1Api(user()).connect_get_namespaced_pod_exec, pod_of(WEB), NS, command=list(argv),
                  stdout=True, stderr=True, stdin=more.pop("stdin", False), tty=False, **more)


def konduit(name):
    return {
        "metadata": {"name": name, "labels": {"app": "konduit-app"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "konduit-app", "image": "alpine:3.20.1", "command": ["sleep", "10800"],
                    "securityContext": {"runAsNonRoot": True, "readOnlyRootFilesystem": True},
                    "resources": {"limits": {"cpu": "100m", "memory": "50Mi"}},
                }]},
            },
        },
    }


@check("version")
def _():
    assert client.VersionApi(API).get_code().minor.startswith("33")


@check("groups and resources")
def _():
    groups = {group.name for group in client.ApisApi(API).get_api_versions().groups}
    assert {"apps", "batch", "autoscaling", "networking.k8s.io", "authorization.k8s.io"} <= groups, groups


@check("list deployments of all namespaces")
def _():
    assert WEB in {item.metadata.name for item in apps.list_deployment_for_all_namespaces().items}


@check("lists in pages of one moment")
def _():
    names, token, versions = [], None, set()
    while True:
        page = apps.list_deployment_for_all_namespaces(limit=4, _continue=token)
        names += [item.metadata.name for item in page.items]
        versions.add(page.metadata.resource_version)
        token = page.metadata._continue
        if not token:
            break
    assert len(versions) == 1 and len(names) == len(set(names)) >= 18, (versions, len(names))


@check("label and field selectors")
def _():
    pods = core.list_namespaced_pod(NS, label_selector=f"app in ({WEB})", field_selector="status.phase=Running").items
    assert len(pods) == 2
    assert not core.list_namespaced_pod(NS, field_selector="status.phase=Failed").items
    refused(400, "BadRequest", lambda: core.list_namespaced_pod(NS, label_selector="a b"))


@check("read a deployment, its scale and its autoscaler")
def _():
    assert apps.read_namespaced_deployment_scale(WEB, NS).spec.replicas == 2
    assert scaling.read_namespaced_horizontal_pod_autoscaler(WEB, NS).spec.max_replicas == 6
    old = client.AutoscalingV1Api(API).read_namespaced_horizontal_pod_autoscaler(WEB, NS)
    assert old.spec.target_cpu_utilization_percentage == 80


@check("services and ingresses")
def _():
    assert core.read_namespaced_service(WEB, NS).spec.selector == {"app": WEB}
    ingress = network.list_namespaced_ingress(NS).items[0]
    assert ingress.spec.rules[0].http.paths[0].backend.service.name == WEB


@check("move an ingress to another service and back")
def _():
    name = f"{WEB}.teacherservices.cloud"
    for service in ("maintenance", WEB):
        body = network.read_namespaced_ingress(name, NS)
        body.spec.rules[0].http.paths[0].backend.service.name = service
        network.replace_namespaced_ingress(name, NS, body)
    assert network.read_namespaced_ingress(name, NS).spec.rules[0].http.paths[0].backend.service.name == WEB


@check("not found")
def _():
    body = refused(404, "NotFound", lambda: apps.read_namespaced_deployment("nobody", NS))
    assert body["details"] == {"name": "nobody", "group": "apps", "kind": "deployments"}, body


@check("unauthorised")
def _():
    stranger = user()
    stranger.configuration.refresh_api_key_hook = None
    stranger.configuration.api_key = {name: "Bearer nonsense" for name in ("authorization", "BearerToken")}
    refused(401, "Unauthorized", lambda: client.CoreV1Api(stranger).list_namespaced_pod(NS))


@check("forbidden to a viewer and before PIM")
def _():
    viewer, no_pim = user("-viewer"), user("-no-pim")
    refused(403, "Forbidden", lambda: client.CoreV1Api(viewer).list_namespaced_secret(NS))
    refused(403, "Forbidden",
            lambda: client.AppsV1Api(viewer).patch_namespaced_deployment_scale(WEB, NS, {"spec": {"replicas": 0}}))
    body = refused(403, "Forbidden", lambda: client.AppsV1Api(no_pim).list_namespaced_deployment(NS))
    assert body["message"].endswith("Update role assignment to allow access."), body
    assert client.AppsV1Api(no_pim).list_namespaced_deployment("tra-test").items


@check("reviews agree with what is enforced")
def _():
    for name, verb, group, resource, part, may in (
        ("", "patch", "apps", "deployments", "scale", True),
        ("", "create", "", "pods", "portforward", True),
        ("-viewer", "create", "", "pods", "exec", False),
        ("-viewer", "get", "", "pods", "log", True),
        ("-no-pim", "list", "apps", "deployments", "", False),
    ):
        attributes = {"namespace": NS, "verb": verb, "group": group, "resource": resource, "subresource": part}
        body = {"spec": {"resourceAttributes": attributes}}
        api = client.AuthorizationV1Api(user(name))
        assert api.create_self_subject_access_review(body).status.allowed is may, (name, verb, resource, part)
        rules = api.create_self_subject_rules_review({"spec": {"namespace": NS}}).status.resource_rules
        full = f"{resource}/{part}" if part else resource
        listed = any(
            group in rule.api_groups and full in rule.resources and ({verb, "*"} & set(rule.verbs)) for rule in rules
        )
        assert listed is may, f"the rules say {listed} of {verb} {full} for {name or 'responder'}"


@check("patch of a scale, followed by a watch")
def _():
    version = apps.list_namespaced_deployment(NS).metadata.resource_version
    apps.patch_namespaced_deployment_scale(WORKER, NS, {"spec": {"replicas": 0}})
    seen = []
    for event in watch.Watch().stream(apps.list_namespaced_deployment, NS, resource_version=version,
                                      field_selector=f"metadata.name={WORKER}", timeout_seconds=20):
        seen.append(event["object"].status.ready_replicas or 0)
        if seen[-1] == 0 and not event["object"].status.replicas:
            break
    assert seen[0] == 2 and seen[-1] == 0, seen
    apps.patch_namespaced_deployment_scale(WORKER, NS, {"spec": {"replicas": 2}})
    until(lambda: ready(WORKER) == 2)


@check("a watch from a compacted version is told 410, and a list begins anew")
def _():
    version = core.list_namespaced_config_map(NS).metadata.resource_version
    core.create_namespaced_config_map(NS, {"metadata": {"name": "tick"}})
    core.delete_namespaced_config_map("tick", NS)
    control = STATE["control"]
    request = urllib.request.Request(control["endpoint"] + "/compact", method="POST",
                                     headers={"Authorization": "Bearer " + control["token"]})
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
    try:
        for _ in watch.Watch().stream(core.list_namespaced_config_map, NS, resource_version=version, timeout_seconds=5):
            raise AssertionError("an event instead of 410")
        raise AssertionError("a silent end instead of 410")
    except ApiException as error:
        assert error.status == 410, error
    fresh = core.list_namespaced_config_map(NS).metadata.resource_version
    assert int(fresh) > int(version)


@check("events tell of a scale")
def _():
    until(lambda: "ScalingReplicaSet" in {event.reason for event in core.list_namespaced_event(
        NS, field_selector=f"involvedObject.name={WORKER}").items})


@check("conflicts")
def _():
    body = apps.read_namespaced_deployment(WORKER, NS)
    apps.patch_namespaced_deployment(WORKER, NS, {"metadata": {"labels": {"moved": str(time.time())}}})
    refused(409, "Conflict", lambda: apps.replace_namespaced_deployment(WORKER, NS, body))
    core.create_namespaced_config_map(NS, {"metadata": {"name": "twice"}})
    refused(409, "AlreadyExists", lambda: core.create_namespaced_config_map(NS, {"metadata": {"name": "twice"}}))
    core.delete_namespaced_config_map("twice", NS)


@check("invalid")
def _():
    refused(422, "Invalid", lambda: apps.patch_namespaced_deployment_scale(WORKER, NS, {"spec": {"replicas": -1}}))
    broken = konduit("konduit-app-1")
    broken["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    refused(422, "Invalid", lambda: apps.create_namespaced_deployment(NS, broken))


@check("exec: output, errors, environment")
def _():
    said = run("sh", "-c", "echo out; echo err >&2; echo $HOSTNAME")
    assert "out\n" in said and "err\n" in said and WEB in said, said


@check("exec: exit codes")
def _():
    session = run("sh", "-c", "exit 7", _preload_content=False)
    session.run_forever(timeout=10)
    assert session.returncode == 7, session.returncode


@check("exec: input")
def _():
    session = run("sh", stdin=True, _preload_content=False)
    session.write_stdin("echo one\n")
    assert session.readline_stdout(timeout=10) == "one"
    session.write_stdin("exit 4\n")
    session.run_forever(timeout=10)
    assert session.returncode == 4


@check("exec: a command that is not there")
def _():
    session = run("frobnicate", _preload_content=False)
    session.run_forever(timeout=10)
    error = session.read_channel(3)
    assert session.returncode != 0 if not error else "executable file not found" in error, error


@check("create konduit's deployment and wait until it is ready")
def _():
    apps.create_namespaced_deployment(NS, konduit("konduit-app-2"))
    until(lambda: ready("konduit-app-2") == 1)


@check("port-forward through a relay to the real database")
def _():
    pod = pod_of("konduit-app-2")
    relay = stream(client.CoreV1Api(user()).connect_get_namespaced_pod_exec, pod, NS, stderr=True, stdout=True,
                   stdin=False, tty=False, command=["nc", "-v", "-lk", "-p", "31002", "-e", "nc", DB, "5432"],
                   _preload_content=False)
    until(lambda: relay.update(timeout=1) or "listening" in relay.peek_stderr())
    forward = portforward(client.CoreV1Api(user()).connect_get_namespaced_pod_portforward, pod, NS, ports="31002")
    connection = forward.socket(31002)
    connection.setblocking(True)
    # A PostgreSQL SSLRequest: the server answers S.
    connection.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47]))
    assert connection.recv(1) == b"S"
    connection.close()
    relay.close()


@check("port-forward to where nothing listens")
def _():
    forward = portforward(client.CoreV1Api(user()).connect_get_namespaced_pod_portforward, pod_of(WEB), NS, ports="4444")
    connection = forward.socket(4444)
    connection.setblocking(True)
    assert connection.recv(1) == b""
    until(lambda: "connection refused" in (forward.error(4444) or ""))


@check("logs, followed")
def _():
    lines = core.read_namespaced_pod_log(pod_of(WEB), NS, tail_lines=5, timestamps=True).splitlines()
    assert len(lines) == 5 and all(line.startswith("20") for line in lines), lines
    got = []
    follow = watch.Watch()

    def read():
        for line in follow.stream(core.read_namespaced_pod_log, pod_of(WEB), NS, tail_lines=1):
            got.append(line)
            if len(got) > 1:
                follow.stop()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(20)
    assert len(got) > 1, got


@check("delete a deployment with orphans, then the rest")
def _():
    apps.delete_namespaced_deployment("konduit-app-2", NS, propagation_policy="Orphan")
    time.sleep(1)
    assert len(core.list_namespaced_pod(NS, label_selector="app=konduit-app-2").items) == 1
    apps.delete_collection_namespaced_replica_set(NS, label_selector="app=konduit-app-2")
    until(lambda: not core.list_namespaced_pod(NS, label_selector="app=konduit-app-2").items)


@check("delete a deployment in the foreground")
def _():
    apps.create_namespaced_deployment(NS, konduit("konduit-app-3"))
    until(lambda: ready("konduit-app-3") == 1)
    apps.delete_namespaced_deployment("konduit-app-3", NS, propagation_policy="Foreground")
    assert apps.read_namespaced_deployment("konduit-app-3", NS).metadata.deletion_timestamp

    def gone():
        try:
            apps.read_namespaced_deployment("konduit-app-3", NS)
            return False
        except ApiException as error:
            return error.status == 404

    until(gone)
    assert not core.list_namespaced_pod(NS, label_selector="app=konduit-app-3").items


@check("a job that fails says why")
def _():
    container = {"name": "c", "image": "alpine", "command": ["sh", "-c", "exit 2"]}
    batch.create_namespaced_job(NS, {"metadata": {"name": "bad"}, "spec": {"backoffLimit": 0, "template": {
        "spec": {"restartPolicy": "Never", "containers": [container]}}}})
    until(lambda: batch.read_namespaced_job("bad", NS).status.failed == 1
          and batch.read_namespaced_job("bad", NS).status.conditions)
    assert batch.read_namespaced_job("bad", NS).status.conditions[-1].reason == "BackoffLimitExceeded"
    batch.delete_namespaced_job("bad", NS, propagation_policy="Background")


@check("a pod past its deadline")
def _():
    container = {"name": "c", "image": "alpine", "command": ["sleep", "10800"]}
    core.create_namespaced_pod(NS, {"metadata": {"name": "short"}, "spec": {
        "activeDeadlineSeconds": 1, "restartPolicy": "Never", "containers": [container]}})
    until(lambda: core.read_namespaced_pod("short", NS).status.reason == "DeadlineExceeded")
    assert core.read_namespaced_pod("short", NS).status.phase == "Failed"
    core.delete_namespaced_pod("short", NS, grace_period_seconds=0)


print(f"kubernetes: {len(PASSED)} passed, {len(FAILED)} failed", flush=True)
# Threads of the client's streams may still wait for their sockets.
os._exit(1 if FAILED else 0)
